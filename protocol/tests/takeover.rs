//! One test a rule of takeover, checkpoint and dispatch.

use std::time::Duration;

use crate::cluster::{Cluster, config, factorial};
use crate::solo::{Actions, FIRST, Solo, epoch, leaf, product};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::file::{FilePath, Folder};
use protocol::id::{Incarnation, NodeId};
use protocol::message::{Inventory, Message, Update};
use protocol::plan::{OperationId, Plan, Shape};
use protocol::trace::{ReassignCause, StepDownCause, Trace};

const LIMIT: Duration = Duration::from_secs(60);

/// A node that has won and collects from the lower ones.
fn winner(id: u8, config: Config) -> (Solo, Actions) {
    let mut node = Solo::following(id, config, epoch(1, id + 1));
    let actions = node.link_down(id + 1, FIRST);
    (node, actions)
}

fn held(operations: &[OperationId]) -> Inventory {
    Inventory {
        held: operations.to_vec(),
        ..Inventory::default()
    }
}

fn products(operations: &[OperationId]) -> Message {
    Message::Products {
        products: operations.iter().copied().map(product).collect(),
    }
}

#[test]
fn to_answer_collect_is_a_promise() {
    let mut node = Solo::following(0, config(4), epoch(1, 3));
    assert!(
        node.receive(2, Message::Collect { epoch: epoch(2, 2) })
            .promise(2)
            .is_some()
    );
    let actions = node.receive(3, Message::Heartbeat { epoch: epoch(1, 3) });
    assert_eq!(
        actions.to(3),
        [&Message::Stale {
            highest: epoch(2, 2)
        }]
    );
    let actions = node.receive(1, Message::Collect { epoch: epoch(2, 1) });
    assert_eq!(
        actions.to(1),
        [&Message::Stale {
            highest: epoch(2, 2)
        }]
    );
}

#[test]
fn an_incumbent_stops_before_it_answers() {
    let mut node = Solo::coordinating(2, config(4));
    node.link_up(3, Incarnation(5));
    let higher = protocol::id::Epoch {
        incarnation: Incarnation(5),
        ..epoch(2, 3)
    };
    let actions = node.receive_of(3, Incarnation(5), Message::Collect { epoch: higher });
    assert!(actions.traced(|trace| *trace
        == Trace::SteppedDown {
            why: StepDownCause::Promised
        }));
    assert!(actions.promise(3).is_some());
    assert!(!actions.acts());
    assert!(!node.pass(Duration::from_millis(200)).acts());
}

#[test]
fn the_promise_tells_what_is_held_kept_and_queued() {
    let mut node = Solo::following(0, config(4), epoch(1, 3));
    let (a, b, c) = (leaf(40, 0), leaf(40, 1), leaf(40, 2));
    let update = Update {
        products: vec![product(a)],
        ..Update::default()
    };
    node.receive(
        3,
        Message::Checkpoint {
            epoch: epoch(1, 3),
            update,
        },
    );
    node.receive(
        3,
        Message::Assign {
            epoch: epoch(1, 3),
            operations: vec![b, c],
        },
    );
    node.step(Event::Computed {
        products: vec![product(b)],
    });
    let inventory = node
        .receive(2, Message::Collect { epoch: epoch(2, 2) })
        .promise(2)
        .unwrap();
    assert_eq!(inventory.held, [a]);
    assert_eq!(inventory.kept, [b]);
    assert_eq!(inventory.queued, [c]);
}

#[test]
fn a_winner_waits_for_every_live_peer_and_then_acts() {
    let (mut node, actions) = winner(2, config(4));
    assert_eq!(actions.receivers("collect"), [0, 1]);
    let epoch = node.node.highest();
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    assert!(!actions.acts());
    let actions = node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    assert!(actions.traced(|trace| *trace == Trace::Acting));
    assert_eq!(actions.receivers("victory"), [0, 1]);
}

