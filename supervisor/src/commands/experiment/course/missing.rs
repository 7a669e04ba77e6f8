//! What keeps an experiment from telling whether its run was sound: no room, on its own disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::trace::WaitCause;
use supervisor::control::{Answer, Request};

use super::{Course, ExperimentError};
use crate::commands::client;
use crate::commands::experiment::course::waits::Stop;
use crate::commands::submit::SubmitError;

/// How often the supervisor is asked.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// What a file takes on most file systems, however small it is.
const PROBE: [u8; 4096] = [0; 4096];

/// What could not be written, so that its lack shows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::experiment) enum Missing {
    /// Events; none where it is not known whether there were any.
    Events {
        /// How many.
        count: u64,
        /// What the system says.
        why: String,
    },
    /// A job file, or the text of a job.
    Job {
        /// What the system says.
        why: String,
    },
}

impl Course<'_> {
    /// Stops the experiment if something cannot be written. The supervisor is asked now and then.
    pub(super) fn look_for_missing(&mut self) -> Result<(), Stop> {
        if Instant::now() < self.ask_at {
            return Ok(());
        }
        self.ask_at = Instant::now() + ASK_EVERY;
        match self.missing() {
            Some(missing) => Err(Stop::Missing(missing)),
            None => Ok(()),
        }
    }

    /// What the supervisor says to be missing. One that does not answer says nothing.
    pub(super) fn missing(&self) -> Option<Missing> {
        let Ok(Answer::Status(status)) = client::ask(self.cluster.run_dir(), &Request::Status)
        else {
            return None;
        };
        if status.lost_events > 0 {
            return Some(Missing::Events {
                count: status.lost_events,
                why: status.lost_why.unwrap_or_default(),
            });
        }
        let mut jobs = status.jobs.iter();
        let waits = jobs.any(|job| job.waits == Some(WaitCause::Space));
        let why = || no_space().to_string();
        waits.then(|| Missing::Job { why: why() })
    }

    /// Drops what is lacking; a disk without room for it is no failure of the experiment.
    pub(super) fn top_up(&mut self) -> Result<(), Stop> {
        self.work.top_up().map_err(|error| match &error {
            SubmitError::Drop { error: why, .. } if is_without_room(why) => {
                let why = why.to_string();
                Stop::Missing(Missing::Job { why })
            }
            _ => error.into(),
        })
    }

    /// When the cluster is gone: what its log says to be missing, or cannot say for lack of room.
    pub(super) fn missing_in_the_end(&self, lost: u64) -> Option<Missing> {
        // A name that is taken for what a cluster leaves there.
        let probe = self.log_path().with_added_extension("room");
        let written = fs::write(&probe, PROBE);
        // Nothing may be there.
        let _ = fs::remove_file(&probe);
        let why = match written {
            Err(error) if is_without_room(&error) => error.to_string(),
            _ if lost > 0 => "it had no room for them".to_owned(),
            _ => return None,
        };
        Some(Missing::Events { count: lost, why })
    }
}

fn no_space() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

/// Whether a file found no room: on its disk, within the quota of its user, or below the limit on its size.
fn is_without_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl Missing {
    /// The failure that it is, of an experiment with this private folder and perhaps a run directory
    /// elsewhere.
    pub(in crate::commands::experiment) fn failure(
        &self,
        folder: &Path,
        run_dir: &Path,
    ) -> ExperimentError {
        let within = run_dir.starts_with(folder);
        let (folder, option, what): (PathBuf, _, _) = match self {
            Missing::Events { .. } if !within => {
                (run_dir.to_owned(), "--run-dir", self.to_string())
            }
            _ => (folder.to_owned(), "TMPDIR", self.to_string()),
        };
        ExperimentError::CannotTell {
            folder,
            option,
            what,
        }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Missing::Events { count: 0, why } => write!(f, "events may be missing: {why}"),
            Missing::Events { count: 1, why } => write!(f, "1 event is missing: {why}"),
            Missing::Events { count, why } => write!(f, "{count} events are missing: {why}"),
            Missing::Job { why } => write!(f, "a job could not be written: {why}"),
        }
    }
}
