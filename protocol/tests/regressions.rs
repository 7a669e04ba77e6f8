//! One test a defect that was found by random faults or by reading, and mended.

#![allow(clippy::unwrap_used)] // In helpers, where a panic is how a test fails.

use std::time::Duration;

use crate::cluster::{Cluster, config};
use crate::solo::{Actions, FIRST, Solo, leaf, product};
use protocol::event::{Action, Event};
use protocol::file::{FileCall, FilePath, FileReply, FileTag, Folder};
use protocol::id::{Incarnation, NodeId};
use protocol::message::{Inventory, Message};
use protocol::plan::{OperationId, Plan};

fn listed(names: &[&str]) -> FileReply {
    FileReply::Listed(names.iter().map(|name| name.as_bytes().to_vec()).collect())
}

fn assigned(all: &[Actions], peer: u8) -> Vec<OperationId> {
    all.iter().flat_map(|a| a.assigned(peer)).collect()
}

fn parent_of_first(n: u32) -> OperationId {
    let plan = Plan::new(n);
    plan.needed_by(plan.leaf(0))[0]
}

/// A late joiner has an operation queued and alone holds its operands; it dies before it was
/// asked for them. The operation is put back although nobody can compute it.
#[test]
fn an_operation_whose_operands_died_with_their_only_holder_is_not_put_back() {
    let mut node = Solo::coordinating(3, config(4));
    let all = node.find_job("100!\n");
    drop(all);
    // Peer 2 is cut off and comes with what an earlier coordinator had given it.
    node.link_down(2, FIRST);
    node.link_up(2, Incarnation(2));
    let epoch = node.node.highest();
    let y = parent_of_first(100);
    let plan = Plan::new(100);
    let span = plan.span(y);
    let children: Vec<_> = span.clone().map(|i| plan.leaf(i)).collect();
    node.receive_of(
        2,
        Incarnation(2),
        Message::Promise {
            epoch,
            inventory: Inventory {
                held: children,
                queued: vec![y],
                ..Inventory::default()
            },
        },
    );
    let actions = node.link_down(2, Incarnation(2));
    for peer in [0, 1] {
        assert!(
            !actions.assigned(peer).contains(&y),
            "{y:?} cannot be computed by {peer}: nobody holds its operands"
        );
    }
}

/// The same on a whole job: workers do what they are told, and the job must end.
#[test]
fn the_job_ends_although_operands_died_with_their_only_holder() {
    let mut node = Solo::coordinating(1, config(2));
    let mut life = 1;
    node.link_down(0, FIRST);
    life += 1;
    let epoch0 = node.node.highest();
    node.link_up(0, Incarnation(life));
    let epoch = node.node.highest();
    let _ = epoch0;
    node.find_job("30!\n");
    let y = parent_of_first(30);
    let plan = Plan::new(30);
    let children: Vec<_> = plan.span(y).map(|i| plan.leaf(i)).collect();
    node.receive_of(
        0,
        Incarnation(life),
        Message::Promise {
            epoch,
            inventory: Inventory {
                held: children,
                queued: vec![y],
                ..Inventory::default()
            },
        },
    );
    // Dies; a fresh life joins.
    node.link_down(0, Incarnation(life));
    life += 1;
    let mut actions = node.link_up(0, Incarnation(life));
    let epoch = node.node.highest();
    let inc = Incarnation(life);
    if node.node.acting().is_none() {
        actions = node.pass(Duration::from_millis(1));
    }
    drop(actions);
    let mut all = vec![node.receive_of(
        0,
        inc,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    )];
    if node.node.acting() == Some(epoch) {
        // Isolated: it took over afresh, and lists again.
        all.extend(node.find_job("30!\n"));
    }
    let work = assigned(&all, 0);
    assert!(
        work.contains(&leaf(30, 0)),
        "the leaves below must be computed again: {work:?}"
    );
}

