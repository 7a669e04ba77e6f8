//! The laws that must hold in every order of events, and the little history that they need.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, ChildState, Event};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::Message;
use protocol::plan::OperationId;
use protocol::timer::Timer;
use protocol::trace::Trace;

use super::state::SHAPE;
use crate::checkers::authority::Authority;
use crate::checkers::obedience::Obedience;
use crate::checkers::{Checker, is_done};
use crate::fact::{Fact, Life, Step};

/// What must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// An epoch has one owner, and is won once.
    UniqueEpoch,
    /// The highest epoch that a process has seen never falls.
    MonotonicEpoch,
    /// Nobody acts or obeys below the highest epoch that it has seen.
    Fence,
    /// A coordinator computes nothing.
    CoordinatorIdle,
    /// A node that begins to act holds all products that the promises it accepted name.
    Merge,
    /// Messages of a dead incarnation have no effect on a node that knows the next one.
    DeadLives,
}

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// The law.
    pub law: Law,
    /// What happened, in a sentence.
    pub message: String,
}

/// The history that the laws need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Monitor {
    /// The last epoch that each living process has won, and whether it has ever acted.
    won: BTreeMap<Life, (Epoch, bool)>,
    /// The highest term that was won, while it matters: the supervisor passes it to new processes.
    highest_term: Term,
    /// By collecting winner, and by peer: the incarnation that promised, and the products that it named.
    promised: BTreeMap<Life, BTreeMap<NodeId, Promise>>,
    broken: Option<Broken>,
}

/// An incarnation, and the products that its promise named.
type Promise = (Incarnation, BTreeSet<OperationId>);

impl Monitor {
    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    pub(super) fn highest_term(&self) -> Term {
        self.highest_term
    }

    pub(super) fn has_acted(&self, life: Life) -> bool {
        self.won.get(&life).is_some_and(|&(_, acted)| acted)
    }

    /// What a dead incarnation won or was promised no longer matters: an epoch contains the incarnation of its
    /// owner, so no other incarnation can win the same.
    pub(super) fn died(&mut self, life: Life) {
        self.won.remove(&life);
        self.promised.remove(&life);
    }

    /// No process will be started any more.
    pub(super) fn forget_highest_term(&mut self) {
        self.highest_term = Term(0);
    }

    /// A message of a dead incarnation has had an effect.
    pub(super) fn heeded(&mut self, message: String) {
        self.broken
            .get_or_insert_with(|| Law::DeadLives.broken(message));
    }

    pub(super) fn see(&mut self, step: &Step<'_>) {
        if self.broken.is_none() {
            self.broken = self.look(step).err();
        }
    }

    fn look(&mut self, step: &Step<'_>) -> Result<(), Broken> {
        epochs_rise(step).map_err(|message| Law::MonotonicEpoch.broken(message))?;
        self.epochs_are_owned(step)
            .map_err(|message| Law::UniqueEpoch.broken(message))?;
        let fact = Fact::Step(step);
        Authority
            .see(&fact)
            .and_then(|()| Obedience::default().see(&fact))
            .and_then(|()| promises_bind(step))
            .map_err(|message| Law::Fence.broken(message))?;
        coordinator_is_idle(step).map_err(|message| Law::CoordinatorIdle.broken(message))?;
        self.promises_are_merged(step)
            .map_err(|message| Law::Merge.broken(message))
    }

    fn epochs_are_owned(&mut self, step: &Step<'_>) -> Result<(), String> {
        for action in step.actions {
            if let Action::Trace {
                term,
                trace: Trace::ElectionWon,
                ..
            } = *action
            {
                let epoch = Epoch {
                    term,
                    node: step.life.node,
                    incarnation: step.life.incarnation,
                };
                self.highest_term = self.highest_term.max(term);
                // Winning an epoch that is not higher means winning one twice, or going back; the
                // last one covers all before it.
                let (last, acted) = self
                    .won
                    .get(&step.life)
                    .copied()
                    .unwrap_or((Epoch::NONE, false));
                if epoch <= last {
                    return Err(format!("{} won epoch {epoch} after {last}", step.life));
                }
                self.won.insert(step.life, (epoch, acted));
            }
        }
        let Some(epoch) = step.after.acting else {
            return Ok(());
        };
        match self.won.get_mut(&step.life) {
            Some((won, acted)) if *won == epoch => {
                *acted = true;
                Ok(())
            }
            _ => Err(format!(
                "{} acts in epoch {epoch}, which it has not won",
                step.life
            )),
        }
    }

