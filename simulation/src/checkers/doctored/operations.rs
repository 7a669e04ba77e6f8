//! S5 to S8: what is computed, by whom, and what is not computed again.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use protocol::event::{Action, ChildState, Event, Task};
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::{Inventory, Message, Product, Update};
use protocol::plan::{Kind, Method, OperationId, Plan, Shape};
use protocol::trace::{StepDownCause, Trace};

use super::{Doctored, at, epoch, life};
use crate::checkers::coordinator_death::CoordinatorDeath;
use crate::checkers::coordinator_idle::CoordinatorIdle;
use crate::checkers::false_deaths::FalseDeaths;
use crate::checkers::merge::Merge;
use crate::checkers::operands::Operands;
use crate::checkers::recomputation::Recomputation;
use crate::checkers::sleepers::Sleepers;
use crate::checkers::{Checker, is_done};
use crate::fact::{Fact, Life, Standing, Takeover};

fn promise(epoch: Epoch, held: &[OperationId]) -> Message {
    Message::Promise {
        epoch,
        inventory: Inventory {
            held: held.to_vec(),
            ..Inventory::default()
        },
    }
}

fn compute(operation: OperationId, numbers: RangeInclusive<u32>) -> Action {
    Action::Compute {
        operation,
        task: Task::Numbers(vec![numbers]),
    }
}

#[test]
fn an_operation_shows_itself_done_and_what_it_was_made_of() {
    let plan = Plan::new(40);
    let shows = |by, id| is_done(Shape::SINGLE, &[by], id);
    let [leaf, other, root] = [plan.leaf(0), plan.leaf(9), plan.last()];
    assert!(shows(leaf, leaf) && shows(root, leaf));
    assert!(!shows(leaf, root) && !shows(leaf, other));
    let parent = plan.needed_by(leaf)[0];
    assert!(shows(parent, leaf) && !shows(parent, other));
    assert!(!shows(Plan::new(41).last(), leaf));
}

#[test]
fn a_step_shows_all_done_that_it_was_made_of_and_a_part_itself() {
    let shape = Shape {
        method: Method::Powers,
        cut_from: 0,
        ..Shape::SINGLE
    };
    let plan = shape.plan(40);
    let step = |kind, level, index| OperationId {
        kind,
        level,
        index,
        ..plan.last()
    };
    let shows = |by, id| is_done(shape, &[by], id);
    let (first, last) = (plan.leaf(0), plan.leaf(plan.leaves() - 1));
    let before = step(Kind::Step, 1, 0);
    assert!(shows(plan.last(), before) && shows(plan.last(), last) && shows(before, first));
    assert!(!shows(before, plan.last()) && !shows(before, last));
    let part = step(Kind::Part, 0, 1);
    assert!(shows(part, part) && shows(plan.last(), part) && shows(before, step(Kind::Part, 1, 0)));
    assert!(!shows(part, before) && !shows(part, first) && !shows(part, step(Kind::Part, 0, 0)));
}

#[test]
fn s5_too_many_operands_and_leaves_that_do_not_partition() {
    let plan = Plan::new(6);
    let me = life(0, 1);
    let step = || Doctored::knowing(me, Epoch::NONE);
    let done = || {
        step().trace(Trace::ProductDone {
            n: 6,
            plan: Method::Tree,
        })
    };
    let five = step().does(compute(plan.leaf(0), 2..=6));
    assert!(five.shown_to(&mut Operands::default()).is_err());
    let twice = step()
        .does(compute(plan.leaf(0), 3..=6))
        .does(compute(plan.leaf(1), 1..=3));
    assert!(twice.shown_to(&mut Operands::default()).is_err());
    let mut checker = Operands::default();
    let first = step().does(compute(plan.leaf(0), 3..=6));
    assert_eq!(first.shown_to(&mut checker), Ok(()));
    assert!(done().shown_to(&mut checker).is_err());
    let second = step().does(compute(plan.leaf(1), 1..=2));
    assert_eq!(second.shown_to(&mut checker), Ok(()));
    assert_eq!(done().shown_to(&mut checker), Ok(()));
    let differs = step().trace(Trace::ValuesDiffer { op: plan.last() });
    assert!(differs.shown_to(&mut checker).is_err());
}

#[test]
fn s6_a_coordinator_that_computes() {
    let me = life(2, 3);
    let computing =
        || Doctored::acting(me, 1).does(compute(Plan::new(0).leaf(0), RangeInclusive::new(1, 0)));
    let mut checker = CoordinatorIdle::default();
    assert_eq!(Doctored::winning(me, 1).shown_to(&mut checker), Ok(()));
    assert!(computing().shown_to(&mut checker).is_err());
    let why = StepDownCause::Promised;
    let down = Doctored::knowing(me, epoch(2, life(3, 4))).trace(Trace::SteppedDown { why });
    assert_eq!(down.shown_to(&mut checker), Ok(()));
    let worker = Doctored::knowing(me, epoch(2, life(3, 4)));
    let worker = worker.does(compute(Plan::new(0).leaf(0), RangeInclusive::new(1, 0)));
    assert_eq!(worker.shown_to(&mut checker), Ok(()));
}

