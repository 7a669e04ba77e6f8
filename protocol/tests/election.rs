//! One test a rule of the election.

use std::time::Duration;

use crate::cluster::{Cluster, config};
use crate::solo::{Actions, FIRST, Solo, epoch};
use protocol::config::{Config, Preemption};
use protocol::event::{Action, ChildState, Event};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Message};
use protocol::status::RoleName;
use protocol::trace::{ElectionCause, StepDownCause, Trace};

const LIMIT: Duration = Duration::from_secs(10);
const SUSPECT: Duration = Duration::from_millis(500);

#[test]
fn at_the_start_the_highest_wins_the_one_election() {
    for nodes in 2..=9 {
        let mut cluster = Cluster::new(config(nodes));
        cluster.run_until(LIMIT, "a coordinator", |cluster| {
            cluster.coordinator() == Some(NodeId(nodes - 1))
        });
        cluster.run_for(Duration::from_secs(3));
        assert_eq!(
            cluster.count(|trace| matches!(trace, Trace::ElectionStarted { .. })),
            1
        );
        assert_eq!(
            cluster.count(|trace| matches!(trace, Trace::ElectionWon)),
            1
        );
        assert_eq!(cluster.nodes[&NodeId(0)].highest().term, Term(1));
    }
}

#[test]
fn a_candidate_asks_every_higher_node_that_it_does_not_know_to_be_down() {
    let mut node = Solo::following(2, config(6), epoch(1, 5));
    node.hint(3, ChildState::Stopped);
    let actions = node.link_down(5, FIRST);
    assert_eq!(actions.receivers("election"), [4]);
    assert_eq!(node.node.role(), RoleName::Candidate);
}

#[test]
fn a_candidate_asks_a_higher_node_once_its_link_stands() {
    let mut node = Solo::following(1, config(4), epoch(1, 3));
    node.hint(2, ChildState::Gone);
    node.step(Event::Hint {
        peer: NodeId(2),
        incarnation: Incarnation(9),
        state: ChildState::Running,
    });
    assert!(node.link_down(3, FIRST).receivers("election").is_empty());
    assert_eq!(node.link_up(2, Incarnation(9)).receivers("election"), [2]);
}

#[test]
fn with_no_higher_node_left_a_candidate_has_won() {
    let mut node = Solo::following(2, config(4), epoch(7, 3));
    let actions = node.link_down(3, FIRST);
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));
    assert_eq!(actions.receivers("collect"), [0, 1]);
}

#[test]
fn a_winner_takes_one_more_than_the_highest_term_it_has_seen() {
    let mut node = Solo::following(2, config(4), epoch(7, 3));
    node.receive(
        1,
        Message::Election {
            highest: epoch(40, 3),
            hangs: false,
        },
    );
    node.link_down(3, FIRST);
    let expected = Epoch {
        term: Term(41),
        node: NodeId(2),
        incarnation: Incarnation(100),
    };
    assert_eq!(node.node.highest(), expected);
}

#[test]
fn a_higher_node_answers_and_holds_its_own_election() {
    let mut node = Solo::linked(2, config(4));
    node.step(Event::Start);
    let actions = node.receive(
        0,
        Message::Election {
            highest: Epoch::NONE,
            hangs: false,
        },
    );
    assert!(actions.sent(0, "answer"));
    assert!(actions.traced(|trace| *trace
        == Trace::ElectionStarted {
            why: ElectionCause::Challenged
        }));
    assert_eq!(actions.receivers("election"), [3]);
}

#[test]
fn one_that_does_not_answer_in_time_counts_as_down() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    // Not the coordinator's link but its silence: it is asked no more, and nobody else is higher.
    let actions = node.pass(SUSPECT);
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));

    let mut node = Solo::following(1, config(4), epoch(1, 3));
    assert_eq!(node.link_down(3, FIRST).receivers("election"), [2]);
    assert!(
        node.pass(SUSPECT - Duration::from_millis(1))
            .receivers("collect")
            .is_empty()
    );
    assert_eq!(
        node.pass(Duration::from_millis(1)).receivers("collect"),
        [0],
        "2 counts as down"
    );
}

