//! Doctored histories: each property is shown a history that breaks it, and one that does not. A
//! checker that cannot fail is worth nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use protocol::event::{Action, ChildState, Event, Task};
use protocol::file::{FileCall, FilePath, FileTag, Folder};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Message, Update};
use protocol::plan::{OperationId, Plan};
use protocol::status::RoleName;
use protocol::time::Time;
use protocol::trace::{StepDownCause, Trace};

use super::authority::Authority;
use super::coordinator_death::CoordinatorDeath;
use super::coordinator_idle::CoordinatorIdle;
use super::forgetting::Forgetting;
use super::job_files::JobFiles;
use super::merge::Merge;
use super::obedience::Obedience;
use super::operands::Operands;
use super::recomputation::Recomputation;
use super::results::Results;
use super::unique_epoch::UniqueEpoch;
use super::whole_files::WholeFiles;
use super::{Checker, covers};
use crate::directory::{Change, File};
use crate::fact::{Fact, Life, Step, View};

fn life(node: u8, incarnation: u64) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

fn epoch(term: u64, life: Life) -> Epoch {
    Epoch {
        term: Term(term),
        node: life.node,
        incarnation: life.incarnation,
    }
}

fn at(ms: u64) -> Time {
    Time(0) + Duration::from_millis(ms)
}

/// A step of a node, as the checkers are to see it; by default nothing happens in it.
struct Doctored {
    life: Life,
    at: Time,
    event: Event,
    before: View,
    after: View,
    actions: Vec<Action>,
    unchanged: Option<bool>,
    held: Vec<OperationId>,
}

impl Doctored {
    /// A step of a node that knows an epoch.
    fn knowing(life: Life, highest: Epoch) -> Doctored {
        let view = View {
            highest,
            acting: None,
            coordinator: None,
        };
        Doctored {
            life,
            at: at(10),
            event: Event::InboxChanged,
            before: view,
            after: view,
            actions: Vec::new(),
            unchanged: None,
            held: Vec::new(),
        }
    }

    /// A step of a node that acts in an epoch.
    fn acting(life: Life, term: u64) -> Doctored {
        let mut step = Doctored::knowing(life, epoch(term, life));
        step.before.acting = Some(epoch(term, life));
        step.after = step.before;
        step
    }

    /// A step in which a node wins an election.
    fn winning(life: Life, term: u64) -> Doctored {
        Doctored::knowing(life, epoch(term, life)).trace(Trace::ElectionWon)
    }

    fn event(mut self, event: Event) -> Doctored {
        self.event = event;
        self
    }

    fn gets(self, from: Life, message: Message) -> Doctored {
        self.event(Event::Received {
            from: from.node,
            incarnation: from.incarnation,
            message,
        })
    }

    fn does(mut self, action: Action) -> Doctored {
        self.actions.push(action);
        self
    }

    fn trace(self, trace: Trace) -> Doctored {
        let (role, term) = (RoleName::Worker, self.after.highest.term);
        self.does(Action::Trace { role, term, trace })
    }

    fn sends(self, to: NodeId, message: Message) -> Doctored {
        self.does(Action::Send {
            to: vec![to],
            message,
        })
    }

    fn holding(mut self, held: &[OperationId]) -> Doctored {
        self.held = held.to_vec();
        self
    }

    fn shown_to(&self, checker: &mut dyn Checker) -> Result<(), String> {
        let held = || self.held.clone();
        checker.see(&Fact::Step(&Step {
            at: self.at,
            life: self.life,
            event: &self.event,
            before: self.before,
            after: self.after,
            actions: &self.actions,
            unchanged: self.unchanged,
            held: &held,
        }))
    }
}

fn file(content: &str, job: Option<usize>) -> File {
    File {
        content: Bytes::copy_from_slice(content.as_bytes()),
        job,
        open: false,
        stamp: 1,
    }
}

fn moved(from: (Folder, &str), to: (Folder, &str), file: File) -> Change {
    Change::Moved {
        from: FilePath::new(from.0, from.1),
        to: FilePath::new(to.0, to.1),
        file,
        clobbered: None,
    }
}

