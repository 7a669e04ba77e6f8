//! S7: what is finished of a factorial is not forgotten while a job that needs it has no text, not
//! even a complete one under a hidden name: it would have to be computed again. A coordinator that fails
//! a job, since too many died of it, needs nothing for it any more.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::Action;
use protocol::file::{FilePath, Folder};
use protocol::message::Message;
use protocol::plan::OperationId;
use protocol::time::Time;
use protocol::trace::Trace;

use super::Checker;
use super::results::show;
use crate::directory::{Change, File};
use crate::fact::{Fact, Life, Step};
use crate::job::Job;

/// The claimed jobs without a text, and when each coordinator began to act.
#[derive(Debug, Default)]
pub struct Forgetting {
    open: BTreeMap<usize, Open>,
    /// Names of complete texts in `running/`.
    hidden: BTreeSet<Vec<u8>>,
    acting_since: BTreeMap<Life, Time>,
    held: BTreeMap<Life, Vec<OperationId>>,
    /// Names of the jobs that each coordinator fails.
    failing: BTreeMap<Life, BTreeSet<String>>,
}

#[derive(Debug)]
struct Open {
    path: FilePath,
    since: Time,
    numbers: Vec<u32>,
}

impl Checker for Forgetting {
    fn property(&self) -> &'static str {
        "S7"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => return self.step(step),
            Fact::Died(life) => {
                self.leaves(life);
            }
            Fact::Changed { at, change, .. } => self.changed(*at, change),
            Fact::PowerLost(files) => {
                let is_running = |path: &FilePath| path.folder == Folder::Running;
                let running = files.iter().filter(|(path, _)| is_running(path));
                self.open.clear();
                self.hidden.clear();
                for (path, file) in running {
                    match file.job {
                        Some(job) => self.moved(Time::default(), job, path, file),
                        None => {
                            self.hidden.insert(path.name.clone());
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Forgetting {
    fn changed(&mut self, at: Time, change: &Change) {
        let (from, to, file) = match change {
            Change::Moved { from, to, file, .. } => (from, to, file),
            Change::Removed { path, .. } => {
                self.hidden.remove(&path.name);
                return;
            }
            Change::Written { file, .. } => {
                if let Some(open) = file.job.and_then(|job| self.open.get_mut(&job)) {
                    open.numbers = Job::numbers(&file.content).unwrap_or_default();
                    open.since = at;
                }
                return;
            }
        };
        self.hidden.remove(&from.name);
        match (file.job, to.folder) {
            (Some(job), Folder::Running | Folder::Done) => self.moved(at, job, to, file),
            (Some(job), _) => {
                self.open.remove(&job);
            }
            (None, Folder::Done) => {
                let mut path = to.clone();
                path.name
                    .truncate(path.name.len().saturating_sub(b"txt".len()));
                path.name.extend_from_slice(b"job");
                self.open.retain(|_, open| open.path != path);
            }
            (None, Folder::Running) => {
                self.hidden.insert(to.name.clone());
            }
            (None, _) => {}
        }
    }

    /// Whether a complete text is there, if only under a hidden name.
    fn has_text(&self, open: &Open) -> bool {
        let job = open.path.name.strip_suffix(b"job").unwrap_or_default();
        let is_its = |name: &Vec<u8>| {
            let rest = name
                .strip_prefix(b".")
                .and_then(|name| name.strip_prefix(job));
            rest.is_some() && name.ends_with(b".done.txt")
        };
        self.hidden.iter().any(is_its)
    }

    fn moved(&mut self, at: Time, job: usize, to: &FilePath, file: &File) {
        let open = self.open.entry(job).or_insert_with(|| Open {
            path: to.clone(),
            since: at,
            numbers: Job::numbers(&file.content).unwrap_or_default(),
        });
        open.path = to.clone();
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        if step.after.acting.is_none() {
            self.leaves(&step.life);
            return Ok(());
        }
        let since = *self.acting_since.entry(step.life).or_insert(step.at);
        for action in step.actions {
            if let Action::Trace {
                trace: Trace::JobRejected { job },
                ..
            } = action
            {
                let failing = self.failing.entry(step.life).or_default();
                failing.insert(job.clone());
            }
        }
        for action in step.actions {
            if let Action::Send {
                message: Message::Checkpoint { update, .. },
                ..
            } = action
            {
                for &n in &update.forgotten {
                    self.forgotten(step.life, n, since)?;
                }
            }
        }
        let held = (step.held)();
        self.held.insert(step.life, held);
        Ok(())
    }

    fn leaves(&mut self, life: &Life) {
        self.acting_since.remove(life);
        self.held.remove(life);
        self.failing.remove(life);
    }

    fn forgotten(&self, life: Life, n: u32, since: Time) -> Result<(), String> {
        let has = |held: &Vec<OperationId>| held.iter().any(|id| id.n == n);
        if !self.held.get(&life).is_some_and(has) {
            return Ok(());
        }
        let fails = |open: &Open| {
            let name = open.path.name.strip_suffix(b".job").unwrap_or_default();
            let mut failing = self.failing.get(&life).into_iter().flatten();
            open.path.folder == Folder::Running && failing.any(|job| job.as_bytes() == name)
        };
        // A late claim of another, after this one had looked, is not known to it.
        let needs = |open: &&Open| {
            open.since < since && open.numbers.contains(&n) && !self.has_text(open) && !fails(open)
        };
        match self.open.values().find(needs) {
            Some(open) => Err(format!(
                "{life} has {n}! forgotten, of which it holds a part, although {} needs it and has no text",
                show(&open.path)
            )),
            None => Ok(()),
        }
    }
}