#[test]
fn an_answered_candidate_waits_and_starts_over_without_a_victory() {
    let mut node = Solo::following(1, config(4), epoch(1, 3));
    node.link_down(3, FIRST);
    node.receive(
        2,
        Message::Answer {
            highest: epoch(1, 3),
            hangs: false,
        },
    );
    assert!(node.pass(SUSPECT - Duration::from_millis(1)).0.is_empty());
    let actions = node.pass(Duration::from_millis(1));
    assert!(actions.traced(|trace| *trace
        == Trace::ElectionStarted {
            why: ElectionCause::NoVictory
        }));
    assert_eq!(actions.receivers("election"), [2]);
}

/// The coordinator is beyond a link that does not come back, and a third says that it follows it.
#[test]
fn who_is_answered_again_and_again_without_a_victory_waits_longer_each_time() {
    let mut node = Solo::following(1, config(4), epoch(1, 3));
    node.link_down(3, FIRST);
    let highest = epoch(1, 3);
    for doublings in 0..5 {
        let patience = SUSPECT
            .saturating_mul(1 << doublings)
            .min(Duration::from_secs(10));
        node.receive(
            2,
            Message::Answer {
                highest,
                hangs: false,
            },
        );
        let early = node.pass(patience - Duration::from_millis(1));
        assert!(early.receivers("election").is_empty(), "{doublings}");
        let due = node.pass(Duration::from_millis(1));
        assert_eq!(due.receivers("election"), [2], "{doublings}");
    }
}

#[test]
fn a_candidate_wins_when_the_one_that_answered_dies() {
    let mut node = Solo::following(1, config(4), epoch(1, 3));
    node.link_down(3, FIRST);
    node.receive(
        2,
        Message::Answer {
            highest: epoch(1, 3),
            hangs: false,
        },
    );
    assert!(
        node.link_down(2, FIRST)
            .traced(|trace| *trace == Trace::ElectionWon)
    );
}

#[test]
fn an_acting_coordinator_answers_an_election_with_its_victory_again() {
    let mut node = Solo::coordinating(3, config(4));
    let actions = node.receive(
        1,
        Message::Election {
            highest: Epoch::NONE,
            hangs: false,
        },
    );
    assert!(actions.sent(1, "victory"));
    assert!(!actions.sent(1, "answer"));
}

#[test]
fn a_follower_that_hears_its_coordinator_answers_with_the_epoch_and_holds_none() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    let actions = node.receive(
        0,
        Message::Election {
            highest: Epoch::NONE,
            hangs: false,
        },
    );
    assert_eq!(actions.to(0), [&Message::Following { epoch: epoch(1, 3) }]);
    assert_eq!(node.node.role(), RoleName::Worker);
}

#[test]
fn a_candidate_told_of_a_living_coordinator_follows_it() {
    let mut node = Solo::linked(0, config(4));
    node.step(Event::Start);
    node.pass(SUSPECT);
    assert_eq!(node.node.role(), RoleName::Candidate);
    let actions = node.receive(2, Message::Following { epoch: epoch(4, 3) });
    assert!(actions.promise(3).is_some());
    assert_eq!(node.node.coordinator(), Some(NodeId(3)));
}

#[test]
fn concurrent_elections_coalesce() {
    let mut cluster = Cluster::new(config(6));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(5))
    });
    cluster.kill(NodeId(5));
    cluster.run_until(LIMIT, "another", |cluster| {
        cluster.coordinator() == Some(NodeId(4))
    });
    cluster.run_for(Duration::from_secs(3));
    assert_eq!(
        cluster.count(|trace| matches!(trace, Trace::ElectionWon)),
        2
    );
    let started = cluster.count(|trace| matches!(trace, Trace::ElectionStarted { .. }));
    assert!(started <= 6, "at most one each, {started}");
}

#[test]
fn the_third_wins_when_the_two_highest_die_at_once() {
    let mut cluster = Cluster::new(config(5));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(4))
    });
    cluster.kill(NodeId(4));
    cluster.kill(NodeId(3));
    let begun = cluster.now;
    cluster.run_until(LIMIT, "the third", |cluster| {
        cluster.coordinator() == Some(NodeId(2))
    });
    assert!(
        cluster.now.since(begun) < Duration::from_millis(5),
        "links tell of crashes, not silence"
    );
}

