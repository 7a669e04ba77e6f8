//! What peers say: the gate that refuses what is of the past, and what each message does.

use super::{Node, Role};
use crate::checkpoint::products::Insertion;
use crate::words::id::{Incarnation, NodeId};
use crate::words::message::{Message, Update};
use crate::words::trace::Trace;

impl Node {
    pub(super) fn receive(&mut self, from: NodeId, incarnation: Incarnation, message: Message) {
        // What a dead life of a node said is void, however late it arrives.
        if !self.knows(from, incarnation) {
            return;
        }
        if let Some(epoch) = message.authority() {
            if epoch < self.core.highest {
                self.refuse_stale(from, message.name());
                return;
            }
            if epoch.node != from || epoch.incarnation != incarnation {
                let name = message.name();
                self.core.warn(format!(
                    "ignored {name} of node {from}: its epoch {epoch} belongs to another"
                ));
                return;
            }
        }
        let returns = self.sign_of_life(from);
        if returns {
            self.damping.was_cut_off(from);
        }
        self.hear(from, message);
        // Only now, since the message may have ended the attempt to collect.
        if returns {
            self.returned(from);
        }
    }

    /// Does what a message asks for that is of the present.
    fn hear(&mut self, from: NodeId, message: Message) {
        let follows = match message {
            Message::Heartbeat { epoch }
            | Message::Pull { epoch, .. }
            | Message::Assign { epoch, .. }
            | Message::Checkpoint { epoch, .. } => self.follow(epoch),
            _ => true,
        };
        if !follows {
            return;
        }
        match message {
            Message::Collect { epoch } => self.collected(epoch),
            Message::Victory { epoch } => self.victory(epoch),
            Message::Heartbeat { epoch } => {
                let hangs = self.core.hangs();
                self.core.send(from, Message::Pulse { epoch, hangs });
            }
            Message::Pull { operations, .. } => {
                self.worker.pulled(&mut self.core, from, &operations);
            }
            Message::Assign { epoch, operations } => {
                self.worker.assign(&mut self.core, epoch, &operations);
            }
            Message::Checkpoint { update, .. } => {
                self.apply(update);
            }
            Message::Election { highest, hangs } => self.election(from, highest, hangs),
            Message::Answer { highest, hangs } => {
                self.core.note_files(from, hangs);
                let gives_way = self.core.outranks(from);
                self.answer(from, highest, gives_way);
            }
            Message::Following { epoch } => self.answer(from, epoch, false),
            Message::Stale { highest } => self.learn(highest),
            Message::Pulse { hangs, .. } => self.core.note_files(from, hangs),
            Message::Promise {
                epoch,
                mut inventory,
            } => {
                inventory.tidy(&self.core);
                match &mut self.role {
                    Role::Winner(takeover) if takeover.epoch == epoch => {
                        takeover.promised(&mut self.core, from, inventory);
                        self.act_if_collected();
                    }
                    Role::Coordinator(coordinator) if coordinator.epoch == epoch => {
                        let snapshot = self.core.checkpoint.snapshot();
                        coordinator.admit(&mut self.core, from, &snapshot, &inventory);
                    }
                    _ => {}
                }
            }
            Message::Products { products } => match &mut self.role {
                Role::Winner(takeover) => {
                    takeover.products(&mut self.core, from, products);
                    self.act_if_collected();
                }
                Role::Coordinator(coordinator) => {
                    coordinator.products(&mut self.core, from, products)
                }
                // The worker keeps them, and offers them to whom it promises next.
                _ => {}
            },
            Message::Missing { epoch, operations } => {
                if let Role::Coordinator(coordinator) = &mut self.role
                    && coordinator.epoch == epoch
                {
                    coordinator.missing(&mut self.core, from, &operations);
                }
            }
        }
    }

    /// The fence: what claims authority in the name of an epoch that is over changes nothing.
    fn refuse_stale(&mut self, from: NodeId, what: &'static str) {
        self.core.trace(Trace::StaleRefused { what, from });
        let highest = self.core.highest;
        self.core.send(from, Message::Stale { highest });
    }

    fn apply(&mut self, mut update: Update) {
        let core = &mut self.core;
        for &n in &update.forgotten {
            core.checkpoint.forget(n);
        }
        update.attempts.retain(|&(id, _)| core.is_valid(id));
        update
            .products
            .retain(|product| core.is_valid(product.operation));
        core.checkpoint.merge_attempts(&update.attempts);
        for product in &update.products {
            let found = core
                .checkpoint
                .insert(product.operation, product.value.clone());
            if found == Insertion::Differs {
                core.values_differ(product.operation);
            }
        }
        self.take_over_kept(&mut update);
        self.worker.checkpointed(&mut self.core, &update);
    }

    /// What this node computed itself goes into its copy of the checkpoint without being sent back.
    fn take_over_kept(&mut self, update: &mut Update) {
        let core = &mut self.core;
        let mut missing = Vec::new();
        update.kept.retain(|&id| {
            if !core.is_valid(id) {
                return false;
            }
            if !core.checkpoint.covers(id) {
                match self.worker.kept(id) {
                    Some(value) => core.checkpoint.insert(id, value.clone()),
                    None => {
                        missing.push(id);
                        return false;
                    }
                };
            }
            true
        });
        // It was forgotten here after it had been sent there, and somebody wants it again.
        if !missing.is_empty() {
            let coordinator = core.highest;
            core.send(
                coordinator.node,
                Message::Missing {
                    epoch: coordinator,
                    operations: missing,
                },
            );
        }
    }
}
