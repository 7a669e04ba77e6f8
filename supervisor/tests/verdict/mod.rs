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

#![allow(
    dead_code,
    unused_imports,
    reason = "every test binary uses a part of the verdict, and none uses all of it"
)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod computing;
mod convergence;
pub(crate) mod dropping;
mod elections;
mod ends;
mod epochs;
mod fates;
mod fencing;
mod job_files;
mod log;
pub(crate) mod made;
mod processes;
mod reassignments;
mod recomputation;
mod results;
pub(crate) mod trial;
mod waiting;
mod zombies;

use std::fmt;
use std::path::PathBuf;

use self::fates::Fates;
pub(crate) use self::log::{Event, Log, Op};
pub(crate) use self::trial::Trial;

/// What a verdict is computed from.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) log: Log,
    /// The jobs directory, as the run left it.
    pub(crate) jobs: PathBuf,
    /// `CLOCK_MONOTONIC` when the run was asked to end; what died later is no fault.
    pub(crate) end_ns: u64,
    /// Whether the coordinator must be the highest live ID: not so with `--preemption never`.
    pub(crate) highest_coordinates: bool,
    /// Names in the jobs directory that intake leaves alone, or has not been able to take.
    pub(crate) left_in_inbox: Vec<String>,
}

/// One broken invariant.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Its name in ARCHITECTURE.md.
    pub(crate) invariant: &'static str,
    /// What happened.
    pub(crate) message: String,
    /// The events that show it.
    pub(crate) events: Vec<Event>,
}

impl Violation {
    pub(crate) fn new(
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
    pub(crate) fn judge(&self) -> Vec<Violation> {
        let mut violations = self.judge_course();
        violations.extend(convergence::check(self));
        violations
    }

    /// All that is wrong with what happened; how it stood in the end is left out.
    fn judge_course(&self) -> Vec<Violation> {
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

/// Fails the test if anything is wrong.
pub(crate) fn assert_sound(violations: &[Violation]) {
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        list.len(),
        list.join("\n")
    );
}
