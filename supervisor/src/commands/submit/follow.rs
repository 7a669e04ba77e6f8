//! Follows one job file through the jobs directory, whatever it is called on the way.
//!
//! The claim and the commit may add a number to its name: [`Search`] finds it.

use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::file::RESERVATION;
use supervisor::signals::Signals;

use super::SubmitError;
use super::drop_file::Dropped;
use super::folder::{JobsFolder, Stage};
use super::search::{Place, Search};
use super::warnings::{Warnings, warn_if_nobody_serves};
use crate::commands::failure::Failure;
use crate::commands::results::{self, Found, JobOutcome};

/// How often to look.
const LOOK_EVERY_MS: u16 = 25;
/// A job that nobody has claimed by then may have nobody to claim it.
const UNCLAIMED_AFTER: Duration = Duration::from_secs(3);

/// Waits until the text of a job stands.
///
/// # Errors
///
/// A signal arrived, the file was removed, or its text cannot be had.
pub(super) fn follow(
    jobs: &JobsFolder,
    dropped: &Dropped,
    signals: &mut Signals,
) -> Result<JobOutcome, Failure> {
    let lost = |error| SubmitError::Lost {
        name: dropped.name.clone(),
        jobs: jobs.path().to_owned(),
        error,
    };
    let mut search = Search::of(dropped);
    let since = Instant::now();
    let mut warnings = Warnings::default();
    let mut place = Place {
        stage: Stage::Inbox,
        file_name: format!("{}.job", dropped.name).into(),
    };
    loop {
        match search.find(jobs, &place, &mut warnings) {
            Some(found) => place = found,
            // It was renamed while the folders were read one after the other, unless it is gone.
            None if search.is_removed().map_err(lost)? => {
                let name = dropped.name.clone();
                return Err(SubmitError::Removed { name }.into());
            }
            None => {}
        }
        if let Some(outcome) = outcome(jobs, &place)? {
            return Ok(outcome);
        }
        if place.stage == Stage::Inbox && since.elapsed() >= UNCLAIMED_AFTER {
            warn_if_nobody_serves(jobs.path(), &mut warnings);
        }
        if wait(signals).map_err(lost)? {
            let name = place.name();
            let results = jobs.path().join("done").join(format!("{name}.txt"));
            return Err(SubmitError::Interrupted { name, results }.into());
        }
    }
}

/// The end of a committed job, once its text has its name: then the text is whole.
fn outcome(jobs: &JobsFolder, place: &Place) -> Result<Option<JobOutcome>, Failure> {
    if !matches!(place.stage, Stage::Done | Stage::Failed) {
        return Ok(None);
    }
    let Ok(folder) = jobs.stage(place.stage) else {
        // Taken away just now, or replaced: it may come back.
        return Ok(None);
    };
    let name = Path::new(&place.file_name).with_extension("txt");
    let path = jobs.path().join(place.stage.name()).join(&name);
    let unreadable = |error| results::unreadable(&path, error);
    let mut file = match results::open_text(folder, name.as_os_str()).map_err(unreadable)? {
        Found::Text(file) => file,
        Found::Nothing => return Ok(None),
        // The cluster replaces nothing, so the text will not come.
        Found::Other(what) => return Err(SubmitError::InTheWay { path, what }.into()),
    };
    let mut start = Vec::new();
    (&file)
        .take(RESERVATION.len() as u64)
        .read_to_end(&mut start)
        .and_then(|_| file.rewind())
        .map_err(unreadable)?;
    // A reservation is made empty.
    if start.is_empty() || start == RESERVATION {
        return Ok(None);
    }
    Ok(Some(match place.stage {
        Stage::Failed => JobOutcome::Failed(results::reasons(&path, file)?),
        _ => JobOutcome::Done(file),
    }))
}

/// Waits a little; tells whether a signal asked to stop.
fn wait(signals: &mut Signals) -> io::Result<bool> {
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS)) {
        Ok(_) | Err(Errno::EINTR) => Ok(signals.drain() > 0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_counts_once_it_is_more_than_a_reservation() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("done")).unwrap();
        let text = folder.path().join("done/ten.2.txt");
        let place = Place {
            stage: Stage::Done,
            file_name: "ten.2.job".into(),
        };
        let jobs = JobsFolder::open(folder.path()).unwrap();
        let look = || outcome(&jobs, &place).unwrap();
        assert!(look().is_none());
        for early in ["", "bullpen: this name is reserved for a rename\n"] {
            fs::write(&text, early).unwrap();
            assert!(look().is_none());
        }
        fs::write(&text, "10!=3628800\n").unwrap();
        let Some(JobOutcome::Done(mut file)) = look() else {
            panic!("the results stand");
        };
        let mut results = String::new();
        file.read_to_string(&mut results).unwrap();
        assert_eq!(results, "10!=3628800\n");
    }
}