#[test]
fn a_node_without_a_coordinator_holds_an_election_after_the_limit() {
    let mut node = Solo::linked(1, config(3));
    node.step(Event::Start);
    assert!(node.pass(SUSPECT - Duration::from_millis(1)).0.is_empty());
    let actions = node.pass(Duration::from_millis(1));
    assert!(actions.traced(|trace| *trace
        == Trace::ElectionStarted {
            why: ElectionCause::NoCoordinator
        }));
}

#[test]
fn a_promise_to_a_winner_that_falls_silent_ends_in_an_election() {
    let mut node = Solo::linked(1, config(3));
    node.step(Event::Start);
    node.receive(2, Message::Collect { epoch: epoch(1, 2) });
    let actions = node.pass(SUSPECT);
    assert!(actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
}

/// A winner says nothing while it is patient with another peer, which takes 100 ms.
#[test]
fn who_has_promised_is_patient_with_one_that_collects() {
    let short = Config {
        heartbeat: Duration::from_millis(10),
        suspect_after: Duration::from_millis(40),
        ..config(3)
    };
    let mut node = Solo::linked(1, short.clone());
    node.step(Event::Start);
    let winner = epoch(1, 2);
    node.receive(2, Message::Collect { epoch: winner });
    let elects =
        |actions: Actions| actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. }));
    assert!(!elects(node.pass(Duration::from_millis(150))));
    node.receive(2, Message::Victory { epoch: winner });
    assert!(
        elects(node.pass(short.suspect_after)),
        "it acts, and is silent"
    );
}

#[test]
fn a_coordinator_told_of_a_higher_epoch_steps_down_and_follows_its_owner() {
    let mut node = Solo::coordinating(2, config(4));
    node.link_up(3, Incarnation(5));
    let highest = Epoch {
        term: Term(9),
        node: NodeId(3),
        incarnation: Incarnation(5),
    };
    let actions = node.receive(1, Message::Stale { highest });
    assert!(actions.traced(|trace| *trace
        == Trace::SteppedDown {
            why: StepDownCause::Stale
        }));
    assert!(actions.promise(3).is_some());
    assert!(!actions.acts());
    assert_eq!(node.node.coordinator(), Some(NodeId(3)));
}

#[test]
fn told_of_a_higher_epoch_whose_owner_is_dead_it_elects_after_a_back_off() {
    let mut node = Solo::coordinating(2, config(4));
    let actions = node.receive(
        1,
        Message::Stale {
            highest: epoch(9, 3),
        },
    );
    assert!(!actions.acts());
    assert_eq!(node.node.acting(), None);
    let actions = node.pass(Duration::from_millis(100));
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));
    assert_eq!(node.node.highest().term, Term(10));
}

/// Two that a third hears, but not each other, would depose each other ten times a second.
#[test]
fn deposed_again_and_again_by_somebody_whom_it_cannot_hear_it_backs_off_longer() {
    let mut node = Solo::coordinating(2, config(4));
    let mut deposed = |term| {
        let highest = epoch(term, 3);
        node.receive(1, Message::Stale { highest });
        let wins = |actions: Actions| actions.traced(|trace| *trace == Trace::ElectionWon);
        let tries = (1..40).find(|_| wins(node.pass(Duration::from_millis(50))));
        tries.expect("an election")
    };
    let waits: Vec<u32> = (1..8).map(|round| deposed(10 * round)).collect();
    assert!(waits.is_sorted() && waits[0] <= 2, "{waits:?}");
    assert!(
        (9..=12).contains(&waits[6]),
        "as long as a suspicion: {waits:?}"
    );
}

