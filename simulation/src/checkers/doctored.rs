//! Doctored histories: each property is shown a history that breaks it, and one that does not. A
//! checker that cannot fail is worth nothing.

mod elections;
mod job_files;
mod kinds;
mod links;
mod operations;

use std::time::Duration;

use bytes::Bytes;
use protocol::event::{Action, Event};
use protocol::file::{FilePath, Folder};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::Message;
use protocol::plan::OperationId;
use protocol::status::RoleName;
use protocol::time::Time;
use protocol::trace::Trace;

use super::Checker;
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
    runs_since: Time,
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
            runs_since: at(0),
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

    /// It knew no more than this before.
    fn knew(mut self, highest: Epoch) -> Doctored {
        self.before.highest = highest;
        self
    }

    /// It did not act before.
    fn begins_to_act(mut self) -> Doctored {
        self.before.acting = None;
        self
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
        self.told_to(|fact| checker.see(fact))
    }

    fn told_to<R>(&self, tell: impl FnOnce(&Fact<'_>) -> R) -> R {
        let held = || self.held.clone();
        tell(&Fact::Step(&Step {
            at: self.at,
            runs_since: self.runs_since,
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