fn show(checker: &mut dyn Checker, ms: u64, change: &Change) -> Result<(), String> {
    checker.see(&Fact::Changed {
        at: at(ms),
        by: None,
        change,
    })
}

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
fn an_operation_covers_itself_and_what_it_was_made_of() {
    let plan = Plan::new(40);
    let [leaf, other, root] = [plan.leaf(0), plan.leaf(9), plan.root()];
    assert!(covers(leaf, leaf) && covers(root, leaf) && covers(plan.decimal(), root));
    assert!(!covers(leaf, root) && !covers(leaf, other) && !covers(root, plan.decimal()));
    let parent = plan.parent(leaf).unwrap();
    assert!(covers(parent, leaf) && !covers(parent, other));
    assert!(!covers(Plan::new(41).root(), leaf));
}

#[test]
fn s1_an_epoch_that_is_won_twice() {
    let mut checker = UniqueEpoch::default();
    let step = Doctored::winning(life(2, 3), 1);
    assert_eq!(step.shown_to(&mut checker), Ok(()));
    assert_eq!(
        Doctored::winning(life(2, 3), 2).shown_to(&mut checker),
        Ok(())
    );
    assert!(step.shown_to(&mut checker).is_err());
}

#[test]
fn s1_acting_in_an_epoch_that_nobody_has_won() {
    let mut checker = UniqueEpoch::default();
    let acting = Doctored::acting(life(2, 3), 1);
    assert!(acting.shown_to(&mut checker).is_err());
    let mut checker = UniqueEpoch::default();
    assert_eq!(
        Doctored::winning(life(2, 3), 1).shown_to(&mut checker),
        Ok(())
    );
    assert_eq!(acting.shown_to(&mut checker), Ok(()));
}

#[test]
fn s2_going_back_to_a_lower_epoch() {
    let mut checker = Obedience::default();
    let (low, high) = (epoch(1, life(2, 3)), epoch(2, life(1, 2)));
    let me = life(0, 1);
    assert_eq!(Doctored::knowing(me, low).shown_to(&mut checker), Ok(()));
    assert_eq!(Doctored::knowing(me, high).shown_to(&mut checker), Ok(()));
    assert!(Doctored::knowing(me, low).shown_to(&mut checker).is_err());
}

#[test]
fn s2_a_stale_message_that_has_an_effect() {
    let (low, high) = (epoch(1, life(2, 3)), epoch(2, life(1, 2)));
    let stale = || {
        let message = Message::Heartbeat { epoch: low };
        Doctored::knowing(life(0, 1), high).gets(life(2, 3), message)
    };
    let refusal = Message::Stale { highest: high };
    let mut refused = stale().sends(NodeId(2), refusal);
    refused.unchanged = Some(true);
    assert_eq!(refused.shown_to(&mut Obedience::default()), Ok(()));
    refused.unchanged = Some(false);
    assert!(refused.shown_to(&mut Obedience::default()).is_err());
    let obeyed = stale().sends(NodeId(2), Message::Pulse { epoch: low });
    assert!(obeyed.shown_to(&mut Obedience::default()).is_err());
}

#[test]
fn s3_authority_that_is_over_or_another_s() {
    let (me, other) = (life(2, 3), life(1, 2));
    let assign = |term, life| Message::Assign {
        epoch: epoch(term, life),
        operations: vec![],
    };
    let shown = |step: Doctored| step.shown_to(&mut Authority);
    assert_eq!(
        shown(Doctored::acting(me, 4).sends(NodeId(0), assign(4, me))),
        Ok(())
    );
    let over = Doctored::knowing(me, epoch(5, other)).sends(NodeId(0), assign(4, me));
    assert!(shown(over).is_err());
    let stolen = Doctored::knowing(me, epoch(5, other)).sends(NodeId(0), assign(5, other));
    assert!(shown(stolen).is_err());
    let file = Doctored::knowing(me, epoch(5, other)).does(Action::File {
        epoch: epoch(4, me),
        tag: FileTag::Sync,
        call: FileCall::Sync(vec![]),
    });
    assert!(shown(file).is_err());
    let called = |highest| Fact::Called {
        life: me,
        epoch: epoch(4, me),
        highest,
        known: None,
    };
    assert_eq!(Authority.see(&called(epoch(4, me))), Ok(()));
    assert!(Authority.see(&called(epoch(5, other))).is_err());
}