#[test]
fn what_claims_authority_for_an_epoch_that_is_over_changes_nothing() {
    let mut node = Solo::following(1, config(4), epoch(5, 3));
    let before = node.node.clone();
    let stale = epoch(4, 2);
    let operations = vec![crate::solo::leaf(10, 0)];
    let claims = [
        Message::Collect { epoch: stale },
        Message::Pull {
            epoch: stale,
            operations: operations.clone(),
        },
        Message::Victory { epoch: stale },
        Message::Heartbeat { epoch: stale },
        Message::Assign {
            epoch: stale,
            operations,
        },
        Message::Checkpoint {
            epoch: stale,
            update: Default::default(),
        },
    ];
    for claim in claims {
        let name = claim.name();
        let actions = node.receive(2, claim);
        assert_eq!(
            actions.to(2),
            [&Message::Stale {
                highest: epoch(5, 3)
            }]
        );
        assert!(actions.traced(|trace| *trace
            == Trace::StaleRefused {
                what: name,
                from: NodeId(2)
            }));
        assert_eq!(node.node, before);
    }
}

#[test]
fn a_frame_of_a_dead_incarnation_is_dropped() {
    let mut node = Solo::following(1, config(4), epoch(5, 3));
    node.link_up(2, Incarnation(8));
    let late = Message::Collect { epoch: epoch(6, 2) };
    assert!(node.receive_of(2, FIRST, late).0.is_empty());
    assert_eq!(node.node.highest(), epoch(5, 3));
}

#[test]
fn a_coordinator_back_before_anybody_suspects_it_is_known_by_its_incarnation() {
    let mut node = Solo::following(2, config(4), epoch(5, 3));
    let actions = node.link_up(3, Incarnation(8));
    let why = ElectionCause::CoordinatorLost;
    assert!(
        actions.traced(|trace| *trace == Trace::ElectionStarted { why }),
        "the old life is over"
    );
    assert!(actions.sent(3, "election"), "the new life may win");
}

#[test]
fn an_epoch_in_the_name_of_another_node_is_ignored() {
    let mut node = Solo::following(1, config(4), epoch(5, 3));
    node.receive(2, Message::Collect { epoch: epoch(9, 0) });
    assert_eq!(node.node.highest(), epoch(5, 3));
}

#[test]
fn a_follower_that_stood_still_suspects_nobody_for_it() {
    let mut node = Solo::following(1, config(3), epoch(1, 2));
    node.stand_still(Duration::from_secs(9));
    let actions = node.pass(Duration::from_millis(499));
    assert!(actions.traced(|trace| matches!(trace, Trace::Gap { .. })));
    assert_eq!(node.node.role(), RoleName::Worker);
    assert!(
        node.pass(Duration::from_millis(1))
            .traced(|trace| matches!(trace, Trace::ElectionStarted { .. }))
    );
}

#[test]
fn only_the_coordinator_itself_ends_its_silence() {
    let elects_after = |from: u8, say: fn(Epoch) -> Message| {
        let mut node = Solo::following(0, config(3), epoch(1, 2));
        node.pass(Duration::from_millis(400));
        let highest = node.node.highest();
        node.receive(from, say(highest));
        let later = node.pass(Duration::from_millis(100));
        later.traced(|trace| matches!(trace, Trace::ElectionStarted { .. }))
    };
    assert!(!elects_after(2, |epoch| Message::Heartbeat { epoch }));
    assert!(elects_after(1, |highest| Message::Answer {
        highest,
        hangs: false
    }));
}

#[test]
fn a_coordinator_that_stood_still_holds_an_election_before_it_acts_again() {
    let mut node = Solo::coordinating(2, config(3));
    node.stand_still(Duration::from_secs(2));
    let inventory = Inventory::default();
    let old = node.node.highest();
    let actions = node.receive(
        1,
        Message::Promise {
            epoch: old,
            inventory,
        },
    );
    assert!(!actions.acts());
    assert_eq!(node.node.acting(), None);
    let actions = node.pass(Duration::ZERO);
    assert!(actions.traced(|trace| *trace
        == Trace::ElectionStarted {
            why: ElectionCause::Gap
        }));
    assert!(node.node.highest() > old);
}