#[test]
fn a_winner_pulls_the_values_that_it_lacks_once_and_merges_all() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    let (a, b) = (leaf(40, 0), leaf(40, 5));
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[a, b]),
        },
    );
    assert_eq!(
        actions.to(0),
        [&Message::Pull {
            epoch,
            operations: vec![a, b]
        }]
    );
    let actions = node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: held(&[b]),
        },
    );
    assert!(!actions.sent(1, "pull"), "asked of 0 already");
    let actions = node.receive(0, products(&[a, b]));
    assert!(actions.traced(|trace| *trace == Trace::Acting));
    let have: Vec<OperationId> = node.node.held().map(|(id, _)| id).collect();
    assert_eq!(have, [a, b]);
    assert_eq!(actions.checkpointed(1), [a], "what 1 lacks");
    assert!(actions.checkpointed(0).is_empty());
}

#[test]
fn what_lies_below_a_held_product_is_not_pulled() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    let plan = Plan::new(16);
    node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[plan.last()]),
        },
    );
    node.receive(0, products(&[plan.last()]));
    let actions = node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: held(&[plan.leaf(0)]),
        },
    );
    assert!(!actions.sent(1, "pull"));
    assert_eq!(actions.checkpointed(1), [plan.last()]);
}

#[test]
fn a_peer_that_delivers_nothing_is_passed_over_and_another_is_asked() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    let a = leaf(40, 0);
    assert!(
        node.receive(
            0,
            Message::Promise {
                epoch,
                inventory: held(&[a])
            }
        )
        .sent(0, "pull")
    );
    node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: held(&[a]),
        },
    );
    let actions = node.pass(Duration::from_millis(100));
    assert_eq!(
        actions.to(1),
        [&Message::Pull {
            epoch,
            operations: vec![a]
        }]
    );
    let actions = node.receive(1, products(&[a]));
    assert!(actions.traced(|trace| *trace == Trace::Acting));
}

#[test]
fn signs_of_life_keep_a_winner_patient() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    for _ in 0..5 {
        node.pass(Duration::from_millis(90));
        node.step(Event::Alive {
            from: NodeId(0),
            incarnation: FIRST,
        });
    }
    assert_eq!(node.node.acting(), None);
    node.pass(Duration::from_millis(100));
    assert_eq!(node.node.acting(), Some(epoch));
}

/// Its own question may not even be sent, if the process was held up just then.
#[test]
fn a_winner_that_stood_still_passes_nobody_over_for_it_but_waits_no_third_time() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    let held_up = |node: &mut Solo| {
        node.stand_still(Duration::from_millis(110));
        node.pass(Duration::ZERO);
    };
    held_up(&mut node);
    assert_eq!(node.node.acting(), None);
    node.pass(Duration::from_millis(60));
    node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    assert_eq!(node.node.acting(), None);
    held_up(&mut node);
    assert_eq!(node.node.acting(), Some(epoch));
}

#[test]
fn what_a_passed_over_peer_reports_later_is_not_lost() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    node.pass(Duration::from_millis(100));
    let a = leaf(40, 0);
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[a]),
        },
    );
    assert_eq!(
        actions.to(0)[0],
        &Message::Pull {
            epoch,
            operations: vec![a]
        }
    );
    assert!(actions.sent(0, "victory"));
    assert_eq!(node.receive(0, products(&[a])).checkpointed(1), [a]);
}

#[test]
fn a_kept_product_is_used_and_a_queued_operation_stays_with_its_worker() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    let plan = Plan::new(12);
    let inventory = Inventory {
        kept: vec![plan.leaf(0)],
        queued: vec![plan.leaf(1)],
        ..Inventory::default()
    };
    node.receive(0, Message::Promise { epoch, inventory });
    node.receive(0, products(&[plan.leaf(0)]));
    node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    let actions = node.find_job("12!");
    let assigned: Vec<OperationId> = actions
        .iter()
        .flat_map(|actions| [actions.assigned(0), actions.assigned(1)].concat())
        .collect();
    assert_eq!(assigned, [plan.leaf(2)], "the only leaf that nobody has");
}