/// A late ancestor product covers an outstanding operation: the worker that had it drops it in
/// silence, so the coordinator must not wait for it until the deadline.
#[test]
fn what_a_late_product_covers_is_not_waited_for() {
    let mut node = Solo::coordinating(3, config(4));
    let all = node.find_job("100!\n");
    assert!((0..3).any(|p| assigned(&all, p).contains(&leaf(100, 0))));
    let plan = Plan::new(100);
    // Node 2 delivers the whole result, which it had from an earlier coordinator.
    let products = vec![product(plan.last())];
    let mut total = vec![node.receive(2, Message::Products { products })];
    // The workers see the checkpoint and have nothing to say of what it covers; they live on.
    for _ in 0..155 {
        for peer in 0..3 {
            let epoch = node.node.highest();
            node.receive(
                peer,
                Message::Pulse {
                    epoch,
                    hangs: false,
                },
            );
        }
        total.push(node.pass(Duration::from_millis(400)));
    }
    let again: Vec<OperationId> = (0..3).flat_map(|peer| assigned(&total, peer)).collect();
    assert_eq!(again, [], "assigned though all is done");
}

/// A worker that was away comes back with work queued for a factorial that nobody needs any
/// more. It is told to forget it; the coordinator must not count it as assigned.
#[test]
fn what_a_returning_worker_is_told_to_forget_is_not_assigned_to_it() {
    let mut node = Solo::coordinating(1, config(2));
    let all = node.file_done(FileTag::Folder(Folder::Running), listed(&[]));
    drop(all);
    node.file_done(FileTag::Folder(Folder::Done), listed(&[]));
    node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    let epoch = node.node.highest();
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: Inventory {
                queued: vec![leaf(8, 0)],
                ..Inventory::default()
            },
        },
    );
    assert!(
        actions
            .to(0)
            .iter()
            .any(|m| matches!(m, Message::Checkpoint { update, .. } if update.forgotten == [8]))
    );
    // Now a job needs 8!.
    node.file_done(FileTag::Folder(Folder::Inbox), listed(&["eight.job"]));
    let tag = FileTag::Dropped(b"eight.job".to_vec());
    node.file_done(
        tag.clone(),
        FileReply::Probed(protocol::file::Probe::Complete),
    );
    node.file_done(tag.clone(), FileReply::Existing(vec![]));
    let actions = node.file_done(tag, FileReply::Ok);
    let tag = actions.0.iter().find_map(|a| match a {
        Action::File {
            tag,
            call: FileCall::Read { .. },
            ..
        } => Some(tag.clone()),
        _ => None,
    });
    let actions = node.file_done(tag.unwrap(), FileReply::Content("8!\n".into()));
    assert_eq!(actions.assigned(0), [leaf(8, 0), leaf(8, 1)]);
}

/// A listing that takes longer than 2 s (the file thread syncs on a slow disk) must not end the
/// regular rescan.
#[test]
fn a_slow_listing_does_not_end_the_rescan() {
    let mut node = Solo::coordinating(1, config(2));
    for folder in [Folder::Running, Folder::Done, Folder::Failed] {
        node.file_done(FileTag::Folder(folder), listed(&[]));
    }
    let pass = |node: &mut Solo, n| {
        let mut lists = 0;
        for _ in 0..n {
            let epoch = node.node.highest();
            node.receive(
                0,
                Message::Pulse {
                    epoch,
                    hangs: false,
                },
            );
            let actions = node.pass(Duration::from_millis(250));
            lists += actions
                .0
                .iter()
                .filter(|a| {
                    matches!(
                        a,
                        Action::File {
                            call: FileCall::List(Folder::Inbox),
                            ..
                        }
                    )
                })
                .count();
        }
        lists
    };
    assert_eq!(
        pass(&mut node, 10),
        0,
        "the listing is on its way for 2.5 s"
    );
    node.file_done(FileTag::Folder(Folder::Inbox), listed(&[]));
    assert!(pass(&mut node, 40) > 0, "no listing within 10 s");
}