#[test]
fn a_coordinator_that_stood_still_reads_its_mail_before_it_elects() {
    let mut node = Solo::coordinating(3, config(4));
    node.stand_still(Duration::from_secs(2));
    node.receive(2, Message::Heartbeat { epoch: epoch(2, 2) });
    let actions = node.pass(Duration::ZERO);
    assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
    assert_eq!(node.node.coordinator(), Some(NodeId(2)));
}

#[test]
fn a_stop_shorter_than_the_limit_changes_nothing() {
    let mut node = Solo::coordinating(2, config(3));
    let epoch = node.node.highest();
    node.stand_still(Duration::from_millis(300));
    node.pass(Duration::ZERO);
    assert_eq!(node.node.acting(), Some(epoch));
}

#[test]
fn a_coordinator_that_lost_every_link_takes_over_afresh() {
    let mut node = Solo::coordinating(2, config(3));
    let before = node.node.highest();
    node.link_down(0, FIRST);
    assert_eq!(node.node.highest(), before);
    let actions = node.link_down(1, FIRST);
    assert!(actions.traced(|trace| *trace
        == Trace::ElectionStarted {
            why: ElectionCause::Isolated
        }));
    assert_eq!(node.node.highest().term, Term(before.term.0 + 1));
}

#[test]
fn a_stopped_coordinator_is_replaced_at_once_when_the_supervisor_tells() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    let actions = node.hint(3, ChildState::Stopped);
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));
    assert!(
        !actions.sent(3, "collect"),
        "the stopped one is not waited for"
    );
}

#[test]
fn no_election_is_held_once_the_cluster_stops() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    node.step(Event::Stopping);
    let actions = node.link_down(3, FIRST);
    assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
    assert!(node.pass(Duration::from_secs(5)).0.is_empty());
}

/// The highest dies and comes back; returns the cluster after it has settled, and its elections.
/// The supervisor tells a node that was just bound both, in whatever order.
#[test]
fn a_start_that_comes_after_the_stop_begins_no_election() {
    let mut node = Solo::linked(2, config(3));
    node.step(Event::Stopping);
    let mut actions = node.step(Event::Start);
    actions.0.extend(node.pass(Duration::from_secs(3)).0);
    assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
}

#[test]
fn who_is_a_candidate_when_the_cluster_stops_wins_nothing() {
    let mut node = Solo::following(1, config(4), epoch(1, 3));
    node.link_down(3, FIRST);
    assert_eq!(node.node.role(), RoleName::Candidate);
    node.step(Event::Stopping);
    let mut actions = node.link_down(2, FIRST);
    actions.0.extend(node.pass(Duration::from_secs(3)).0);
    assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionWon)));
}

#[test]
fn who_collects_when_the_cluster_stops_does_not_begin_to_act() {
    let mut node = Solo::linked(2, config(3));
    node.step(Event::Start);
    let epoch = node.node.highest();
    let promises = |node: &mut Solo, peer| {
        let inventory = Inventory::default();
        node.receive(peer, Message::Promise { epoch, inventory })
    };
    promises(&mut node, 0);
    node.step(Event::Stopping);
    let mut actions = promises(&mut node, 1);
    actions.0.extend(node.pass(Duration::from_secs(3)).0);
    assert!(!actions.traced(|trace| matches!(trace, Trace::Acting)));
    assert_eq!(node.node.acting(), None);
}

/// A hint tells of two losses, of the life that was known and of its successor: each of them lets
/// the node win.
#[test]
fn a_step_wins_one_election_at_most() {
    let mut node = Solo::linked(0, config(3));
    node.step(Event::Start);
    node.hint(2, ChildState::Stopped);
    node.pass(SUSPECT);
    assert_eq!(node.node.role(), RoleName::Candidate);
    // So that nothing keeps a winner waiting: it has been awake for a while, and the new life of the
    // other is younger than it.
    for _ in 0..3 {
        node.pass(Duration::from_millis(50));
        node.step(Event::Alive {
            from: NodeId(1),
            incarnation: FIRST,
        });
    }
    let actions = node.step(Event::Hint {
        peer: NodeId(1),
        incarnation: Incarnation(101),
        state: ChildState::Stopped,
    });
    let won = |action: &&Action| {
        let trace = Trace::ElectionWon;
        matches!(action, Action::Trace { trace: traced, .. } if *traced == trace)
    };
    assert_eq!(actions.0.iter().filter(won).count(), 1, "{actions:?}");
    assert_eq!(node.node.highest().term, Term(1));
}

