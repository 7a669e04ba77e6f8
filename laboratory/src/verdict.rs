//! The verdict on a run: the invariants that ARCHITECTURE.md names, checked against the event log that the
//! run has traced and the jobs directory that it leaves.
//!
//! ```text
//!   events.jsonl ─▶ log ─▶ Run ─▶ epochs · fencing · results · computing · recomputation
//!   jobs/ ─────────────────┘      reassignments · ends · processes · convergence · elections
//!                                                    │
//!                                                    ▼
//!                                               violations
//! ```
//!
//! Each invariant has a file of its own. A violation names the invariant, says in words what broke
//! it, and lists the events that show it. The log may have torn lines anywhere: what is proved by
//! an event stands, and what only the lack of an event would prove is not claimed then.

mod computing;
mod convergence;
mod elections;
mod ends;
mod epochs;
mod fates;
mod fencing;
mod processes;
mod reassignments;
mod recomputation;
mod results;
mod zombies;

use std::fmt;
use std::path::PathBuf;

use self::fates::Fates;
pub use self::zombies::Zombies;
use crate::log::{Event, Log};

/// What a verdict is computed from.
#[derive(Clone, Debug)]
pub struct Run {
    /// The events that were traced, shutdown included.
    pub log: Log,
    /// The jobs directory, as the run left it.
    pub jobs: PathBuf,
    /// `CLOCK_MONOTONIC` when the run was asked to end; what died later is no fault.
    pub end_ns: u64,
    /// Whether the coordinator must be the highest live ID: not so with `--preemption never`.
    pub highest_coordinates: bool,
    /// Names in the jobs directory that intake leaves alone, or has not been able to take.
    pub left_in_inbox: Vec<String>,
}

/// One broken invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Its name in ARCHITECTURE.md.
    pub invariant: &'static str,
    /// What happened.
    pub message: String,
    /// The events that show it.
    pub events: Vec<Event>,
}

impl Violation {
    /// A violation of an invariant, with what shows it.
    pub fn new(
        invariant: &'static str,
        message: impl Into<String>,
        events: &[&Event],
    ) -> Violation {
        Violation {
            invariant,
            message: message.into(),
            events: events.iter().map(|&event| event.clone()).collect(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.message)?;
        for event in &self.events {
            write!(f, "\n    {event}")?;
        }
        Ok(())
    }
}

impl Run {
    /// All that is wrong with a run; nothing for a sound one.
    pub fn judge(&self) -> Vec<Violation> {
        let mut violations = self.judge_course();
        violations.extend(self.judge_end());
        violations
    }

    /// What is wrong with how it stood in the end: who believes in which coordinator.
    pub fn judge_end(&self) -> Vec<Violation> {
        convergence::check(self)
    }

    /// What may only be late: a belief, or the line that tells of a publication. A run without any
    /// of it has settled, if no file waits either.
    pub fn judge_settling(&self) -> Vec<Violation> {
        let mut violations = self.judge_end();
        violations.extend(results::publications(self));
        violations
    }

    /// All that is wrong with what happened; how it stood in the end is left out.
    pub fn judge_course(&self) -> Vec<Violation> {
        let fates = Fates::of(&self.log);
        let mut violations = epochs::check(&self.log);
        violations.extend(fencing::check(&self.log));
        violations.extend(results::check(self));
        violations.extend(computing::check(&self.log));
        violations.extend(recomputation::check(self, &fates));
        violations.extend(reassignments::check(self, &fates));
        violations.extend(ends::check(self));
        violations.extend(processes::check(&self.log));
        violations.extend(elections::check(self, &fates));
        violations
    }
}
