//! S10: no half-written file is read, as far as a lease or a quiet time can tell.
//!
//! Relies on the order of the changes and reads of the jobs directory, which is one place, and on the
//! clock of the simulation for the quiet time.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::file::Folder;
use protocol::time::Time;

use super::Checker;
use super::results::show;
use crate::directory::Change;
use crate::fact::Fact;

/// What held still for so long may be taken for complete where nothing else tells.
const QUIET: Duration = Duration::from_millis(500);

/// When each dropped file was last written to.
#[derive(Debug)]
pub struct WholeFiles {
    /// The file system tells whether a file is open for writing.
    leases: bool,
    written: BTreeMap<usize, Time>,
}

impl WholeFiles {
    /// For a file system that tells by a lease whether a file is open for writing, or does not.
    pub fn new(leases: bool) -> WholeFiles {
        WholeFiles {
            leases,
            written: BTreeMap::new(),
        }
    }
}

impl Checker for WholeFiles {
    fn property(&self) -> &'static str {
        "S10"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Changed {
                at,
                change: Change::Written { file, .. },
                ..
            } => {
                if let Some(job) = file.job {
                    self.written.insert(job, *at);
                }
                Ok(())
            }
            Fact::Changed {
                at,
                change: Change::Moved { to, file, .. },
                ..
            } if !self.leases && matches!(to.folder, Folder::Done | Folder::Failed) => {
                let Some(job) = file.job else {
                    return Ok(());
                };
                let written = self.written.get(&job).copied().unwrap_or_default();
                if file.open && at.since(written) < QUIET {
                    return Err(format!(
                        "{} (job {job}) ends while it is being written",
                        show(to)
                    ));
                }
                Ok(())
            }
            Fact::Read { by, path, file } => match file.job.filter(|_| file.open) {
                Some(job) => Err(format!(
                    "{by} reads {} (job {job}) while it is being written",
                    show(path)
                )),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
