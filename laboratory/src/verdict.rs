//! The verdict on a run: the invariants that ARCHITECTURE.md names, checked against the event log that the
//! run has traced and the jobs directory that it leaves.
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
//! `reading` takes a log in without the lines that no law asks for, see `ordinary`.
//!
//! Each invariant has a file of its own. A violation names the invariant, says in words what broke
//! it, and lists the events that show it. The log may have torn lines anywhere: what is proved by
//! an event stands, and what only the lack of an event would prove is not claimed then.
//!
//! One has no file, since events tell of it only through others: a merge that loses what a node
//! holds (S8) has it computed again without a cause, S7.

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

/// What a verdict is computed from.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The events that were traced, shutdown included.
    pub log: Log,
    /// The jobs directory, as the run left it.
    pub jobs: PathBuf,
    /// `CLOCK_MONOTONIC` when the run was asked to end; what died later is no fault.
    pub end_ns: u64,
    /// Whether the coordinator must be the highest live ID: not so with `--preemption never`.
    pub highest_coordinates: bool,
    /// After which time an operation was taken from its worker at the earliest, if that is known.
    pub operation_deadline: Option<Duration>,
    /// The jobs that were dropped, as far as that is known.
    pub dropped: Vec<Dropped>,
    /// Names in the jobs directory that intake leaves alone, or has not been able to take.
    pub left_in_inbox: Vec<String>,
    /// Whether it was ended in the middle of its work: what is unfinished then is no fault.
    pub cut_short: bool,
    /// Whether others use the jobs directory too: jobs of earlier runs lie in it, and people collect, move
    /// and delete what has ended. Of a job that the log does not name nothing is said then.
    pub is_shared: bool,
}

/// A job that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name. A claim may have added a number.
    pub name: String,
    /// What was in its file.
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

/// The texts of the finished jobs, beside what is known of factorials without computing them.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// How many jobs were looked at.
    pub jobs: usize,
    /// How many values they hold.
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

    /// Whether every file that was dropped has ended, all that has to be said of it is said, and the
    /// nodes agree.
    pub fn has_settled(&self) -> bool {
        self.is_idle() && self.judge_settling().is_empty()
    }

    /// Whether every file that was dropped has ended.
    pub fn is_idle(&self) -> bool {
        let mut dropped = job_files::dropped(&self.jobs).into_iter();
        dropped.all(|name| self.left_in_inbox.contains(&name))
            && job_files::names(&self.jobs.join("running")).is_empty()
    }

    /// Whether somebody deleted the file of a job, as a coordinator tells.
    fn is_deleted(&self, job: &str) -> bool {
        let mut deleted = self.log.named("job_deleted");
        deleted.any(|event| event.text("job") == job)
    }

    /// The names of the jobs that stand in a folder, and of which this run may be asked.
    fn ended(&self, folder: &str) -> Vec<String> {
        let mut names = job_files::ended(&self.jobs.join(folder));
        if self.is_shared {
            let named = self.log.events.iter().map(|event| event.text("job"));
            let named: BTreeSet<&str> = named.collect();
            names.retain(|name| named.contains(name.as_str()));
        }
        names
    }

    /// The processes of nodes that live still, long after the end: S11.
    pub fn judge_survivors(&self, run_dir: &Path) -> Vec<Violation> {
        let spawned = self.log.named("node_spawned");
        let left = spawned.filter(|event| is_node_of(run_dir, event.process()));
        let outlives = |event: &Event| {
            let message = format!("process {} outlives its supervisor", event.pid());
            Violation::new("S11", message, &[event])
        };
        left.map(outlives).collect()
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

    /// The texts of the finished jobs, beside what is known of factorials: see [`crate::oracle`].
    pub fn compare(&self) -> Comparison {
        results::compare(self)
    }

    /// The operations that were computed more than once while a job needed them.
    pub fn repetitions(&self) -> Vec<Repetition<'_>> {
        recomputation::repetitions(self, &Fates::of(&self.log))
    }

    /// All that is wrong with what happened; how it stood in the end is left out.
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