/// Counts come from peers.
#[test]
fn attempts_do_not_overflow() {
    let mut node = Solo::coordinating(1, config(2));
    node.find_job("8!\n");
    let epoch = node.node.highest();
    node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: Inventory {
                queued: vec![leaf(8, 0)],
                attempts: vec![(leaf(8, 0), u32::MAX)],
                ..Inventory::default()
            },
        },
    );
    node.link_down(0, FIRST);
}

/// A stale coordinator's claim arrives late in running/ (scan running/ and the
/// inbox ... every 2 s regardless).
#[test]
fn a_late_claim_in_running_is_found() {
    let mut cluster = Cluster::new(config(3));
    cluster.run_until(Duration::from_secs(60), "a coordinator", |c| {
        c.coordinator().is_some()
    });
    cluster.run_for(Duration::from_secs(1));
    cluster
        .files
        .insert(FilePath::new(Folder::Running, "late.job"), b"5!\n".to_vec());
    cluster.run_for(Duration::from_secs(10));
    assert_eq!(
        cluster.file(Folder::Done, "late.txt").as_deref(),
        Some("5!=120\n")
    );
}

/// A committed job without a text and a running job of the same name, at a takeover.
#[test]
fn two_jobs_of_one_name_do_not_share_a_hidden_text() {
    let mut cluster = Cluster::new(config(3));
    cluster
        .files
        .insert(FilePath::new(Folder::Done, "ten.job"), b"5!\n".to_vec());
    cluster
        .files
        .insert(FilePath::new(Folder::Running, "ten.job"), b"6!\n".to_vec());
    let hidden = FilePath::new(Folder::Running, ".ten.old.1.1.1.done.txt");
    cluster.files.insert(hidden, b"5!=120\n".to_vec());
    cluster.run_for(Duration::from_secs(10));
    assert_eq!(
        cluster.file(Folder::Done, "ten.txt").as_deref(),
        Some("5!=120\n")
    );
    assert_eq!(
        cluster.file(Folder::Done, "ten.2.txt").as_deref(),
        Some("6!=720\n")
    );
    assert_eq!(cluster.files.len(), 4, "{:?}", cluster.files.keys());
}

/// A worker let a deadline pass and another was faster: it must get work again.
#[test]
fn a_slow_worker_is_shut_out_only_until_it_has_finished() {
    let mut worker = Solo::following(0, config(3), crate::solo::epoch(1, 2));
    let epoch = crate::solo::epoch(1, 2);
    worker.receive(
        2,
        Message::Assign {
            epoch,
            operations: vec![leaf(8, 0)],
        },
    );
    worker.receive(
        2,
        Message::Checkpoint {
            epoch,
            update: protocol::message::Update {
                products: vec![product(leaf(8, 0))],
                ..Default::default()
            },
        },
    );
    let actions = worker.step(Event::Computed {
        products: vec![product(leaf(8, 0))],
    });
    assert!(
        actions.sent(2, "products"),
        "the coordinator must learn that the worker is free: {actions:?}"
    );
}

/// A job whose file was taken out of running/ leaves a hidden text behind.
#[test]
fn no_hidden_text_stays_when_a_running_job_was_taken_away() {
    let mut cluster = Cluster::new(config(3));
    cluster.run_until(Duration::from_secs(60), "a coordinator", |c| {
        c.coordinator().is_some()
    });
    for name in ["a.job", "b.job", "c.job"] {
        cluster.drop_job(name, "40!\n");
    }
    cluster.run_until(Duration::from_secs(60), "claimed", |c| {
        c.file(Folder::Running, "c.job").is_some()
    });
    for name in ["a.job", "b.job"] {
        cluster.files.remove(&FilePath::new(Folder::Running, name));
    }
    cluster.run_for(Duration::from_secs(10));
    assert_eq!(cluster.files.len(), 2, "{:?}", cluster.files.keys());
}