#[test]
fn an_epoch_of_a_node_that_does_not_exist_is_not_learnt() {
    let mut node = Solo::following(1, config(3), epoch(1, 2));
    let unknown = epoch(7, 9);
    let actions = node.receive(0, Message::Stale { highest: unknown });
    assert!(actions.0.is_empty(), "{actions:?}");
    assert_eq!(node.node.highest(), epoch(1, 2));
}

fn come_back(preemption: Preemption) -> Cluster {
    let mut cluster = Cluster::new(protocol::config::Config {
        preemption,
        ..config(4)
    });
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(3))
    });
    cluster.kill(NodeId(3));
    cluster.run_until(LIMIT, "another", |cluster| {
        cluster.coordinator() == Some(NodeId(2))
    });
    cluster.start(NodeId(3));
    cluster.run_for(Duration::from_secs(5));
    cluster
}

#[test]
fn a_graceful_higher_node_catches_up_before_it_preempts() {
    let cluster = come_back(Preemption::Graceful);
    assert_eq!(cluster.coordinator(), Some(NodeId(3)));
    let of_three: Vec<&Trace> = cluster
        .traces
        .iter()
        .filter(|(id, _)| *id == NodeId(3))
        .map(|(_, trace)| trace)
        .collect();
    let followed = of_three
        .iter()
        .rposition(|trace| matches!(trace, Trace::Following { .. }));
    let won = of_three
        .iter()
        .rposition(|trace| matches!(trace, Trace::ElectionWon));
    assert!(followed.is_some() && followed < won, "{of_three:?}");
    assert_eq!(
        cluster.count(|trace| matches!(trace, Trace::ElectionWon)),
        3
    );
}

#[test]
fn an_immediate_higher_node_holds_an_election_at_once() {
    let cluster = come_back(Preemption::Immediate);
    assert_eq!(cluster.coordinator(), Some(NodeId(3)));
    let followed = |(id, trace): &(NodeId, Trace)| {
        *id == NodeId(3) && matches!(trace, Trace::Following { .. })
    };
    assert!(!cluster.traces.iter().any(followed));
}

#[test]
fn a_higher_node_that_never_preempts_follows() {
    let cluster = come_back(Preemption::Never);
    assert_eq!(cluster.coordinator(), Some(NodeId(2)));
    assert_eq!(cluster.nodes[&NodeId(3)].role(), RoleName::Worker);
}

#[test]
fn a_preempting_node_obeys_the_coordinator_until_it_has_won() {
    let mut node = Solo::linked(2, config(4));
    node.step(Event::Start);
    let coordinator = epoch(4, 0);
    node.receive(0, Message::Collect { epoch: coordinator });
    let actions = node.receive(0, Message::Victory { epoch: coordinator });
    let why = ElectionCause::Preemption;
    assert!(actions.traced(|trace| *trace == Trace::ElectionStarted { why }));
    assert_eq!(actions.receivers("election"), [3]);
    // 3 says nothing. Meanwhile the coordinator is served, and no second election begins.
    let operations = vec![crate::solo::leaf(40, 0)];
    let assign = Message::Assign {
        epoch: coordinator,
        operations,
    };
    for message in [
        Message::Heartbeat { epoch: coordinator },
        assign,
        Message::Victory { epoch: coordinator },
    ] {
        let actions = node.receive(0, message);
        assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
        assert_eq!(node.node.role(), RoleName::Candidate);
    }
    let actions = node.pass(SUSPECT);
    assert!(actions.traced(|trace| *trace == Trace::ElectionWon));
}