#[test]
fn the_checkpoint_goes_out_before_what_relies_on_it() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    let plan = Plan::new(8);
    node.receive(0, products(&[plan.leaf(0)]));
    let actions = node.receive(1, products(&[plan.leaf(1)]));
    let to_worker = [actions.to(0), actions.to(1)]
        .into_iter()
        .find(|sent| sent.iter().any(|m| m.name() == "assign"));
    let names: Vec<&str> = to_worker.unwrap().into_iter().map(Message::name).collect();
    assert_eq!(names, ["checkpoint", "assign"]);
    assert_eq!(
        [actions.assigned(0), actions.assigned(1)].concat(),
        [plan.last()]
    );
}

#[test]
fn a_worker_keeps_a_product_until_the_stream_shows_it() {
    let mut node = Solo::following(0, config(3), epoch(1, 2));
    let a = leaf(40, 0);
    node.receive(
        2,
        Message::Assign {
            epoch: epoch(1, 2),
            operations: vec![a],
        },
    );
    assert!(
        node.step(Event::Computed {
            products: vec![product(a)]
        })
        .sent(2, "products")
    );
    let again = node.receive(
        2,
        Message::Assign {
            epoch: epoch(1, 2),
            operations: vec![a],
        },
    );
    assert_eq!(
        again.to(2),
        [&products(&[a])],
        "answered with the product, not computed again"
    );
    let update = Update {
        products: vec![product(a)],
        ..Update::default()
    };
    node.receive(
        2,
        Message::Checkpoint {
            epoch: epoch(1, 2),
            update,
        },
    );
    let inventory = node
        .receive(1, Message::Collect { epoch: epoch(2, 1) })
        .promise(1)
        .unwrap();
    assert!(inventory.kept.is_empty());
    assert_eq!(inventory.held, [a]);
}

#[test]
fn done_cancels_what_is_queued() {
    let mut with_delay = config(3);
    with_delay.delay = Duration::from_millis(10);
    let mut node = Solo::following(0, with_delay, epoch(1, 2));
    let (a, b) = (leaf(40, 0), leaf(40, 1));
    node.receive(
        2,
        Message::Assign {
            epoch: epoch(1, 2),
            operations: vec![a, b],
        },
    );
    let update = Update {
        products: vec![product(b)],
        ..Update::default()
    };
    node.receive(
        2,
        Message::Checkpoint {
            epoch: epoch(1, 2),
            update,
        },
    );
    node.step(Event::Computed {
        products: vec![product(a)],
    });
    let actions = node.pass(Duration::from_millis(10));
    assert!(actions.sent(2, "products"));
    assert!(
        !actions
            .0
            .iter()
            .any(|action| matches!(action, Action::Compute { .. })),
        "{actions:?}"
    );
}

#[test]
fn a_worker_without_an_operand_says_so_and_gets_it() {
    let plan = Plan::new(8);
    let mut worker = Solo::following(0, config(3), epoch(1, 2));
    let assign = Message::Assign {
        epoch: epoch(1, 2),
        operations: vec![plan.last()],
    };
    let actions = worker.receive(2, assign);
    assert_eq!(
        actions.to(2),
        [&Message::Missing {
            epoch: epoch(1, 2),
            operations: vec![plan.last()]
        }]
    );

    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    node.receive(0, products(&[plan.leaf(0), plan.leaf(1)]));
    let epoch = node.node.highest();
    let actions = node.receive(
        0,
        Message::Missing {
            epoch,
            operations: vec![plan.last()],
        },
    );
    let actions = if actions.0.is_empty() {
        node.receive(
            1,
            Message::Missing {
                epoch,
                operations: vec![plan.last()],
            },
        )
    } else {
        actions
    };
    let receiver = if actions.to(0).is_empty() { 1 } else { 0 };
    assert_eq!(actions.checkpointed(receiver), [plan.leaf(0), plan.leaf(1)]);
    assert_eq!(actions.assigned(receiver), [plan.last()]);
}

#[test]
fn the_operations_of_a_dead_worker_go_to_others() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    let actions = node.link_down(0, FIRST);
    let plan = Plan::new(8);
    assert_eq!(actions.assigned(1), [plan.leaf(0)]);
    let op = plan.leaf(0);
    assert!(actions.traced(|trace| *trace
        == Trace::OperationReassigned {
            op,
            why: ReassignCause::WorkerDied
        }));
}

