//! What a run, or a batch of them, has been through: a batch that never saw a takeover in mid-job
//! has shown nothing about takeovers.

use std::fmt;
use std::ops::AddAssign;

use protocol::event::{Action, Event};
use protocol::message::Message;
use protocol::plan::Kind;
use protocol::trace::{ReassignCause, StepDownCause, Trace};

use crate::fact::{Fact, Step};

/// How often each of the situations came up that a batch must have been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// A coordinator began to act with finished operations of an open job before it.
    pub takeovers_in_mid_job: u64,
    /// A coordinator began to act with parts of a step before it.
    pub takeovers_amid_parts: u64,
    /// Steps that a coordinator put into the stream.
    pub steps_of_powers: u64,
    /// A message of a coordinator whose epoch was over was refused.
    pub stale_refused: u64,
    /// A coordinator was brought a product that it had.
    pub duplicate_results: u64,
    /// A coordinator that acted stopped under its promise to another.
    pub hand_overs: u64,
    /// A peer was sent what it lacked when it joined.
    pub snapshots: u64,
    /// A file call was made after its caller had learnt of a higher epoch, or died.
    pub late_file_calls: u64,
    /// A coordinator gave way since its file system did not answer.
    pub ways_given: u64,
    /// A node waited before it claimed the office again.
    pub damped: u64,
    /// Operations whose worker was late with them.
    pub overdue: u64,
    /// A person saved a file again that waited in the inbox.
    pub saved_waiting: u64,
    /// A person saved a file again whose job was claimed.
    pub saved_claimed: u64,
    /// The supervisor owed hints that did not get through.
    pub lost_hints: u64,
    /// Elections that were started.
    pub elections: u64,
    /// Coordinatorships.
    pub terms: u64,
}

impl Reached {
    /// The situations that a batch must have been through and was not.
    pub fn lacking(&self) -> Vec<&'static str> {
        let required = [
            (self.takeovers_in_mid_job, "takeovers in mid-job"),
            (
                self.takeovers_amid_parts,
                "takeovers amid the parts of a step",
            ),
            (self.steps_of_powers, "steps of prime powers"),
            (self.stale_refused, "refused stale coordinators"),
            (self.duplicate_results, "duplicate results"),
            (self.hand_overs, "hand-overs"),
            (self.snapshots, "snapshots"),
            (self.late_file_calls, "late file calls"),
            (self.ways_given, "ways given"),
            (self.damped, "damped preemptions"),
            (self.overdue, "overdue operations"),
            (self.saved_waiting, "waiting files that were saved again"),
            (self.saved_claimed, "claimed files that were saved again"),
            (self.lost_hints, "lost hints"),
        ];
        let lacking = required.iter().filter(|(count, _)| *count == 0);
        lacking.map(|&(_, name)| name).collect()
    }

    pub(crate) fn see(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Called { epoch, known, .. } => {
                let late = known.is_none_or(|known| known > *epoch);
                self.late_file_calls += u64::from(late);
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        let mut checkpointed = 0;
        for action in step.actions {
            let Action::Trace { trace, .. } = action else {
                continue;
            };
            match trace {
                Trace::Checkpointed { op } => {
                    checkpointed += 1;
                    self.steps_of_powers += u64::from(op.kind == Kind::Step);
                }
                Trace::ElectionStarted { .. } => self.elections += 1,
                Trace::StaleRefused { .. } => self.stale_refused += 1,
                Trace::SteppedDown {
                    why: StepDownCause::Promised,
                } if step.before.acting.is_some() => {
                    self.hand_overs += 1;
                }
                Trace::SteppedDown {
                    why: StepDownCause::FileCallSlow,
                } => self.ways_given += 1,
                Trace::PreemptionDamped { .. } => self.damped += 1,
                Trace::OperationReassigned {
                    why: ReassignCause::Deadline,
                    ..
                } => self.overdue += 1,
                Trace::Acting => {
                    self.terms += 1;
                    let held = (step.held)();
                    self.takeovers_in_mid_job += u64::from(!held.is_empty());
                    let has_parts = held.iter().any(|id| id.kind == Kind::Part);
                    self.takeovers_amid_parts += u64::from(has_parts);
                }
                _ => {}
            }
        }
        let Event::Received { message, .. } = step.event else {
            return;
        };
        match message {
            Message::Products { products } if step.before.acting.is_some() => {
                self.duplicate_results += u64::from(products.len() > checkpointed);
            }
            Message::Promise { .. } => self.snapshots += u64::from(is_snapshot(step.actions)),
            _ => {}
        }
    }
}

fn is_snapshot(actions: &[Action]) -> bool {
    actions.iter().any(|action| {
        matches!(
            action,
            Action::Send { to, message: Message::Checkpoint { update, .. } }
                if to.len() == 1 && !update.products.is_empty()
        )
    })
}

impl AddAssign for Reached {
    fn add_assign(&mut self, other: Reached) {
        self.takeovers_in_mid_job += other.takeovers_in_mid_job;
        self.takeovers_amid_parts += other.takeovers_amid_parts;
        self.steps_of_powers += other.steps_of_powers;
        self.stale_refused += other.stale_refused;
        self.duplicate_results += other.duplicate_results;
        self.hand_overs += other.hand_overs;
        self.snapshots += other.snapshots;
        self.late_file_calls += other.late_file_calls;
        self.ways_given += other.ways_given;
        self.damped += other.damped;
        self.overdue += other.overdue;
        self.saved_waiting += other.saved_waiting;
        self.saved_claimed += other.saved_claimed;
        self.lost_hints += other.lost_hints;
        self.elections += other.elections;
        self.terms += other.terms;
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} takeovers in mid-job, {} amid parts, {} steps of powers, {} refused stale messages, {} duplicate results, {} hand-overs, \
             {} snapshots, {} late file calls, {} ways given, {} damped preemptions, \
             {} overdue operations, {} waiting and {} claimed files saved again, {} lost hints; {} elections, {} coordinatorships",
            self.takeovers_in_mid_job,
            self.takeovers_amid_parts,
            self.steps_of_powers,
            self.stale_refused,
            self.duplicate_results,
            self.hand_overs,
            self.snapshots,
            self.late_file_calls,
            self.ways_given,
            self.damped,
            self.overdue,
            self.saved_waiting,
            self.saved_claimed,
            self.lost_hints,
            self.elections,
            self.terms
        )
    }
}
