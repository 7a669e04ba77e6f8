//! Kinds of broken histories. Each is shown to all checkers at once: whoever speaks first must name the
//! law that is broken, at the fact that breaks it, and nobody may speak before.

mod files;
mod offices;
mod work;

use std::time::Duration;

use bytes::Bytes;
use protocol::event::{Action, Event, Task};
use protocol::file::{FilePath, Folder};
use protocol::id::{Epoch, NodeId};
use protocol::message::{Inventory, Message, Product, Update};
use protocol::plan::{Method, OperationId, Shape};
use protocol::timer::Timer;
use protocol::trace::Trace;

use super::{Doctored, at, epoch, life, moved};
use crate::checkers::sleepers::Sleepers;
use crate::checkers::whole_files::WholeFiles;
use crate::checkers::{Checkers, Violation};
use crate::directory::{Change, File};
use crate::fact::{Fact, Life};

/// A kind of broken history: the law, what breaks it, and the history.
type Kind = (&'static str, &'static str, fn(&mut Story));

#[test]
fn every_kind_of_broken_history_is_noticed_by_the_checker_whose_law_it_breaks() {
    let kinds: Vec<Kind> = [offices::KINDS, work::KINDS, files::KINDS].concat();
    assert!(kinds.len() >= 50);
    let mut overlooked = Vec::new();
    for (law, what, history) in kinds {
        let mut story = Story::new();
        history(&mut story);
        let said = story.said.map(|said| (said.property, said.message));
        if said.as_ref().is_none_or(|&(property, _)| property != law) {
            overlooked.push(format!("{law}: {what}: {said:?}"));
        } else if let Some(fact) = story.goes_on {
            overlooked.push(format!("{law}: {what}: {said:?} before {fact}"));
        }
    }
    assert!(overlooked.is_empty(), "{overlooked:#?}");
}

#[test]
fn the_histories_of_which_they_are_made_break_nothing() {
    let mut story = Story::new();
    story.led();
    story.computes_all_of_six();
    story.publishes("3!\n", "3!=6\n");
    assert_eq!(story.said, None);
}

/// What is told to all checkers.
struct Story {
    checkers: Checkers,
    said: Option<Violation>,
    /// What was told after a checker had spoken.
    goes_on: Option<&'static str>,
}

/// The coordinator of the story, with its first epoch, and its workers.
const BOSS: fn() -> Life = || life(2, 3);
const FIRST: fn() -> Life = || life(0, 1);
const SECOND: fn() -> Life = || life(1, 2);

fn term(term: u64) -> Epoch {
    epoch(term, BOSS())
}

impl Story {
    fn new() -> Story {
        Story {
            checkers: checkers(Shape::SINGLE),
            said: None,
            goes_on: None,
        }
    }