#[test]
fn an_operation_past_its_deadline_goes_to_another_without_an_election() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    let epoch = node.node.highest();
    let mut reassigned = false;
    for _ in 0..1300 {
        let actions = node.pass(Duration::from_millis(50));
        reassigned |= actions.traced(|trace| {
            matches!(
                trace,
                Trace::OperationReassigned {
                    why: ReassignCause::Deadline,
                    ..
                }
            )
        });
        for worker in [0, 1] {
            node.receive(
                worker,
                Message::Pulse {
                    epoch,
                    hangs: false,
                },
            );
        }
    }
    assert!(reassigned);
    assert_eq!(node.node.acting(), Some(epoch));
}

#[test]
fn an_operation_that_kills_its_workers_fails_its_job_and_spares_the_cluster() {
    let mut cluster = Cluster::new(Config {
        attempts: 3,
        ..config(5)
    });
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(4))
    });
    cluster.drop_job("deadly.job", "13!");
    cluster.drop_job("good.job", "5!");
    let deadly = Plan::new(13).last();
    let mut seen = 0;
    while cluster.file(Folder::Failed, "deadly.txt").is_none() {
        cluster.step();
        let computing: Vec<NodeId> = cluster.traces[seen..]
            .iter()
            .filter(|(_, trace)| *trace == Trace::Computing { op: deadly })
            .map(|(id, _)| *id)
            .collect();
        seen = cluster.traces.len();
        for victim in computing {
            cluster.kill(victim);
            cluster.start(victim);
        }
    }
    assert!(
        cluster
            .file(Folder::Failed, "deadly.txt")
            .unwrap()
            .starts_with("13!: 3 workers died")
    );
    cluster.run_until(LIMIT, "the other job", |cluster| {
        cluster.file(Folder::Done, "good.txt").is_some()
    });
    assert_eq!(cluster.coordinator(), Some(NodeId(4)));
}

#[test]
fn the_last_worker_may_be_the_last_victim_and_the_job_fails_all_the_same() {
    let mut cluster = Cluster::new(Config {
        attempts: 2,
        ..config(3)
    });
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(2))
    });
    cluster.drop_job("deadly.job", "13!");
    let deadly = Plan::new(13).last();
    let mut seen = 0;
    let mut deaths = 0;
    let mut dead = Vec::new();
    while cluster.file(Folder::Failed, "deadly.txt").is_none() {
        cluster.step();
        let hit = |(_, trace): &&(NodeId, Trace)| *trace == Trace::Computing { op: deadly };
        let computing = cluster.traces[seen..].iter().filter(hit);
        let victims: Vec<NodeId> = computing.map(|(id, _)| *id).collect();
        seen = cluster.traces.len();
        for victim in victims {
            cluster.kill(victim);
            dead.push(victim);
            deaths += 1;
        }
        // They come back only after both are gone, and find the count where it was.
        if dead.len() == 2 {
            cluster.run_for(Duration::from_millis(20));
            for id in std::mem::take(&mut dead) {
                cluster.start(id);
            }
        }
        assert!(deaths <= 2, "the third worker died of it");
    }
}

#[test]
fn a_restarted_worker_gets_the_snapshot_before_it_gets_work() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("40!");
    node.receive(0, products(&[leaf(40, 0)]));
    node.link_down(0, FIRST);
    let actions = node.link_up(0, Incarnation(7));
    assert_eq!(
        actions
            .to(0)
            .into_iter()
            .map(Message::name)
            .collect::<Vec<_>>(),
        ["collect"]
    );
    let epoch = node.node.highest();
    let promise = Message::Promise {
        epoch,
        inventory: Inventory::default(),
    };
    let actions = node.receive_of(0, Incarnation(7), promise);
    assert_eq!(actions.checkpointed(0), [leaf(40, 0)]);
    let mut names = actions.to(0).into_iter().map(Message::name);
    assert_eq!(names.find(|&name| name != "checkpoint"), Some("victory"));
}