/// A results checker that has seen the job commit whose lines are `3!` and `5!`.
fn committed() -> Results {
    let mut results = Results::default();
    let job = file("# 0\n3!\n5!\n", Some(0));
    let change = moved((Folder::Running, "a.job"), (Folder::Done, "a.job"), job);
    assert_eq!(show(&mut results, 1, &change), Ok(()));
    results
}

fn published(content: &str) -> Change {
    let hidden = (Folder::Running, ".a.run.1.2.3.done.txt");
    moved(hidden, (Folder::Done, "a.txt"), file(content, None))
}

#[test]
fn s4_a_wrong_result_a_short_one_and_one_of_no_job() {
    assert_eq!(
        show(&mut committed(), 2, &published("3!=6\n5!=120\n")),
        Ok(())
    );
    assert!(show(&mut committed(), 2, &published("3!=6\n5!=121\n")).is_err());
    assert!(show(&mut committed(), 2, &published("3!=6\n")).is_err());
    assert!(show(&mut committed(), 2, &published("5!=120\n3!=6\n")).is_err());
    assert!(show(&mut Results::default(), 2, &published("3!=6\n5!=120\n")).is_err());
}

#[test]
fn s4_a_published_text_that_is_touched_again() {
    let path = FilePath::new(Folder::Done, "a.txt");
    let text = || file("3!=6\n5!=120\n", None);
    let removed = Change::Removed {
        path: path.clone(),
        file: text(),
    };
    let written = Change::Written {
        path,
        file: text(),
        before: Some(text()),
    };
    let over = Change::Moved {
        from: FilePath::new(Folder::Running, ".a.run.1.2.4.done.txt"),
        to: FilePath::new(Folder::Done, "a.txt"),
        file: text(),
        clobbered: Some(text()),
    };
    for change in [removed, written, over] {
        let mut results = committed();
        assert_eq!(show(&mut results, 2, &published("3!=6\n5!=120\n")), Ok(()));
        assert!(show(&mut results, 3, &change).is_err(), "{change:?}");
    }
}

#[test]
fn s5_too_many_operands_and_leaves_that_do_not_partition() {
    let plan = Plan::new(6);
    let me = life(0, 1);
    let step = || Doctored::knowing(me, Epoch::NONE);
    let done = || step().trace(Trace::ProductDone { n: 6 });
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
    let differs = step().trace(Trace::ValuesDiffer { op: plan.root() });
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
    let mut checker = Recomputation::default();
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
    let mut checker = CoordinatorDeath::new(BTreeSet::from([40]));
    let update = Message::Checkpoint {
        epoch: epoch(1, life(4, 5)),
        update: Update::default(),
    };
    let holding = Doctored::knowing(holder, epoch(1, life(4, 5))).gets(life(4, 5), update);
    assert_eq!(holding.holding(&[leaf]).shown_to(&mut checker), Ok(()));
    let worker = NodeId(0);
    let assign = Doctored::acting(winner, 2).trace(Trace::Assigned { op: leaf, worker });
    assert!(assign.shown_to(&mut checker).is_err());
    assert_eq!(checker.see(&Fact::Died(holder)), Ok(()));
    assert_eq!(assign.shown_to(&mut checker), Ok(()));
}