#[test]
fn delay_never_applies_to_elections() {
    let mut slow = config(4);
    slow.delay = Duration::from_secs(10);
    let mut cluster = Cluster::new(slow);
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(3))
    });
    cluster.drop_job("job.job", "100\n");
    cluster.run_for(Duration::from_secs(1));
    cluster.kill(NodeId(3));
    let begun = cluster.now;
    cluster.run_until(LIMIT, "another", |cluster| {
        cluster.coordinator() == Some(NodeId(2))
    });
    assert!(cluster.now.since(begun) < Duration::from_millis(5));
}

#[test]
fn after_all_die_at_once_a_coordinator_is_found_without_a_storm() {
    let mut cluster = Cluster::new(config(5));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(4))
    });
    for id in 0..5 {
        cluster.kill(NodeId(id));
    }
    let before = cluster.count(|trace| matches!(trace, Trace::ElectionStarted { .. }));
    for id in 0..5 {
        cluster.start(NodeId(id));
    }
    cluster.run_until(Duration::from_secs(2), "a coordinator again", |cluster| {
        cluster.coordinator() == Some(NodeId(4))
    });
    cluster.run_for(Duration::from_secs(3));
    let started = cluster.count(|trace| matches!(trace, Trace::ElectionStarted { .. })) - before;
    assert!(started <= 10, "{started} elections");
}

#[test]
fn a_stopped_coordinator_that_goes_on_is_refused_and_steps_down() {
    let mut cluster = Cluster::new(config(4));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(3))
    });
    cluster.stop(NodeId(3));
    let acting = |cluster: &Cluster| {
        cluster
            .nodes
            .get(&NodeId(2))
            .is_some_and(|node| node.acting().is_some())
    };
    cluster.run_until(LIMIT, "another, by silence", acting);
    cluster.run_for(Duration::from_secs(1));
    cluster.go_on(NodeId(3));
    cluster.run_until(LIMIT, "the highest again", |cluster| {
        cluster.coordinator() == Some(NodeId(3))
    });
    let stepped_down = |(id, trace): &(NodeId, Trace)| {
        *id == NodeId(3) && matches!(trace, Trace::SteppedDown { .. })
    };
    assert!(cluster.traces.iter().any(stepped_down));
}

#[test]
fn a_dead_direction_of_a_link_leaves_no_lasting_pair_of_coordinators() {
    for (from, to) in [(0u8, 3u8), (3, 0), (2, 3), (3, 2)] {
        let mut cluster = Cluster::new(config(4));
        cluster.run_until(LIMIT, "a coordinator", |cluster| {
            cluster.coordinator() == Some(NodeId(3))
        });
        cluster.passes = match (from, to) {
            (0, 3) => |from, to, _| (from.0, to.0) != (0, 3),
            (3, 0) => |from, to, _| (from.0, to.0) != (3, 0),
            (2, 3) => |from, to, _| (from.0, to.0) != (2, 3),
            _ => |from, to, _| (from.0, to.0) != (3, 2),
        };
        cluster.run_for(Duration::from_secs(5));
        let mut overlap = 0;
        for _ in 0..200 {
            cluster.run_for(Duration::from_millis(20));
            let acting = cluster
                .nodes
                .values()
                .filter(|node| node.acting().is_some())
                .count();
            overlap += usize::from(acting > 1);
        }
        assert!(
            overlap < 20,
            "{from} to {to}: {overlap} of 200 looks saw two coordinators"
        );
    }
}

#[test]
fn the_term_that_a_process_was_started_with_is_nobodys_coordinatorship() {
    let told = Epoch {
        term: Term(3),
        ..Epoch::NONE
    };
    for preemption in [
        Preemption::Graceful,
        Preemption::Immediate,
        Preemption::Never,
    ] {
        let config = Config {
            preemption,
            ..config(4)
        };
        let mut node = Solo::alone(2, config);
        node.step(Event::Start);
        // Its peer has just been started, by a supervisor that knows how far the terms have got.
        let actions = node.step(Event::LinkUp {
            peer: NodeId(1),
            incarnation: FIRST,
            highest: told,
        });
        assert_eq!(node.node.coordinator(), None, "{preemption:?}");
        let elects = |trace: &Trace| matches!(trace, Trace::ElectionStarted { .. });
        assert!(!actions.traced(elects), "{preemption:?}");
    }
}