#[test]
fn a_cut_link_loses_no_assignment() {
    let mut node = Solo::coordinating(2, config(3));
    let actions = node.find_job("40!");
    let assigned: Vec<OperationId> = actions
        .iter()
        .flat_map(|actions| actions.assigned(0))
        .collect();
    assert!(assigned.len() > 2);
    assert_eq!(
        node.link_up(0, FIRST).receivers("collect"),
        [0],
        "the same life, so the link was cut"
    );
    let epoch = node.node.highest();
    let inventory = Inventory {
        queued: assigned[..2].to_vec(),
        ..Inventory::default()
    };
    let actions = node.receive(0, Message::Promise { epoch, inventory });
    assert_eq!(
        actions.assigned(0),
        assigned[2..],
        "what it does not have is sent again"
    );
}

#[test]
fn a_worker_whose_link_was_cut_offers_what_it_has() {
    let mut node = Solo::following(0, config(3), epoch(1, 2));
    let a = leaf(40, 0);
    node.receive(
        2,
        Message::Assign {
            epoch: epoch(1, 2),
            operations: vec![a],
        },
    );
    node.step(Event::Computed {
        products: vec![product(a)],
    });
    assert_eq!(node.link_up(2, FIRST).promise(2).unwrap().kept, [a]);
}

#[test]
fn a_factorial_that_no_job_needs_is_forgotten_and_late_offers_do_not_revive_it() {
    let (mut node, _) = winner(2, config(4));
    let epoch = node.node.highest();
    let old = leaf(99, 0);
    node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[old]),
        },
    );
    node.receive(0, products(&[old]));
    node.receive(
        1,
        Message::Promise {
            epoch,
            inventory: Inventory::default(),
        },
    );
    let actions = node.find_job("12!");
    let forgets = |actions: &Actions| {
        let mut updates = actions
            .to(0)
            .into_iter()
            .filter_map(|message| match message {
                Message::Checkpoint { update, .. } => Some(update.forgotten.clone()),
                _ => None,
            });
        updates.any(|forgotten| forgotten == [99])
    };
    assert!(actions.iter().any(forgets));
    assert!(node.receive(0, products(&[old])).checkpointed(1).is_empty());
    assert!(node.node.held().all(|(id, _)| id.n != 99));
    let actions = node.receive(
        0,
        Message::Promise {
            epoch,
            inventory: held(&[old]),
        },
    );
    assert!(forgets(&actions) && !actions.sent(0, "pull"), "{actions:?}");
}

#[test]
fn a_new_coordinator_drops_its_own_operations_and_computes_nothing() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    node.receive(
        3,
        Message::Assign {
            epoch: epoch(1, 3),
            operations: vec![leaf(40, 0), leaf(40, 1)],
        },
    );
    let actions = node.link_down(3, FIRST);
    assert!(actions.0.contains(&Action::CancelCompute));
    let actions = node.step(Event::Computed {
        products: vec![product(leaf(40, 0))],
    });
    assert!(
        actions.0.is_empty(),
        "it came too late to count: {actions:?}"
    );
}

#[test]
fn what_a_new_coordinator_had_finished_as_a_worker_counts() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    let a = leaf(40, 0);
    node.receive(
        3,
        Message::Assign {
            epoch: epoch(1, 3),
            operations: vec![a],
        },
    );
    node.step(Event::Computed {
        products: vec![product(a)],
    });
    node.link_down(3, FIRST);
    assert_eq!(node.node.held().map(|(id, _)| id).collect::<Vec<_>>(), [a]);
}

#[test]
fn two_values_for_one_operation_raise_an_alarm() {
    let (mut node, _) = winner(2, config(4));
    let a = leaf(40, 0);
    node.receive(0, products(&[a]));
    let other = protocol::message::Product {
        operation: a,
        value: "another".into(),
    };
    let actions = node.receive(
        1,
        Message::Products {
            products: vec![other],
        },
    );
    assert!(actions.traced(|trace| *trace == Trace::ValuesDiffer { op: a }));
}

