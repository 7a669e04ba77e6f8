//! The points of the driver at which faults can be injected, and what a fault does.

use std::collections::{BTreeSet, VecDeque};
use std::thread;

use ipc::control::ToSupervisor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::event::{Action, Event, Task};
use protocol::file::{FileCall, FileReply, FileTag, Folder};
use protocol::id::NodeId;
use protocol::message::{Message, Update};
use protocol::plan::OperationId;
use protocol::timer::Timer;
use protocol::trace::Trace;
use serde::Serialize;

use crate::driver::Driver;
use crate::faults::{Due, Fault, Point};

/// What injection remembers of the current step, and between steps.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    /// Operations that wait for the current one: each passes its point when its turn comes, so that a fault
    /// hits the operation in progress.
    waiting: VecDeque<(OperationId, Task)>,
    /// Open file calls that commit a job.
    committing: BTreeSet<FileTag>,
    /// The products of this step were finished here, and are now sent for the first time.
    finished: bool,
    /// Operations whose products arrived in this step at an acting coordinator: they go into the checkpoint
    /// for the first time, while a snapshot only repeats earlier ones.
    arrived: BTreeSet<OperationId>,
    /// The arithmetic has an operation.
    computing: bool,
}

impl Passing {
    /// Drops all operations; a result that still arrives does no harm.
    pub(crate) fn cancel(&mut self) {
        self.waiting.clear();
        self.computing = false;
    }
}

/// The event of an injected fault.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "fault_injected")]
struct FaultInjected {
    at: Point,
    #[serde(rename = "do")]
    fault: Fault,
}

impl Driver {
    /// Passes the points before an event is handled.
    pub(crate) fn inject_before(&mut self, event: &Event) {
        self.passing.arrived.clear();
        self.passing.finished = false;
        match event {
            Event::FileDone { tag, reply, .. } => {
                let committed = self.passing.committing.remove(tag) && *reply == FileReply::Ok;
                self.pass_if(committed, Point::AfterCommit);
            }
            Event::Computed { .. } => {
                self.passing.finished = true;
                self.passing.computing = false;
            }
            Event::Timeout(Timer::Deliver) => self.passing.finished = true,
            Event::Received {
                message: Message::Products { products },
                ..
            } if self.node.acting().is_some() => {
                self.passing.arrived = products.iter().map(|product| product.operation).collect();
            }
            _ => {}
        }
    }

    /// Passes the points before an action is carried out; returns what is left to do.
    pub(crate) fn inject_at(&mut self, action: Action) -> Option<Action> {
        match action {
            Action::Compute { operation, task } => {
                self.passing.waiting.push_back((operation, task));
                return None;
            }
            Action::Send { to, message } => return Some(self.inject_at_send(to, message)),
            Action::File {
                ref tag,
                call: FileCall::Rename { ref from, ref to },
                ..
            } if from.folder == Folder::Running
                && from.name.ends_with(b".job")
                && matches!(to.folder, Folder::Done | Folder::Failed) =>
            {
                self.passing.committing.insert(tag.clone());
                self.pass(Point::BeforeCommit, None);
            }
            _ => {}
        }
        Some(action)
    }

    /// Passes the points after the actions of a step: an election that began in it has sent its first
    /// messages, and finished products are sent before the next operation begins.
    pub(crate) fn inject_after(&mut self, began_election: bool) {
        self.mesh.flush();
        self.pass_if(began_election, Point::InElection);
        if !self.passing.computing
            && let Some((operation, task)) = self.passing.waiting.pop_front()
        {
            self.pass(Point::BeforeCompute, Some(operation));
            self.passing.computing = true;
            self.arithmetic.compute(operation, task);
        }
    }

    fn inject_at_send(&mut self, to: Vec<NodeId>, message: Message) -> Action {
        match &message {
            Message::Products { products } if self.passing.finished => {
                for product in products {
                    self.pass(Point::BeforeSend, Some(product.operation));
                }
            }
            Message::Checkpoint { update, .. } => {
                let passing = self.arrived(update);
                for &operation in &passing {
                    self.pass(Point::BeforeCheckpoint, Some(operation));
                }
                return self.inject_mid_checkpoint(to, message, &passing);
            }
            _ => {}
        }
        Action::Send { to, message }
    }

    fn arrived(&self, update: &Update) -> Vec<OperationId> {
        update
            .finished()
            .filter(|operation| self.passing.arrived.contains(operation))
            .collect()
    }

    /// Sends the checkpoint to some peers before the fault; returns the rest of the action.
    fn inject_mid_checkpoint(
        &mut self,
        mut to: Vec<NodeId>,
        message: Message,
        passing: &[OperationId],
    ) -> Action {
        for &operation in passing.iter().filter(|_| to.len() > 1) {
            if let Some(due) = self.faults.pass(Point::MidCheckpoint, Some(operation)) {
                let rest = to.split_off(to.len() / 2);
                self.mesh.send(&to, &message);
                self.mesh.flush();
                self.fire(Point::MidCheckpoint, due);
                to = rest;
                break;
            }
        }
        Action::Send { to, message }
    }

    fn pass_if(&mut self, passes: bool, at: Point) {
        if passes {
            self.pass(at, None);
        }
    }

    fn pass(&mut self, at: Point, operation: Option<OperationId>) {
        if let Some(due) = self.faults.pass(at, operation) {
            self.fire(at, due);
        }
    }

    /// Makes the fault happen, after logging it.
    fn fire(&mut self, at: Point, due: Due) {
        let fault = due.fault;
        self.log.write(&self.header, &FaultInjected { at, fault });
        self.report_lost_events();
        if let Some(spec) = due.spec {
            self.notify_supervisor(&ToSupervisor::FaultFired(spec));
        }
        let signal = match fault {
            Fault::Kill => Signal::SIGKILL,
            Fault::Stop => Signal::SIGSTOP,
            Fault::Stall => {
                thread::sleep(self.faults.stall());
                return;
            }
        };
        if let Err(error) = kill(Pid::this(), signal) {
            tracing::warn!("cannot inject a fault: {error}");
        }
    }
}

/// Whether an election began with these actions.
pub(crate) fn begins_election(actions: &[Action]) -> bool {
    let begins = |action: &Action| {
        matches!(
            action,
            Action::Trace {
                trace: Trace::ElectionStarted { .. },
                ..
            }
        )
    };
    actions.iter().any(begins)
}
