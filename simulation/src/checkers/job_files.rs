//! S9: every accepted file ends once, in done or in failed; nothing is overwritten or lost.
//!
//! Relies on the order of the changes of the jobs directory, which is one place. A file is told from
//! others by its number, whatever its name: it goes on only from where it stands.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::Action;
use protocol::file::{FilePath, Folder};
use protocol::trace::Trace;

use super::results::show;
use super::{Checker, on_change};
use crate::directory::{Change, File};
use crate::fact::Fact;

/// Where each dropped file is.
#[derive(Debug, Default)]
pub struct JobFiles {
    homes: BTreeMap<usize, BTreeSet<FilePath>>,
    /// Somebody took jobs away that had ended.
    collected: bool,
}

impl Checker for JobFiles {
    fn property(&self) -> &'static str {
        "S9"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::PowerLost(files) = fact {
            self.homes.clear();
            for (path, file) in *files {
                if let Some(job) = file.job {
                    self.homes.entry(job).or_default().insert(path.clone());
                }
            }
        }
        if let Fact::Collected(_) = fact {
            self.collected = true;
        }
        if let Fact::Step(step) = fact {
            let deleted = step.actions.iter().find_map(|action| match action {
                Action::Trace {
                    trace: Trace::JobDeleted { job },
                    ..
                } => Some(job),
                _ => None,
            });
            // Nobody deletes jobs here, but somebody may collect those that are done.
            return deleted.filter(|_| !self.collected).map_or(Ok(()), |job| {
                Err(format!(
                    "job {job} is said to be deleted, and stands somewhere"
                ))
            });
        }
        on_change(fact, |change| self.changed(change))
    }
}

impl JobFiles {
    fn changed(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::Moved {
                from,
                to,
                file,
                clobbered,
            } => {
                if let Some(lost) = clobbered.as_ref().and_then(|file| file.job) {
                    return Err(format!(
                        "job {lost} was lost: {} was renamed over it",
                        show(from)
                    ));
                }
                let Some(job) = file.job else {
                    return Ok(());
                };
                let may = matches!(
                    (from.folder, to.folder),
                    (Folder::Inbox | Folder::Running, Folder::Running)
                        | (Folder::Running, Folder::Done | Folder::Failed)
                );
                if !may || !to.name.ends_with(b".job") {
                    return Err(format!(
                        "job {job} went from {} to {}",
                        show(from),
                        show(to)
                    ));
                }
                let homes = self.homes.entry(job).or_default();
                if !homes.remove(from)
                    && let Some(home) = homes.first()
                {
                    return Err(format!(
                        "job {job} went from {} to {}, and stands as {}",
                        show(from),
                        show(to),
                        show(home)
                    ));
                }
                homes.insert(to.clone());
                Ok(())
            }
            Change::Written { path, file, before } => {
                if let Some(job) = file.job {
                    self.homes.entry(job).or_default().insert(path.clone());
                }
                let before = before.as_ref().filter(|_| path.folder != Folder::Inbox);
                is_job(before, || format!("{} was written over", show(path)))
            }
            Change::Removed { path, file } => {
                is_job(Some(file), || format!("{} was removed", show(path)))
            }
        }
    }
}

fn is_job(file: Option<&File>, what: impl FnOnce() -> String) -> Result<(), String> {
    // A person may still be writing to a file that was claimed.
    match file.and_then(|file| file.job.filter(|_| !file.open)) {
        Some(job) => Err(format!("job {job} was lost: {}", what())),
        None => Ok(()),
    }
}