#[test]
fn names_that_are_part_of_no_plan_are_ignored() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    let mut stray = leaf(8, 0);
    stray.index = 77;
    let mut huge = leaf(8, 0);
    huge.n = u32::MAX;
    assert!(
        node.receive(0, products(&[stray, huge]))
            .checkpointed(1)
            .is_empty()
    );
    let epoch = node.node.highest();
    let inventory = Inventory {
        held: vec![stray],
        kept: vec![huge],
        queued: vec![stray],
        attempts: vec![(huge, 9)],
    };
    assert!(
        !node
            .receive(0, Message::Promise { epoch, inventory })
            .sent(0, "pull")
    );
}

#[test]
fn a_peer_that_was_stopped_while_checkpoints_flowed_catches_up() {
    let mut cluster = Cluster::new(config(4));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(3))
    });
    cluster.stop(NodeId(0));
    cluster.drop_job("job.job", "200!");
    cluster.run_until(LIMIT, "the job", |cluster| {
        cluster.file(Folder::Done, "job.txt").is_some()
    });
    assert_eq!(
        cluster.file(Folder::Done, "job.txt").unwrap(),
        format!("200!={}\n", factorial(200))
    );
    cluster.go_on(NodeId(0));
    cluster.run_for(Duration::from_secs(2));
    assert_eq!(cluster.coordinator(), Some(NodeId(3)));
    assert_eq!(
        cluster.nodes[&NodeId(0)].held().count(),
        0,
        "it forgot with the others"
    );
}

#[test]
fn a_stale_coordinator_between_two_file_calls_changes_nothing() {
    for stop_after in 0..400 {
        let mut cluster = Cluster::new(config(3));
        cluster.run_until(LIMIT, "a coordinator", |cluster| {
            cluster.coordinator() == Some(NodeId(2))
        });
        cluster.drop_job("job.job", "30!");
        for _ in 0..stop_after {
            cluster.step();
        }
        cluster.stop(NodeId(2));
        cluster.run_for(Duration::from_secs(2));
        cluster.go_on(NodeId(2));
        cluster.run_until(LIMIT, "the job", |cluster| {
            cluster.file(Folder::Done, "job.txt").is_some()
        });
        cluster.run_for(Duration::from_secs(5));
        assert_eq!(
            cluster.file(Folder::Done, "job.txt").unwrap(),
            format!("30!={}\n", factorial(30))
        );
        let names: Vec<&FilePath> = cluster.files.keys().collect();
        assert_eq!(
            names.len(),
            2,
            "stopped after {stop_after} steps: {names:?}"
        );
        let published = cluster.count(|trace| matches!(trace, Trace::ResultPublished { .. }));
        assert!(
            published <= 1,
            "published {published} times, stopped after {stop_after} steps"
        );
    }
}

#[test]
fn who_joins_is_told_how_often_each_operation_killed_its_worker() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!\n");
    node.link_down(0, FIRST);
    let epoch = node.node.highest();
    let inventory = Inventory::default();
    let next = Incarnation(7);
    node.link_up(0, next);
    let joined = node.receive_of(0, next, Message::Promise { epoch, inventory });
    let told = joined.0.iter().find_map(|action| match action {
        Action::Send {
            to,
            message: Message::Checkpoint { update, .. },
        } if to[..] == [NodeId(0)] => Some(&update.attempts),
        _ => None,
    });
    assert_eq!(told, Some(&vec![(leaf(8, 0), 1)]), "{joined:?}");
}

#[test]
fn a_worker_has_as_many_operations_as_its_window_and_no_more() {
    for window in [1, 2, 5] {
        let mut node = Solo::coordinating(
            2,
            Config {
                window,
                shape: Shape::SINGLE,
                ..config(3)
            },
        );
        let begun = node.find_job("400!\n");
        for worker in [0, 1] {
            let assigned = begun.iter().map(|actions| actions.assigned(worker).len());
            assert_eq!(assigned.sum::<usize>(), window, "worker {worker}");
        }
    }
}
