//! One test a rule of what happens when the file system does not answer.

use std::time::Duration;

use crate::cluster::{Cluster, config};
use crate::solo::{Actions, Solo, epoch};
use protocol::config::{Config, Preemption};
use protocol::event::Event;
use protocol::id::NodeId;
use protocol::message::Message;
use protocol::status::RoleName;
use protocol::trace::{ElectionCause, StepDownCause, Trace};

const SLOW: Event = Event::FilesSlow {
    lasts: Duration::from_secs(3),
};
const BEAT: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(10);

/// Nodes 0 to 5, led by 5, long enough for all to have said how they are.
fn led() -> Cluster {
    let mut cluster = Cluster::new(config(6));
    await_leader(&mut cluster, 5);
    cluster
}

fn await_leader(cluster: &mut Cluster, id: u8) {
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(id))
    });
    cluster.run_for(BEAT * 3);
}

fn hang(cluster: &mut Cluster, id: u8) {
    cluster.handle(NodeId(id), SLOW);
}

fn answer(cluster: &mut Cluster, id: u8) {
    cluster.handle(NodeId(id), Event::FilesAnswer);
}

fn won(cluster: &Cluster) -> usize {
    cluster.count(|trace| *trace == Trace::ElectionWon)
}

fn gave_way(actions: &Actions) -> bool {
    let why = StepDownCause::FileCallSlow;
    actions.traced(|trace| *trace == Trace::SteppedDown { why })
}

#[test]
fn a_hang_is_told_once_and_so_is_its_end() {
    let mut node = Solo::coordinating(1, config(2));
    node.now = node.now + LIMIT;
    let actions = node.step(SLOW);
    assert!(actions.traced(|trace| *trace == Trace::FileCallSlow { ms: 3_000 }));
    let told = actions.warnings();
    assert!(
        told.len() == 1 && told[0].contains("has not answered for 3 s"),
        "{told:?}"
    );
    node.now = node.now + Duration::from_secs(2);
    node.receive(
        0,
        Message::Pulse {
            epoch: node.node.highest(),
            hangs: false,
        },
    );
    assert_eq!(node.node.status().slow_file_ms, 5_000);
    let actions = node.step(Event::FilesAnswer);
    let told = actions.warnings();
    assert!(
        told.len() == 1 && told[0].contains("answers again, after 5 s"),
        "{told:?}"
    );
    assert_eq!(node.node.status().slow_file_ms, 0);
    assert!(node.step(Event::FilesAnswer).warnings().is_empty());
}

#[test]
fn a_coordinator_that_hangs_gives_way_to_the_next_which_does_the_work() {
    let mut cluster = led();
    hang(&mut cluster, 5);
    cluster.drop_job("ten.job", "10!\n");
    cluster.run_until(BEAT * 3, "the next coordinates", |cluster| {
        cluster.coordinator() == Some(NodeId(4))
    });
    assert_eq!(won(&cluster), 2);
    let why = ElectionCause::HandedOver;
    assert_eq!(
        cluster.count(|trace| *trace == Trace::ElectionStarted { why }),
        1
    );
    // It stays a worker as long as it hangs.
    cluster.run_for(Duration::from_secs(90));
    assert_eq!(cluster.nodes[&NodeId(5)].role(), RoleName::Worker);
    assert_eq!(cluster.coordinator(), Some(NodeId(4)));
    assert_eq!(won(&cluster), 2);
    let text = cluster.file(protocol::file::Folder::Done, "ten.txt");
    assert_eq!(text.as_deref(), Some("10!=3628800\n"));
}

#[test]
fn it_takes_its_office_back_when_its_files_answer() {
    let mut cluster = led();
    hang(&mut cluster, 5);
    await_leader(&mut cluster, 4);
    answer(&mut cluster, 5);
    await_leader(&mut cluster, 5);
    assert_eq!(won(&cluster), 3);
}

#[test]
fn where_the_disk_hangs_for_all_the_office_is_handed_over_once() {
    let mut cluster = led();
    hang(&mut cluster, 5);
    await_leader(&mut cluster, 4);
    hang(&mut cluster, 4);
    cluster.run_for(Duration::from_secs(200));
    assert_eq!(cluster.coordinator(), Some(NodeId(4)));
    assert_eq!(won(&cluster), 2);
    // A death is no reason to hand over again either.
    cluster.kill(NodeId(4));
    await_leader(&mut cluster, 3);
    hang(&mut cluster, 3);
    cluster.run_for(Duration::from_secs(200));
    assert_eq!(cluster.coordinator(), Some(NodeId(3)));
    assert_eq!(won(&cluster), 3);
}