    fn promises_are_merged(&mut self, step: &Step<'_>) -> Result<(), String> {
        if step.before.acting.is_some() || step.before.highest != step.after.highest {
            self.promised.remove(&step.life);
        }
        match step.event {
            Event::Received {
                from,
                incarnation,
                message: Message::Promise { epoch, inventory },
            } if *epoch == step.after.highest && owns(step.life, *epoch) => {
                let named = inventory.held.iter().chain(&inventory.kept).copied();
                let promises = self.promised.entry(step.life).or_default();
                promises.insert(*from, (*incarnation, named.collect()));
                // A promise that names nothing cannot be lost.
                promises.retain(|_, (_, named)| !named.is_empty());
            }
            Event::Timeout(Timer::Collect(peer))
            | Event::LinkDown { peer, .. }
            | Event::Hint {
                peer,
                state: ChildState::Gone | ChildState::Stopped,
                ..
            } => {
                if let Some(promises) = self.promised.get_mut(&step.life) {
                    promises.remove(peer);
                }
            }
            // A newer incarnation proves that the one which promised is dead.
            Event::LinkUp {
                peer, incarnation, ..
            }
            | Event::Hint {
                peer, incarnation, ..
            } => {
                if let Some(promises) = self.promised.get_mut(&step.life) {
                    promises.retain(|id, (life, _)| id != peer || *life >= *incarnation);
                }
            }
            _ => {}
        }
        self.promised.retain(|_, promises| !promises.is_empty());
        let Some(epoch) = step.after.acting.filter(|_| step.before.acting.is_none()) else {
            return Ok(());
        };
        let promises = self.promised.remove(&step.life).unwrap_or_default();
        let held = (step.held)();
        for (peer, (_, named)) in promises {
            let is_held = |id: &OperationId| is_done(SHAPE, &held, *id);
            if let Some(lost) = named.iter().find(|id| !is_held(id)) {
                return Err(format!(
                    "{} begins to act in epoch {epoch} without {lost:?}, which node {peer} promised",
                    step.life
                ));
            }
        }
        Ok(())
    }
}

impl Law {
    fn broken(self, message: String) -> Broken {
        Broken { law: self, message }
    }
}

fn epochs_rise(step: &Step<'_>) -> Result<(), String> {
    let (before, after) = (step.before.highest, step.after.highest);
    if after < before {
        return Err(format!(
            "{} went back from epoch {before} to {after}",
            step.life
        ));
    }
    Ok(())
}

fn promises_bind(step: &Step<'_>) -> Result<(), String> {
    let known = step.after.highest;
    let mut promised = step.actions.iter().filter_map(|action| match action {
        Action::Send {
            message: Message::Promise { epoch, .. },
            ..
        } => Some(*epoch),
        _ => None,
    });
    match promised.find(|epoch| *epoch > known) {
        Some(epoch) => Err(format!(
            "{} promises to epoch {epoch} and knows no higher one than {known}",
            step.life
        )),
        None => Ok(()),
    }
}

fn coordinator_is_idle(step: &Step<'_>) -> Result<(), String> {
    let mut computing = step.actions.iter();
    let computes = computing.find(|action| matches!(action, Action::Compute { .. }));
    match (computes, step.after.acting) {
        (Some(action), Some(epoch)) => Err(format!(
            "{} coordinates in epoch {epoch} and computes: {action:?}",
            step.life
        )),
        _ => Ok(()),
    }
}

fn owns(life: Life, epoch: Epoch) -> bool {
    epoch.node == life.node && epoch.incarnation == life.incarnation
}