fn collecting() -> Solo {
    let mut node = Solo::following(1, config(3), crate::solo::epoch(1, 2));
    node.link_down(2, FIRST);
    node
}

fn held(operations: &[OperationId]) -> Inventory {
    Inventory {
        held: operations.to_vec(),
        ..Inventory::default()
    }
}

/// The link on which a peer delivers is cut: it promises again, and the winner must ask again, or
/// at least pass it over; it must not wait forever.
#[test]
fn a_winner_does_not_wait_forever_for_what_a_cut_link_lost() {
    let mut node = collecting();
    let epoch = node.node.highest();
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[leaf(8, 0)]),
        },
    );
    assert!(actions.sent(0, "pull"));
    // Products are lost; the peer's new link brings its promise again.
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[leaf(8, 0)]),
        },
    );
    assert!(actions.sent(0, "pull"), "asked again");
    for _ in 0..100 {
        node.receive(
            0,
            Message::Election {
                highest: epoch,
                hangs: false,
            },
        );
        node.pass(Duration::from_millis(100));
    }
    assert_eq!(node.node.acting(), Some(epoch));
}

/// The supervisor's hint outruns the promise of a peer that died; then its next life comes.
#[test]
fn a_winner_does_not_wait_forever_for_a_dead_life() {
    let mut node2 = Solo::following(2, config(4), crate::solo::epoch(1, 3));
    node2.link_down(3, FIRST);
    let epoch2 = node2.node.highest();
    node2.step(Event::Hint {
        peer: NodeId(0),
        incarnation: FIRST,
        state: protocol::event::ChildState::Gone,
    });
    node2.receive(
        0,
        Message::Promise {
            epoch: epoch2,
            inventory: held(&[leaf(8, 0)]),
        },
    );
    let next = Incarnation(7);
    let actions = node2.link_up(0, next);
    assert!(
        actions.sent(0, "collect"),
        "the new life has not promised: {actions:?}"
    );
    node2.receive_of(
        0,
        next,
        Message::Promise {
            epoch: epoch2,
            inventory: Inventory::default(),
        },
    );
    for _ in 0..100 {
        node2.receive_of(
            0,
            next,
            Message::Election {
                highest: epoch2,
                hangs: false,
            },
        );
        node2.receive(
            1,
            Message::Election {
                highest: epoch2,
                hangs: false,
            },
        );
        node2.pass(Duration::from_millis(100));
    }
    assert_eq!(node2.node.acting(), Some(epoch2));
}

/// The second highest is restarted while the highest is away for good and nobody hints.
#[test]
fn a_preempting_candidate_does_not_storm() {
    let mut node = Solo::alone(2, config(4));
    for peer in [0, 1] {
        node.link_up(peer, FIRST);
    }
    node.step(Event::Start);
    let epoch = crate::solo::epoch(1, 1);
    node.receive(1, Message::Collect { epoch });
    assert_eq!(node.node.coordinator(), Some(NodeId(1)));
    let mut elections = 0;
    // The incumbent answers each promise with its victory.
    let mut victories = 2; // One for its promise at LinkUp, one for that to Collect.
    for _ in 0..1000 {
        if victories == 0 {
            break;
        }
        victories -= 1;
        let actions = node.receive(1, Message::Victory { epoch });
        victories += actions
            .to(1)
            .iter()
            .filter(|m| m.name() == "promise")
            .count();
        elections += usize::from(
            actions.traced(|t| matches!(t, protocol::trace::Trace::ElectionStarted { .. })),
        );
        node.pass(Duration::from_micros(100));
    }
    assert!(elections <= 2, "{elections} elections in 100 ms");
}