    fn tell(&mut self, fact: &Fact<'_>) {
        if self.said.is_some() {
            self.goes_on = Some("the end of the history");
        }
        let said = self.checkers.see(fact).err();
        self.said = self.said.take().or(said);
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "each step is made where it is told"
    )]
    fn step(&mut self, step: Doctored) {
        step.told_to(|fact| self.tell(fact));
    }

    fn change(&mut self, change: &Change) {
        self.tell(&Fact::Changed {
            at: at(5),
            by: Some(BOSS()),
            change,
        });
    }

    fn moves(&mut self, from: (Folder, &str), to: (Folder, &str), file: File) {
        self.change(&moved(from, to, file));
    }

    /// All know each other, and the highest holds its election and wins it.
    fn won(&mut self) {
        let lives = [BOSS(), FIRST(), SECOND()];
        for me in lives {
            for other in lives.into_iter().filter(|&other| other != me) {
                self.step(linked(me, Epoch::NONE, other, Epoch::NONE));
            }
        }
        let epoch = term(1);
        let wins = Doctored::winning(BOSS(), 1).knew(Epoch::NONE);
        let wins = wins.event(Event::Timeout(Timer::Answers));
        let asks = Message::Collect { epoch };
        let wins = wins.sends(NodeId(0), asks.clone());
        self.step(wins.sends(NodeId(1), asks.clone()));
        for worker in [FIRST(), SECOND()] {
            let asked = Doctored::knowing(worker, epoch).knew(Epoch::NONE);
            let asked = asked.gets(BOSS(), asks.clone());
            self.step(asked.sends(NodeId(2), promise(epoch, &[])));
        }
    }

    /// It acts.
    fn led(&mut self) {
        self.won();
        let hears = |worker| Doctored::knowing(BOSS(), term(1)).gets(worker, promise(term(1), &[]));
        self.step(hears(FIRST()));
        let last = Doctored::acting(BOSS(), 1).begins_to_act();
        let last = last.gets(SECOND(), promise(term(1), &[]));
        self.step(last.trace(Trace::Acting));
    }

    /// It acts in a cluster that multiplies prime powers.
    fn led_by_powers(&mut self) {
        self.checkers = checkers(work::POWERS);
        self.led();
    }

    /// The coordinator assigns an operation to the first worker, and that computes it.
    fn computes(&mut self, id: OperationId, task: Task) {
        self.assigns(id);
        self.step(computing(FIRST(), id, task));
    }

    fn assigns(&mut self, id: OperationId) {
        let worker = NodeId(0);
        let assigns = Doctored::acting(BOSS(), 1).trace(Trace::Assigned { op: id, worker });
        self.step(assigns.sends(worker, assign(term(1), id)));
        self.step(Doctored::knowing(FIRST(), term(1)).gets(BOSS(), assign(term(1), id)));
    }

    /// The first worker delivers a product, and the stream shows it to both.
    fn delivers(&mut self, id: OperationId) {
        let products = || Message::Products {
            products: vec![product(id)],
        };
        let finished = Event::Computed {
            products: vec![product(id)],
        };
        let finished = Doctored::knowing(FIRST(), term(1)).event(finished);
        self.step(finished.sends(NodeId(2), products()));
        let update = Update {
            products: vec![product(id)],
            ..Update::default()
        };
        let epoch = term(1);
        let stream = Message::Checkpoint { epoch, update };
        let mut checkpoints = Doctored::acting(BOSS(), 1).gets(FIRST(), products());
        if id == work::root() {
            let (n, plan) = (id.n, Method::Tree);
            checkpoints = checkpoints.trace(Trace::ProductDone { n, plan });
        }
        for worker in [FIRST(), SECOND()] {
            checkpoints = checkpoints.sends(worker.node, stream.clone());
        }
        self.step(checkpoints.holding(&[id]));
        for worker in [FIRST(), SECOND()] {
            let shown = Doctored::knowing(worker, term(1)).gets(BOSS(), stream.clone());
            self.step(shown.holding(&[id]));
        }
    }

    fn computes_all_of_six(&mut self) {
        for (id, task) in work::all_of_six() {
            self.computes(id, task);
            self.delivers(id);
        }
    }

    /// A job is dropped, claimed and committed.
    fn commits(&mut self, content: &str, folder: Folder) {
        let job = || super::file(content, Some(0));
        self.change(&Change::Written {
            path: FilePath::new(Folder::Inbox, "a.job"),
            file: job(),
            before: None,
        });
        self.moves((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
        self.moves((Folder::Running, "a.job"), (folder, "a.job"), job());
    }

    /// The text of a job gets its name.
    fn delivers_text(&mut self, folder: Folder, text: &str) {
        let hidden = (Folder::Running, ".a.run.1.2.3.done.txt");
        self.moves(hidden, (folder, "a.txt"), super::file(text, None));
    }

    fn publishes(&mut self, content: &str, text: &str) {
        self.commits(content, Folder::Done);
        self.delivers_text(Folder::Done, text);
    }
}

fn checkers(shape: Shape) -> Checkers {
    let mut checkers = Checkers::new(shape);
    checkers.add(WholeFiles::new(true));
    checkers.add(Sleepers::new(Duration::from_millis(50), shape));
    checkers
}

fn linked(me: Life, knows: Epoch, peer: Life, told: Epoch) -> Doctored {
    Doctored::knowing(me, knows).event(Event::LinkUp {
        peer: peer.node,
        incarnation: peer.incarnation,
        highest: told,
    })
}

fn promise(epoch: Epoch, held: &[OperationId]) -> Message {
    let inventory = Inventory {
        held: held.to_vec(),
        ..Inventory::default()
    };
    Message::Promise { epoch, inventory }
}

fn pulse(epoch: Epoch) -> Message {
    let hangs = false;
    Message::Pulse { epoch, hangs }
}

fn assign(epoch: Epoch, id: OperationId) -> Message {
    let operations = vec![id];
    Message::Assign { epoch, operations }
}

fn product(operation: OperationId) -> Product {
    let value = Bytes::from_static(b"7");
    Product { operation, value }
}

fn computing(life: Life, operation: OperationId, task: Task) -> Doctored {
    let step = Doctored::knowing(life, term(1)).trace(Trace::Computing { op: operation });
    step.does(Action::Compute { operation, task })
}