/// A winner in term 1, which node 0 has told that it holds the first leaf of 40!.
fn told(checker: &mut dyn Checker) -> (Life, Life, OperationId) {
    let (winner, peer, leaf) = (life(2, 3), life(0, 1), Plan::new(40).leaf(0));
    assert_eq!(Doctored::winning(winner, 1).shown_to(checker), Ok(()));
    let answer = promise(epoch(1, winner), &[leaf]);
    let step = Doctored::knowing(winner, epoch(1, winner)).gets(peer, answer);
    assert_eq!(step.shown_to(checker), Ok(()));
    (winner, peer, leaf)
}

#[test]
fn s7_assigning_what_a_peer_said_that_it_holds() {
    let assign = |winner, op, worker| {
        let worker = NodeId(worker);
        Doctored::acting(winner, 1).trace(Trace::Assigned { op, worker })
    };
    let mut checker = Recomputation::new(Shape::SINGLE);
    let (winner, _, leaf) = told(&mut checker);
    assert!(assign(winner, leaf, 1).shown_to(&mut checker).is_err());
    // Its holder answers with the product.
    assert_eq!(assign(winner, leaf, 0).shown_to(&mut checker), Ok(()));
    let other = Plan::new(40).leaf(1);
    assert_eq!(assign(winner, other, 1).shown_to(&mut checker), Ok(()));
    let gone = Doctored::acting(winner, 1).event(Event::Hint {
        peer: NodeId(0),
        incarnation: Incarnation(1),
        state: ChildState::Gone,
    });
    assert_eq!(gone.shown_to(&mut checker), Ok(()));
    assert_eq!(assign(winner, leaf, 1).shown_to(&mut checker), Ok(()));
}

#[test]
fn s7_assigning_what_a_live_node_holds_when_processes_only_die() {
    let (winner, holder, leaf) = (life(2, 3), life(0, 1), Plan::new(40).leaf(0));
    let mut checker = CoordinatorDeath::new(BTreeSet::from([40]), Shape::SINGLE);
    let update = Message::Checkpoint {
        epoch: epoch(1, life(4, 5)),
        update: Update::default(),
    };
    let holding = Doctored::knowing(holder, epoch(1, life(4, 5))).gets(life(4, 5), update);
    assert_eq!(holding.holding(&[leaf]).shown_to(&mut checker), Ok(()));
    let worker = NodeId(0);
    let assign = Doctored::acting(winner, 2).trace(Trace::Assigned { op: leaf, worker });
    assert!(assign.shown_to(&mut checker).is_err());
    let successor = life(5, 6);
    let winning = Doctored::knowing(successor, epoch(3, successor));
    assert_eq!(winning.shown_to(&mut checker), Ok(()));
    assert_eq!(
        assign.shown_to(&mut checker),
        Ok(()),
        "deposed, and not told"
    );
    assert_eq!(checker.see(&Fact::Died(successor)), Ok(()));
    assert!(assign.shown_to(&mut checker).is_err());
    assert_eq!(checker.see(&Fact::Died(holder)), Ok(()));
    assert_eq!(assign.shown_to(&mut checker), Ok(()));
}

#[test]
fn s8_acting_without_what_a_peer_told() {
    let act = |winner| {
        let mut step = Doctored::acting(winner, 1).trace(Trace::Acting);
        step.before.acting = None;
        step
    };
    let mut checker = Merge::new(Shape::SINGLE);
    let (winner, _, leaf) = told(&mut checker);
    assert!(act(winner).shown_to(&mut checker).is_err());
    let mut checker = Merge::new(Shape::SINGLE);
    told(&mut checker);
    let merged = act(winner).holding(&[Plan::new(40).needed_by(leaf)[0]]);
    assert_eq!(merged.shown_to(&mut checker), Ok(()));
    let mut checker = Merge::new(Shape::SINGLE);
    let (winner, peer, _) = told(&mut checker);
    let down = Doctored::knowing(winner, epoch(1, winner)).event(Event::LinkDown {
        peer: peer.node,
        incarnation: peer.incarnation,
    });
    assert_eq!(down.shown_to(&mut checker), Ok(()));
    assert_eq!(act(winner).shown_to(&mut checker), Ok(()));
}

