//! One test a rule of who waits before it claims the office of a lower node again.

use std::time::Duration;

use crate::cluster::{Cluster, config};
use crate::solo::{Actions, FIRST, Solo, epoch};
use protocol::config::{Config, Preemption};
use protocol::event::Event;
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::Message;
use protocol::node::Node;
use protocol::trace::{ElectionCause, Trace};

const SECOND: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_millis(50);

/// Another coordinates, in so high a term, and the node joins it.
fn depose(node: &mut Solo, by: u8) -> Actions {
    let epoch = epoch(node.node.highest().term.0 + 1, by);
    let mut all = node.receive(by, Message::Collect { epoch });
    all.0.extend(node.receive(by, Message::Victory { epoch }).0);
    all
}

/// How long the node waits, in milliseconds, since it is damped.
fn waits(actions: &Actions) -> Option<u64> {
    actions.0.iter().find_map(|action| match action {
        protocol::event::Action::Trace {
            trace: Trace::PreemptionDamped { ms },
            ..
        } => Some(*ms),
        _ => None,
    })
}

fn claims(actions: &Actions) -> bool {
    let why = ElectionCause::Preemption;
    actions.traced(|trace| *trace == Trace::ElectionStarted { why })
}

/// The coordinator's other peer keeps it from waiting for anybody.
fn in_office(node: &mut Solo) {
    let epoch = node.node.highest();
    let inventory = protocol::message::Inventory::default();
    for peer in 0..2 {
        let inventory = inventory.clone();
        node.receive(peer, Message::Promise { epoch, inventory });
    }
    assert_eq!(node.node.acting(), Some(epoch));
}

/// Time passes, in which its follower is heard.
fn pass_following(node: &mut Solo, duration: Duration) -> Actions {
    let mut all = Vec::new();
    for _ in 0..duration.as_millis() / 50 {
        all.extend(node.pass(BEAT).0);
        let epoch = node.node.highest();
        if epoch.node != NodeId(node.id) {
            all.extend(node.receive(epoch.node.0, Message::Heartbeat { epoch }).0);
        }
    }
    Actions(all)
}

#[test]
fn who_loses_its_office_again_and_again_waits_longer_each_time_and_30_s_at_most() {
    let mut node = Solo::coordinating(2, config(3));
    assert!(claims(&depose(&mut node, 1)), "once is none");
    let mut told = Vec::new();
    for _ in 0..6 {
        in_office(&mut node);
        node.now = node.now + BEAT;
        let lost = depose(&mut node, 1);
        assert!(!claims(&lost));
        let ms = waits(&lost).unwrap();
        told.push(ms);
        let before = pass_following(&mut node, Duration::from_millis(ms) - BEAT * 2);
        assert!(!claims(&before), "before {ms} ms are over");
        assert_eq!(waits(&before), None, "told once");
        assert!(
            claims(&pass_following(&mut node, BEAT * 3)),
            "after {ms} ms"
        );
    }
    assert_eq!(told, [2_000, 8_000, 30_000, 30_000, 30_000, 30_000]);
}

#[test]
fn what_was_long_ago_is_forgotten() {
    let mut node = Solo::coordinating(2, config(3));
    for _ in 0..4 {
        assert!(claims(&depose(&mut node, 1)));
        in_office(&mut node);
        node.now = node.now + SECOND * 120;
    }
}

#[test]
fn a_stop_explains_a_loss_whichever_is_heard_of_first() {
    let mut node = Solo::coordinating(2, config(3));
    for _ in 0..4 {
        node.step(Event::WasStopped);
        assert!(claims(&depose(&mut node, 1)));
        in_office(&mut node);
    }
    depose(&mut node, 1);
    in_office(&mut node);
    assert_eq!(waits(&depose(&mut node, 1)), Some(2_000));
    assert!(claims(&node.step(Event::WasStopped)));
}

#[test]
fn a_stop_explains_one_loss_and_not_the_next() {
    let mut node = Solo::coordinating(2, config(3));
    node.step(Event::WasStopped);
    for damped in [false, false, true] {
        let lost = depose(&mut node, 1);
        assert_eq!(waits(&lost).is_some(), damped);
        if !damped {
            in_office(&mut node);
        }
    }
}