/// A late commit comes between the listings of `running/` and `done/` and the reading of the job.
#[test]
fn a_running_job_that_vanished_before_it_was_read_is_looked_for_in_done() {
    let mut node = Solo::coordinating(1, config(2));
    // `running/` is listed with the job; `done/` was listed before the commit came.
    let actions = node.file_done(FileTag::Folder(Folder::Running), listed(&["job.job"]));
    node.file_done(FileTag::Folder(Folder::Done), listed(&[]));
    node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    let actions = node.file_done(actions.read(), FileReply::Absent);
    assert!(
        actions.0.iter().any(|a| matches!(
            a,
            Action::File {
                call: FileCall::List(Folder::Done),
                ..
            }
        )),
        "{actions:?}"
    );
}

/// Pulses of its worker for this long, and the coordinator's timers; returns what it assigned.
fn work_of_the_live(node: &mut Solo, seconds: u64) -> Vec<OperationId> {
    let epoch = node.node.highest();
    let mut all = Vec::new();
    for _ in 0..seconds * 20 {
        all.extend(node.pass(Duration::from_millis(50)).assigned(0));
        let hangs = false;
        let pulse = Message::Pulse { epoch, hangs };
        all.extend(node.receive(0, pulse).assigned(0));
    }
    all
}

#[test]
fn an_operation_has_its_whole_time_from_when_it_is_assigned() {
    let mut node = Solo::coordinating(1, config(2));
    let leaves = assigned(&node.find_job("8!\n"), 0);
    assert_eq!(work_of_the_live(&mut node, 50), []);
    let products = leaves.into_iter().map(product).collect();
    let root = node.receive(0, Message::Products { products });
    assert_eq!(root.assigned(0), [Plan::new(8).last()]);
    assert_eq!(work_of_the_live(&mut node, 58), []);
    assert_eq!(node.node.workers(), [NodeId(0)], "the root has 60 s");
    assert_eq!(work_of_the_live(&mut node, 4), []);
    assert_eq!(node.node.workers(), [], "and no more");
}

/// A coordinator whose only worker has let the deadline of all that it had pass.
fn with_an_overdue_worker() -> (Solo, Vec<OperationId>) {
    let mut node = Solo::coordinating(1, config(2));
    let given = assigned(&node.find_job("8!\n"), 0);
    assert!(!given.is_empty());
    // What it was sent is lost, or stuck, and its deadline passes.
    assert_eq!(work_of_the_live(&mut node, 62), [], "it does not go on");
    (node, given)
}

/// What the only worker was assigned is lost with its link, the deadline passes, the link comes back: the
/// worker has nothing to deliver, and was given nothing for want of a delivery.
#[test]
fn a_worker_that_is_late_with_what_was_lost_gets_work_when_it_comes_back() {
    let (mut node, given) = with_an_overdue_worker();
    node.link_up(0, FIRST);
    let epoch = node.node.highest();
    let inventory = Inventory::default();
    let back = node.receive(0, Message::Promise { epoch, inventory });
    assert_eq!(back.assigned(0), given);
    assert_eq!(node.node.workers(), [NodeId(0)]);
}

#[test]
fn a_worker_that_still_has_what_it_is_late_with_gets_nothing_more_when_it_comes_back() {
    let (mut node, given) = with_an_overdue_worker();
    node.link_up(0, FIRST);
    let epoch = node.node.highest();
    let inventory = Inventory {
        queued: vec![given[0]],
        ..Inventory::default()
    };
    let back = node.receive(0, Message::Promise { epoch, inventory });
    assert_eq!(back.assigned(0), []);
    // It goes on after all.
    let products = vec![product(given[0])];
    let done = node.receive(0, Message::Products { products });
    assert_eq!(done.assigned(0), given[1..]);
}

/// The assignment arrives late, and the worker lacks what it needs for it.
#[test]
fn a_worker_that_says_too_late_what_it_lacks_gets_work() {
    let (mut node, given) = with_an_overdue_worker();
    let epoch = node.node.highest();
    let operations = vec![given[0]];
    let answered = node.receive(0, Message::Missing { epoch, operations });
    assert_eq!(answered.assigned(0), given);
}
