//! What one who waits for a job is told meanwhile, once each. None of it is a failure: whoever reads it may
//! mend it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use protocol::printable::printable;
use supervisor::jobs_dir;

use super::folder::Stage;
use crate::commands::stderr;

/// The warnings that were told.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    told: BTreeSet<String>,
    /// Somebody was looked for who serves the directory.
    has_asked: bool,
}

impl Warnings {
    /// A folder cannot be read. Where jobs pass through, their end is seen later all the same.
    pub(super) fn cannot_look(&mut self, jobs: &Path, stage: Stage, error: Errno) {
        if matches!(stage, Stage::Done | Stage::Failed) {
            let folder = jobs.join(stage.name());
            let error = io::Error::from(error);
            self.tell(format!(
                "cannot look into {}, where the end of the job may be: {error}; waiting for it to be readable",
                folder.display()
            ));
        }
    }

    fn tell(&mut self, sentence: String) {
        if !self.told.contains(&sentence) {
            stderr::say(&printable(&sentence));
            self.told.insert(sentence);
        }
    }
}

/// Looks once whether a cluster works on the jobs directory.
pub(super) fn warn_if_nobody_serves(jobs: &Path, warnings: &mut Warnings) {
    if !std::mem::replace(&mut warnings.has_asked, true) && !jobs_dir::is_served(jobs) {
        warnings.tell(format!(
            "no bullpen works on {0}, so the job waits; start one with: bullpen up --jobs {0}",
            jobs.display()
        ));
    }
}
