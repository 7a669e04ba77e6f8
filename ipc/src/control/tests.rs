use protocol::id::Epoch;
use protocol::status::{Ignored, JobState, JobStatus, RoleName};
use protocol::trace::WaitCause;

use super::*;

fn ends() -> (SupervisorEnd, NodeEnd) {
    let (supervisor, fd) = pair().unwrap();
    (supervisor, NodeEnd::from_fd(fd).unwrap())
}

fn status(jobs: usize, name: usize) -> ToSupervisor {
    let status = Status {
        role: RoleName::Coordinator,
        highest: Epoch::NONE,
        coordinator: Some(NodeId(5)),
        held_bytes: u64::MAX,
        slow_file_ms: u64::MAX,
        jobs: vec![
            JobStatus {
                name: "j".repeat(name),
                state: JobState::Publishing,
                done: u64::MAX,
                total: u64::MAX,
                waits: Some(WaitCause::FileCall),
            };
            jobs
        ],
        // The most that is told of them.
        ignored: (jobs > 1).then(|| Ignored {
            names: vec!["i".repeat(327); 100],
            more: u64::MAX,
        }),
        deaths_charged: u64::MAX,
    };
    ToSupervisor::Status {
        status,
        peak_held_bytes: u64::MAX,
    }
}

#[test]
fn messages_go_both_ways_one_a_packet() {
    let (supervisor, node) = ends();
    assert_eq!(node.receive().unwrap(), Received::Empty);
    let hints = ToNode::Hints(vec![Hint {
        node: NodeId(3),
        incarnation: Incarnation(9),
        state: ChildState::Stopped,
    }]);
    for message in [&ToNode::Start, &hints, &ToNode::Stopping] {
        assert_eq!(supervisor.send(message).unwrap(), Sent::Done);
    }
    for message in [ToNode::Start, hints, ToNode::Stopping] {
        assert_eq!(node.receive().unwrap(), Received::Message(message));
    }
    assert_eq!(node.receive().unwrap(), Received::Empty);
    let ended = || ToSupervisor::JobEnded;
    assert_eq!(node.send(&ended()).unwrap(), Sent::Done);
    assert_eq!(supervisor.receive().unwrap(), Received::Message(ended()));
}

#[test]
fn the_longest_status_fits_and_a_longer_message_is_an_error() {
    let (supervisor, node) = ends();
    let longest = status(256, 200);
    assert_eq!(node.send(&longest).unwrap(), Sent::Done);
    assert_eq!(supervisor.receive().unwrap(), Received::Message(longest));
    assert!(matches!(
        node.send(&status(1, MAX_PACKET)),
        Err(ControlError::TooLong(_))
    ));
    // The limit itself is one that the kernel takes.
    let most = status(1, MAX_PACKET - 110);
    assert_eq!(node.send(&most).unwrap(), Sent::Done);
    assert_eq!(supervisor.receive().unwrap(), Received::Message(most));
}

#[test]
fn the_last_words_of_an_end_that_left_something_unread_are_heard() {
    let (supervisor, node) = ends();
    supervisor.send(&ToNode::Start).unwrap();
    node.send(&ToSupervisor::Bound).unwrap();
    node.send(&ToSupervisor::JobEnded).unwrap();
    drop(node);
    for said in [ToSupervisor::Bound, ToSupervisor::JobEnded] {
        assert_eq!(supervisor.receive().unwrap(), Received::Message(said));
    }
    assert_eq!(supervisor.receive().unwrap(), Received::Closed);
    assert_eq!(supervisor.receive().unwrap(), Received::Closed);
}

#[test]
fn a_full_link_says_so_and_recovers() {
    let (supervisor, node) = ends();
    let message = status(256, 200);
    let mut sent = 0;
    while node.send(&message).unwrap() == Sent::Done {
        sent += 1;
        assert!(sent < 1_000, "the link never fills");
    }
    for _ in 0..sent {
        assert!(matches!(
            supervisor.receive().unwrap(),
            Received::Message(_)
        ));
    }
    assert_eq!(supervisor.receive().unwrap(), Received::Empty);
    assert_eq!(node.send(&message).unwrap(), Sent::Done);
}

#[test]
fn a_closed_end_is_seen_after_what_it_said() {
    let (supervisor, node) = ends();
    node.send(&ToSupervisor::Bound).unwrap();
    drop(node);
    assert_eq!(
        supervisor.receive().unwrap(),
        Received::Message(ToSupervisor::Bound)
    );
    assert_eq!(supervisor.receive().unwrap(), Received::Closed);
    assert!(matches!(
        supervisor.send(&ToNode::Start),
        Err(ControlError::Closed)
    ));

    // Unread data turns the end of file into ECONNRESET.
    let (supervisor, node) = ends();
    supervisor.send(&ToNode::Start).unwrap();
    drop(node);
    assert_eq!(supervisor.receive().unwrap(), Received::Closed);
}

#[test]
fn a_packet_that_is_no_message_is_an_error_and_the_next_one_is_read() {
    let (supervisor, node) = ends();
    let stranger: ControlLink<(u8, u8), ()> =
        ControlLink::from_fd(node.as_fd().try_clone_to_owned().unwrap()).unwrap();
    stranger.send(&(1, 2)).unwrap();
    node.send(&ToSupervisor::Bound).unwrap();
    assert!(matches!(
        supervisor.receive(),
        Err(ControlError::Malformed(_))
    ));
    assert_eq!(
        supervisor.receive().unwrap(),
        Received::Message(ToSupervisor::Bound)
    );
}

#[test]
fn an_inherited_end_is_made_fit() {
    let (supervisor, fd) = pair::<ToNode, ToSupervisor>().unwrap();
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let node = NodeEnd::from_fd(fd).unwrap();
    let flags = fcntl(&node, FcntlArg::F_GETFL).unwrap();
    assert!(OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK));
    for descriptor in [node.as_fd(), supervisor.as_fd()] {
        let flags = fcntl(descriptor, FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    }
}

#[test]
fn a_node_that_listens_late_hears_only_the_present() {
    let hint = |node, incarnation, state| Hint {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        state,
    };
    let mut news = News::default();
    for message in [
        ToNode::Hints(vec![hint(4, 9, ChildState::Gone)]),
        ToNode::ReopenLog,
        ToNode::Start,
        ToNode::ReopenLog,
        ToNode::Hints(vec![
            hint(4, 12, ChildState::Running),
            hint(5, 11, ChildState::Gone),
        ]),
    ] {
        news.merge(message);
    }
    assert!(news.start && news.reopen_log && !news.stopping);
    let latest = [
        hint(5, 11, ChildState::Gone),
        hint(4, 12, ChildState::Running),
    ];
    assert_eq!(news.hints(Some(NodeId(4))), latest);
    assert_eq!(news.hints(None), []);
}

#[test]
fn a_child_that_is_no_node_yet_says_why() {
    for errno in [13, 0, i32::MAX, -1] {
        let (supervisor, child) = pair::<ToNode, ToSupervisor>().unwrap();
        let packet = not_executed(errno);
        send(child.as_raw_fd(), &packet, MsgFlags::MSG_DONTWAIT).unwrap();
        match supervisor.receive() {
            Err(ControlError::NotExecuted(error)) => assert_eq!(error.raw_os_error(), Some(errno)),
            other => panic!("{other:?}"),
        }
    }
}