#[test]
fn the_successor_keeps_the_office_though_the_first_has_just_had_an_answer() {
    // A disk on which every call takes long.
    let never = Config {
        preemption: Preemption::Never,
        ..config(6)
    };
    let mut cluster = Cluster::new(never);
    await_leader(&mut cluster, 5);
    hang(&mut cluster, 5);
    await_leader(&mut cluster, 4);
    answer(&mut cluster, 5);
    hang(&mut cluster, 4);
    cluster.run_for(LIMIT);
    assert_eq!(cluster.coordinator(), Some(NodeId(4)));
    // After a while it is a hang of its own, of which another may be free.
    cluster.run_for(Duration::from_secs(60));
    assert_eq!(cluster.coordinator(), Some(NodeId(5)));
    assert_eq!(won(&cluster), 3);
}

#[test]
fn a_new_life_of_the_first_does_not_pass_the_office_on_again() {
    let mut cluster = led();
    hang(&mut cluster, 5);
    await_leader(&mut cluster, 4);
    hang(&mut cluster, 4);
    cluster.kill(NodeId(5));
    cluster.start(NodeId(5));
    await_leader(&mut cluster, 5);
    hang(&mut cluster, 5);
    cluster.run_for(Duration::from_secs(200));
    assert_eq!(cluster.coordinator(), Some(NodeId(5)));
    assert_eq!(won(&cluster), 3);
}

#[test]
fn nobody_gives_way_without_a_successor() {
    let mut node = Solo::coordinating(1, config(2));
    node.link_down(0, crate::solo::FIRST);
    node.step(SLOW);
    assert!(!gave_way(&node.pass(LIMIT)));
}

#[test]
fn only_the_best_that_has_joined_is_asked_to_take_over() {
    let mut node = Solo::coordinating(3, config(4));
    node.hint(2, protocol::event::ChildState::Stopped);
    node.step(SLOW);
    let actions = node.pass(BEAT);
    assert!(gave_way(&actions));
    assert_eq!(actions.receivers("election"), [1]);
}

#[test]
fn if_the_successor_is_silent_all_others_are_asked_and_with_nobody_left_it_stays() {
    let mut node = Solo::coordinating(3, config(4));
    node.step(SLOW);
    assert_eq!(node.pass(BEAT).receivers("election"), [2]);
    let asked = node.pass(Duration::from_millis(500));
    assert_eq!(asked.receivers("election"), [0, 1, 2]);
    let actions = node.pass(Duration::from_millis(500));
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));
}

#[test]
fn whoever_does_not_hang_wins_against_a_higher_one_that_does() {
    let mut node = Solo::following(1, config(4), epoch(1, 2));
    node.link_down(2, crate::solo::FIRST);
    let highest = epoch(1, 2);
    let won = node.receive(
        3,
        Message::Answer {
            highest,
            hangs: true,
        },
    );
    assert!(won.traced(|trace| *trace == Trace::ElectionWon));

    // And the one that hangs says so, and holds no election for it.
    let mut node = Solo::following(3, never(), epoch(1, 2));
    node.step(SLOW);
    let actions = node.receive(
        1,
        Message::Election {
            highest: epoch(1, 2),
            hangs: false,
        },
    );
    assert!(
        matches!(actions.to(1)[..], [Message::Answer { hangs: true, .. }]),
        "{actions:?}"
    );
    assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
}

#[test]
fn who_hangs_claims_nobodys_office_before_its_files_answer() {
    let mut node = Solo::linked(3, config(4));
    node.step(Event::Start);
    node.step(SLOW);
    node.receive(2, Message::Collect { epoch: epoch(5, 2) });
    let joined = node.receive(2, Message::Victory { epoch: epoch(5, 2) });
    assert!(!joined.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
    let actions = node.step(Event::FilesAnswer);
    let why = ElectionCause::Preemption;
    assert!(actions.traced(|trace| *trace == Trace::ElectionStarted { why }));
}

fn never() -> Config {
    Config {
        preemption: Preemption::Never,
        ..config(4)
    }
}