#[test]
fn s7_forgetting_what_a_job_without_a_text_needs() {
    let me = life(2, 3);
    let root = Plan::new(9).root();
    let forget = || {
        let update = Update {
            forgotten: vec![9],
            ..Update::default()
        };
        let epoch = epoch(1, me);
        let message = Message::Checkpoint { epoch, update };
        Doctored::acting(me, 1).sends(NodeId(0), message)
    };
    let begin = |checker: &mut Forgetting| {
        let job = || file("9!\n", Some(0));
        let claim = moved((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
        assert_eq!(show(checker, 1, &claim), Ok(()));
        let acting = Doctored::acting(me, 1).holding(&[root]);
        assert_eq!(acting.shown_to(checker), Ok(()));
        let commit = moved((Folder::Running, "a.job"), (Folder::Done, "a.job"), job());
        assert_eq!(show(checker, 20, &commit), Ok(()));
    };
    let mut checker = Forgetting::default();
    begin(&mut checker);
    assert!(forget().shown_to(&mut checker).is_err());
    let mut checker = Forgetting::default();
    begin(&mut checker);
    let text = published("9!=362880\n");
    assert_eq!(show(&mut checker, 21, &text), Ok(()));
    assert_eq!(forget().shown_to(&mut checker), Ok(()));
}

#[test]
fn s8_acting_without_what_a_peer_told() {
    let act = |winner| {
        let mut step = Doctored::acting(winner, 1).trace(Trace::Acting);
        step.before.acting = None;
        step
    };
    let mut checker = Merge::default();
    let (winner, _, leaf) = told(&mut checker);
    assert!(act(winner).shown_to(&mut checker).is_err());
    let mut checker = Merge::default();
    told(&mut checker);
    let merged = act(winner).holding(&[Plan::new(40).parent(leaf).unwrap()]);
    assert_eq!(merged.shown_to(&mut checker), Ok(()));
    let mut checker = Merge::default();
    let (winner, peer, _) = told(&mut checker);
    let down = Doctored::knowing(winner, epoch(1, winner)).event(Event::LinkDown {
        peer: peer.node,
        incarnation: peer.incarnation,
    });
    assert_eq!(down.shown_to(&mut checker), Ok(()));
    assert_eq!(act(winner).shown_to(&mut checker), Ok(()));
}

#[test]
fn s9_a_job_that_goes_astray_or_is_lost() {
    let job = || file("3!\n", Some(0));
    let shown = |change: &Change| show(&mut JobFiles::default(), 1, change);
    let claim = moved((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
    let commit = moved((Folder::Running, "a.job"), (Folder::Done, "a.2.job"), job());
    assert_eq!(shown(&claim), Ok(()));
    assert_eq!(shown(&commit), Ok(()));
    let again = moved((Folder::Done, "a.job"), (Folder::Failed, "a.job"), job());
    let unclaimed = moved((Folder::Inbox, "a.job"), (Folder::Done, "a.job"), job());
    let back = moved((Folder::Running, "a.job"), (Folder::Inbox, "a.job"), job());
    let removed = Change::Removed {
        path: FilePath::new(Folder::Running, "a.job"),
        file: job(),
    };
    let clobbering = Change::Moved {
        from: FilePath::new(Folder::Inbox, "b.job"),
        to: FilePath::new(Folder::Running, "a.job"),
        file: file("4!\n", Some(1)),
        clobbered: Some(job()),
    };
    let written = Change::Written {
        path: FilePath::new(Folder::Running, "a.job"),
        file: job(),
        before: Some(job()),
    };
    for change in [again, unclaimed, back, removed, clobbering, written] {
        assert!(shown(&change).is_err(), "{change:?}");
    }
}

#[test]
fn s10_reading_a_file_that_is_being_written() {
    let mut half = file("3", Some(0));
    half.open = true;
    let path = FilePath::new(Folder::Running, "a.job");
    let read = |checker: &mut WholeFiles, ms, file: &File| {
        checker.see(&Fact::Read {
            at: at(ms),
            by: life(2, 3),
            path: &path,
            file,
        })
    };
    let written = Change::Written {
        path: FilePath::new(Folder::Inbox, "a.job"),
        file: half.clone(),
        before: None,
    };
    for leases in [true, false] {
        let mut checker = WholeFiles::new(leases);
        assert_eq!(show(&mut checker, 100, &written), Ok(()));
        assert!(read(&mut checker, 200, &half).is_err());
        // Without a lease a quiet time is all that can be asked for.
        assert_eq!(read(&mut checker, 700, &half).is_ok(), !leases);
        assert_eq!(read(&mut checker, 200, &file("3!\n", Some(0))), Ok(()));
    }
}
