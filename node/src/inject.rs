//! Where the driver passes the points at which faults can be injected, and what a fault does.

use std::thread;

use ipc::control::ToSupervisor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::event::{Action, Event};
use protocol::file::{FileCall, FileReply, Folder};
use protocol::message::{Message, Product};
use protocol::plan::OperationId;
use protocol::trace::Trace;
use serde::Serialize;

use crate::driver::Driver;
use crate::faults::{Due, Fault, Point};

/// The event that tells of an injected fault.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename = "fault_injected")]
struct FaultInjected {
    at: Point,
    #[serde(rename = "do")]
    fault: Fault,
}

impl Driver {
    /// Before an event is handled.
    pub(crate) fn inject_before(&mut self, event: &Event) {
        if let Event::FileDone {
            tag,
            reply: FileReply::Ok,
            ..
        } = event
            && self.committing.remove(tag)
        {
            self.pass(Point::AfterCommit, None);
        }
    }

    /// Before an action is carried out. A checkpoint may be split: some peers are sent it before
    /// the fault, and the rest are returned.
    pub(crate) fn inject_at(&mut self, action: Action) -> Action {
        match &action {
            Action::Compute { operation, .. } => self.pass(Point::BeforeCompute, Some(*operation)),
            Action::Send {
                message: Message::Products { products },
                ..
            } => {
                self.pass_each(Point::BeforeSend, products);
            }
            Action::Send {
                message: Message::Checkpoint { update, .. },
                ..
            } if !update.products.is_empty() => {
                self.pass_each(Point::BeforeCheckpoint, &update.products);
                return self.inject_mid_checkpoint(action);
            }
            Action::File {
                tag,
                call: FileCall::Rename { from, to },
                ..
            } if from.folder == Folder::Running
                && from.name.ends_with(b".job")
                && matches!(to.folder, Folder::Done | Folder::Failed) =>
            {
                self.committing.insert(tag.clone());
                self.pass(Point::BeforeCommit, None);
            }
            _ => {}
        }
        action
    }

    /// After the actions of a step: an election that began in it has sent its first messages.
    pub(crate) fn inject_after(&mut self, began_election: bool) {
        if began_election {
            self.mesh.flush();
            self.pass(Point::InElection, None);
        }
    }

    fn inject_mid_checkpoint(&mut self, action: Action) -> Action {
        let Action::Send { mut to, message } = action else {
            return action;
        };
        let operations: Vec<OperationId> = match &message {
            Message::Checkpoint { update, .. } if to.len() > 1 => update
                .products
                .iter()
                .map(|product| product.operation)
                .collect(),
            _ => Vec::new(),
        };
        for operation in operations {
            if let Some(due) = self.faults.pass(Point::MidCheckpoint, Some(operation)) {
                let rest = to.split_off(to.len() / 2);
                self.mesh.send(&to, &message);
                self.mesh.flush();
                self.suffer(Point::MidCheckpoint, due);
                to = rest;
                break;
            }
        }
        Action::Send { to, message }
    }

    fn pass_each(&mut self, at: Point, products: &[Product]) {
        for product in products {
            self.pass(at, Some(product.operation));
        }
    }

    fn pass(&mut self, at: Point, operation: Option<OperationId>) {
        if let Some(due) = self.faults.pass(at, operation) {
            self.suffer(at, due);
        }
    }

    /// The fault happens, and is on record before it does.
    fn suffer(&mut self, at: Point, due: Due) {
        let fault = due.fault;
        self.log.write(&self.header, &FaultInjected { at, fault });
        if let Some(spec) = due.spec {
            self.tell(&ToSupervisor::FaultFired(spec));
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