#[test]
fn a_cut_explains_a_loss_to_whom_the_node_was_cut_off_from() {
    let mut node = Solo::coordinating(2, config(3));
    for _ in 0..4 {
        node.link_up(1, FIRST);
        assert!(claims(&depose(&mut node, 1)));
        in_office(&mut node);
    }
    // Neither was heard.
    for _ in 0..4 {
        node.pass(SECOND);
        assert!(claims(&depose(&mut node, 1)));
        in_office(&mut node);
    }
    // Cut off from another it is no wonder that that one misses it.
    node.link_up(0, FIRST);
    depose(&mut node, 1);
    in_office(&mut node);
    node.link_up(0, FIRST);
    assert!(waits(&depose(&mut node, 1)).is_some());
}

#[test]
fn to_give_way_to_a_higher_node_is_no_loss() {
    let mut node = Solo::coordinating(2, config(4));
    for life in (10..15).map(Incarnation) {
        node.link_up(3, life);
        let epoch = Epoch {
            term: node.node.highest().term.next(),
            node: NodeId(3),
            incarnation: life,
        };
        node.receive_of(3, life, Message::Collect { epoch });
        assert_eq!(node.node.highest(), epoch);
        node.link_down(3, life);
        in_office(&mut node);
    }
    assert!(claims(&depose(&mut node, 1)));
}

#[test]
fn without_a_coordinator_a_damped_node_wins_as_always() {
    let mut node = Solo::coordinating(2, config(3));
    for _ in 0..2 {
        depose(&mut node, 1);
        if node.node.coordinator().is_none() {
            in_office(&mut node);
        }
    }
    assert!(node.node.damped_until().is_some());
    let actions = node.link_down(1, FIRST);
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));
}

/// A node in a new life, after so many that crashed, in a cluster that 1 leads.
fn reborn(config: Config, crashes: u32) -> (Solo, Actions) {
    let mut node = Solo::alone(2, config.clone());
    node.node = Node::new(config, NodeId(2), Incarnation(100), Term(7)).after_crashes(crashes);
    node.now = node.now + SECOND * 1_000;
    node.link_up(1, FIRST);
    let mut all = node.step(Event::Start);
    all.0.extend(depose(&mut node, 1).0);
    (node, all)
}

#[test]
fn a_node_that_crashes_in_a_loop_waits_before_it_claims_its_office_again() {
    for preemption in [Preemption::Graceful, Preemption::Immediate] {
        let config = Config {
            preemption,
            ..config(3)
        };
        for (crashes, expected) in [(2, 2_000), (3, 8_000), (4, 30_000), (u32::MAX, 30_000)] {
            let (mut node, born) = reborn(config.clone(), crashes);
            assert_eq!(waits(&born), Some(expected), "{crashes} {preemption:?}");
            let wait = Duration::from_millis(expected);
            assert!(!claims(&pass_following(&mut node, wait - BEAT * 2)));
            assert!(claims(&pass_following(&mut node, BEAT * 3)));
        }
    }
    for crashes in 0..2 {
        let (_, born) = reborn(config(3), crashes);
        assert!(claims(&born), "{crashes}");
    }
}

#[test]
fn kills_in_a_row_leave_preemption_as_immediate_as_ever() {
    let mut cluster = Cluster::new(config(4));
    for _ in 0..10 {
        cluster.run_until(SECOND, "the highest coordinates", |cluster| {
            cluster.coordinator() == Some(NodeId(3))
        });
        cluster.kill(NodeId(3));
        cluster.run_until(SECOND, "the next coordinates", |cluster| {
            cluster.coordinator() == Some(NodeId(2))
        });
        cluster.start(NodeId(3));
    }
}

#[test]
fn a_highest_node_that_is_starved_lets_the_next_do_the_work() {
    let mut cluster = Cluster::new(config(4));
    // It runs a moment, and nothing for a while; nobody is told.
    let starve = |cluster: &mut Cluster, times: u32| {
        for _ in 0..times {
            cluster.stop(NodeId(3));
            cluster.run_for(Duration::from_millis(700));
            cluster.go_on(NodeId(3));
            cluster.run_for(Duration::from_millis(100));
        }
    };
    cluster.run_for(SECOND);
    starve(&mut cluster, 25);
    let won = cluster.count(|trace| *trace == Trace::ElectionWon);
    assert!(won <= 8, "{won} terms in 20 s");
    cluster.run_until(
        SECOND * 31,
        "the highest coordinates when it is well",
        |cluster| cluster.coordinator() == Some(NodeId(3)),
    );
}
