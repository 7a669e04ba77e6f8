//! The verdict on a run: the invariants in ARCHITECTURE.md, checked against the traced event log and the
//! jobs directory of the run.
//!
//! ```text
//!   events.jsonl ─▶ log ─▶ Run ─▶ course: epochs · obedience · fencing · plan · computing · processes
//!   jobs/ ─────────────────┘      results · recomputation · reassignments · provenance · ends
//!                                 elections · convergence · failures · contents
//!                                                    │
//!                                                    ▼
//!                                               violations ─▶ laws, each held, broken or not told
//! ```
//!
//! `reading` reads a log without the lines that no law needs, see `ordinary`.
//!
//! Each invariant has a file of its own. A violation names the invariant, says in words what broke it, and
//! lists the events that show it. The log may have torn lines anywhere: violations proved by an event still
//! count, but those that only the absence of an event would prove do not.
//!
//! One has no file, since events show it only through another: a merge that loses a product which a node
//! holds (S8) causes a recomputation without a cause, S7.

mod charges;
mod computing;
mod contents;
mod convergence;
mod course;
mod deeds;
mod elections;
mod ends;
mod epochs;
mod failures;
mod fates;
mod fencing;
mod holders;
mod lacking;
mod laws;
mod needs;
mod obedience;
mod ordinary;
mod plan;
mod processes;
mod provenance;
mod reading;
mod reassignments;
mod recomputation;
mod results;
mod shutdown;
mod storms;
mod tried;
mod work;
mod zombies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::charges::Missing;
pub use self::convergence::Beliefs;
use self::course::Course;
use self::deeds::Deeds;
use self::fates::Fates;
pub use self::laws::{Law, Verdict};
pub(crate) use self::ordinary::LetGo;
pub use self::reading::read_parts;
pub use self::recomputation::Repetition;
pub use self::tried::Tried;
pub use self::zombies::Zombies;
use crate::job_files;
use crate::log::{Event, Log};
use crate::processes::is_node_of;

/// The input of a verdict.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The traced events, including the shutdown.
    pub log: Log,
    /// The jobs directory, as the run left it.
    pub jobs: PathBuf,
    /// `CLOCK_MONOTONIC` when the run was asked to end; later deaths are not faults.
    pub end_ns: u64,
    /// Whether the coordinator must be the highest live ID: not so with `--preemption never`.
    pub highest_coordinates: bool,
    /// The earliest age at which an operation was taken from its worker, if known.
    pub operation_deadline: Option<Duration>,
    /// The jobs that were dropped, as far as that is known.
    pub dropped: Vec<Dropped>,
    /// Names in the jobs directory that intake ignores, or could not claim.
    pub left_in_inbox: Vec<String>,
    /// Whether it was ended in the middle of its work: unfinished jobs are then not violations.
    pub cut_short: bool,
    /// Whether others use the jobs directory too: it contains jobs of earlier runs, and people collect, move
    /// and delete finished jobs. Jobs that the log does not name are then not judged.
    pub is_shared: bool,
}

/// A job that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name. A claim may have added a number.
    pub name: String,
    /// The content of its file.
    pub content: Vec<u8>,
}

impl Dropped {
    /// A job of this name and content.
    pub fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Dropped {
        Dropped {
            name: name.into(),
            content: content.into(),
        }
    }
}

/// The comparison of the finished jobs' texts with known properties of factorials.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Number of jobs checked.
    pub jobs: usize,
    /// Number of values in them.
    pub values: usize,
    /// The names of those whose text is not right, and why.
    pub wrong: BTreeMap<String, String>,
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
    /// A violation of an invariant, with its evidence.
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
    /// All violations of a run; none for a sound one.
    pub fn judge(&self) -> Vec<Violation> {
        let mut violations = self.judge_course();
        violations.extend(self.judge_end());
        violations
    }

    /// Whether every dropped file has ended, with all its events written, and the
    /// nodes agree.
    pub fn has_settled(&self) -> bool {
        self.is_idle() && self.judge_settling().is_empty()
    }

    /// Whether every dropped file has ended.
    pub fn is_idle(&self) -> bool {
        let mut dropped = job_files::dropped(&self.jobs).into_iter();
        dropped.all(|name| self.left_in_inbox.contains(&name))
            && job_files::names(&self.jobs.join("running")).is_empty()
    }

    /// Whether somebody deleted the file of a job, according to a coordinator.
    fn is_deleted(&self, job: &str) -> bool {
        let mut deleted = self.log.named("job_deleted");
        deleted.any(|event| event.text("job") == job)
    }

    /// The names of the jobs in a folder for which this run is responsible.
    fn ended(&self, folder: &str) -> Vec<String> {
        let mut names = job_files::ended(&self.jobs.join(folder));
        if self.is_shared {
            let named = self.log.events.iter().map(|event| event.text("job"));
            let named: BTreeSet<&str> = named.collect();
            names.retain(|name| named.contains(name.as_str()));
        }
        names
    }

    /// The node processes still alive long after the end: S11.
    pub fn judge_survivors(&self, run_dir: &Path) -> Vec<Violation> {
        let spawned = self.log.named("node_spawned");
        let left = spawned.filter(|event| is_node_of(run_dir, event.process()));
        let outlives = |event: &Event| {
            let message = format!("process {} outlives its supervisor", event.pid());
            Violation::new("S11", message, &[event])
        };
        left.map(outlives).collect()
    }

    /// Violations of the final state: which node believes in which coordinator.
    pub fn judge_end(&self) -> Vec<Violation> {
        convergence::check(self)
    }

    /// Violations that may only be late events: a belief, or the line of a publication. A run without any
    /// has settled, if no file waits either.
    pub fn judge_settling(&self) -> Vec<Violation> {
        let mut violations = self.judge_end();
        violations.extend(results::publications(self));
        violations
    }

    /// Compares the texts of the finished jobs with known properties of factorials: see [`crate::oracle`].
    pub fn compare(&self) -> Comparison {
        results::compare(self)
    }

    /// The operations that were computed more than once while a job needed them.
    pub fn repetitions(&self) -> Vec<Repetition<'_>> {
        recomputation::repetitions(self, &Fates::of(&self.log))
    }

    /// All violations of the course of the run, without those of its final state.
    pub fn judge_course(&self) -> Vec<Violation> {
        self.judge_course_beside(&self.compare())
    }

    /// [`Run::judge_course`], with a comparison that was made before.
    pub fn judge_course_beside(&self, compared: &Comparison) -> Vec<Violation> {
        let fates = Fates::of(&self.log);
        let course = Course::of(&self.log);
        let mut violations = course.check(&Missing::of(&self.log));
        violations.extend(results::check(self, compared));
        let deeds = Deeds::of(&self.log);
        violations.extend(recomputation::check(self, &deeds, &course.work));
        violations.extend(provenance::check(&self.log, &deeds));
        violations.extend(reassignments::check(self, &fates, &course.work));
        violations.extend(ends::check(self));
        violations.extend(failures::check(self));
        violations.extend(contents::check(self));
        violations.extend(shutdown::check(self));
        violations.extend(elections::check(self, &fates));
        violations
    }
}