/// A worker that has sent a product, and that promises to a winner as if it had nothing.
fn silent_about_what_it_keeps(checker: &mut dyn Checker) -> (Life, Life, OperationId) {
    let (winner, worker, leaf) = (life(2, 3), life(0, 1), Plan::new(40).leaf(0));
    let old = epoch(1, life(3, 4));
    let product = Product {
        operation: leaf,
        value: Bytes::new(),
    };
    let sent = Message::Products {
        products: vec![product],
    };
    let products = Vec::new();
    let finished = Doctored::knowing(worker, old).event(Event::Computed { products });
    assert_eq!(finished.sends(NodeId(3), sent).shown_to(checker), Ok(()));
    assert_eq!(Doctored::winning(winner, 2).shown_to(checker), Ok(()));
    let collect = Message::Collect {
        epoch: epoch(2, winner),
    };
    let answer = || promise(epoch(2, winner), &[]);
    let step = Doctored::knowing(worker, epoch(2, winner)).gets(winner, collect);
    assert_eq!(step.sends(NodeId(2), answer()).shown_to(checker), Ok(()));
    let step = Doctored::knowing(winner, epoch(2, winner)).gets(worker, answer());
    assert_eq!(step.shown_to(checker), Ok(()));
    (winner, worker, leaf)
}

#[test]
fn s7_assigning_what_a_worker_has_to_keep() {
    let assign = |winner, op| {
        let worker = NodeId(1);
        Doctored::acting(winner, 2).trace(Trace::Assigned { op, worker })
    };
    let mut checker = Recomputation::new(Shape::SINGLE);
    let (winner, worker, leaf) = silent_about_what_it_keeps(&mut checker);
    assert!(assign(winner, leaf).shown_to(&mut checker).is_err());
    let again = || Doctored::knowing(worker, epoch(2, winner)).does(compute(leaf, 37..=40));
    assert!(again().shown_to(&mut checker).is_err());
    // Once the stream has shown it, the stream answers for it.
    let update = Update {
        products: vec![Product {
            operation: leaf,
            value: Bytes::new(),
        }],
        ..Update::default()
    };
    let shown = Message::Checkpoint {
        epoch: epoch(2, winner),
        update,
    };
    let shown = Doctored::knowing(worker, epoch(2, winner)).gets(winner, shown);
    assert_eq!(shown.shown_to(&mut checker), Ok(()));
    assert_eq!(again().shown_to(&mut checker), Ok(()));
}

#[test]
fn s8_acting_without_what_a_worker_has_to_keep() {
    let mut checker = Merge::new(Shape::SINGLE);
    let (winner, ..) = silent_about_what_it_keeps(&mut checker);
    let mut act = Doctored::acting(winner, 2).trace(Trace::Acting);
    act.before.acting = None;
    assert!(act.shown_to(&mut checker).is_err());
}

#[test]
fn s7_a_sleeper_that_acts_without_what_a_live_node_holds() {
    let (sleeper, other) = (life(2, 3), life(0, 9));
    let own = epoch(2, sleeper);
    let leaf = Plan::new(40).leaf(0);
    let acts = |checker: &mut Sleepers, held: &[OperationId], highest| {
        let others = [Standing {
            life: other,
            highest,
            held: vec![leaf],
        }];
        checker.see(&Fact::Acts(&Takeover {
            at: at(510),
            life: sleeper,
            epoch: own,
            held,
            others: &others,
            needed: &BTreeSet::from([40]),
        }))
    };
    let woken_after = |ms, stood_still: bool| {
        let mut checker = Sleepers::new(std::time::Duration::from_millis(50), Shape::SINGLE);
        for ms in [10, ms] {
            let mut step = Doctored::knowing(sleeper, own);
            step.at = at(ms);
            if stood_still {
                step.runs_since = at(ms);
            }
            assert_eq!(step.shown_to(&mut checker), Ok(()));
        }
        checker
    };
    let woken = |ms| woken_after(ms, true);
    assert!(acts(&mut woken(500), &[], own).is_err());
    let waited = acts(&mut woken_after(500, false), &[], own);
    assert_eq!(waited, Ok(()), "it ran, and nothing came");
    assert_eq!(acts(&mut woken(500), &[leaf], own), Ok(()));
    assert_eq!(acts(&mut woken(500), &[], epoch(3, other)), Ok(()));
    assert_eq!(acts(&mut woken(90), &[], own), Ok(()), "it did not sleep");
    let mut checker = woken(500);
    let mut heard = Doctored::knowing(sleeper, own).gets(other, promise(own, &[]));
    heard.at = at(505);
    assert_eq!(heard.shown_to(&mut checker), Ok(()));
    assert_eq!(acts(&mut checker, &[], own), Ok(()));
}

#[test]
fn s7_the_death_of_a_life_that_lives() {
    let (me, peer) = (life(2, 3), life(0, 9));
    let told = Doctored::knowing(me, Epoch::NONE).event(Event::LinkDown {
        peer: peer.node,
        incarnation: peer.incarnation,
    });
    let mut checker = FalseDeaths::default();
    assert_eq!(checker.see(&Fact::Born(peer)), Ok(()));
    assert!(told.shown_to(&mut checker).is_err());
    assert_eq!(checker.see(&Fact::Died(peer)), Ok(()));
    assert_eq!(told.shown_to(&mut checker), Ok(()));
}
