//! Follows one job file through the jobs directory, whatever it is called on the way.
//!
//! The claim and the commit may add a number to its name, and each is a rename, which keeps the
//! inode: the file is known by that.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::SubmitError;
use super::drop_file::Dropped;
use super::folder::{Identity, JobsFolder, Stage};
use super::warnings::{Warnings, warn_if_nobody_serves};
use crate::failure::Failure;
use crate::results::{self, Found, Outcome};
use crate::signals::Signals;

/// How often to look.
const LOOK_EVERY_MS: u16 = 25;
/// A job that nobody has claimed by then may have nobody to claim it.
const UNCLAIMED_AFTER: Duration = Duration::from_secs(3);
/// How the content of a name begins that is reserved for a rename and not taken yet.
const RESERVATION: &[u8] = b"bullpen: this name is reserved";

/// Where a job file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    stage: Stage,
    file_name: OsString,
}

/// Waits until the text of a job stands.
///
/// # Errors
///
/// A signal arrived, the file was removed, or its text cannot be had.
pub(super) fn follow(
    jobs: &JobsFolder,
    dropped: &Dropped,
    signals: &mut Signals,
) -> Result<Outcome, Failure> {
    let lost = |error| SubmitError::Lost {
        name: dropped.name.clone(),
        jobs: jobs.path().to_owned(),
        error,
    };
    let file = Identity::of(&dropped.file).map_err(lost)?;
    let since = Instant::now();
    let mut warnings = Warnings::default();
    let mut place = Place {
        stage: Stage::Inbox,
        file_name: format!("{}.job", dropped.name).into(),
    };
    loop {
        match find(jobs, file, &place, &mut warnings) {
            Some(found) => place = found,
            // It was renamed while the folders were read one after the other, unless it is gone.
            None if dropped.file.metadata().map_err(lost)?.nlink() == 0 => {
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

/// Where the file is now, looked for first where it was; none if it is nowhere. In a folder that this
/// user may not read, it is looked for by its name alone.
fn find(jobs: &JobsFolder, file: Identity, last: &Place, warnings: &mut Warnings) -> Option<Place> {
    let is_in = |folder| file.is_at(folder, &last.file_name);
    if jobs.stage(last.stage).is_ok_and(is_in) {
        return Some(last.clone());
    }
    for stage in [Stage::Inbox, Stage::Running, Stage::Done, Stage::Failed] {
        let file_name = match jobs
            .stage(stage)
            .map(|folder| (file.name_in(&folder), folder))
        {
            Ok((Ok(found), _)) => found,
            Ok((Err(error), folder)) => {
                warnings.cannot_look(jobs.path(), stage, error);
                is_in(folder).then(|| last.file_name.clone())
            }
            // No cluster has ever been here.
            Err(Errno::ENOENT) => None,
            Err(error) => {
                warnings.cannot_look(jobs.path(), stage, error);
                None
            }
        };
        if let Some(file_name) = file_name {
            return Some(Place { stage, file_name });
        }
    }
    None
}

/// The end of a committed job, once its text has its name: then the text is whole.
fn outcome(jobs: &JobsFolder, place: &Place) -> Result<Option<Outcome>, Failure> {
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
        Stage::Failed => Outcome::Failed(results::reasons(&path, file)?),
        _ => Outcome::Done(file),
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

impl Place {
    fn name(&self) -> String {
        let stem = Path::new(&self.file_name).file_stem();
        stem.unwrap_or(OsStr::new(""))
            .to_string_lossy()
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(path: &Path, file: &File, last: &Place) -> Option<Place> {
        let jobs = JobsFolder::open(path).unwrap();
        let file = Identity::of(file).unwrap();
        find(&jobs, file, last, &mut Warnings::default())
    }

    fn in_inbox() -> Place {
        Place {
            stage: Stage::Inbox,
            file_name: "ten.job".into(),
        }
    }

    #[test]
    fn a_file_is_found_under_whatever_name_it_was_moved_to() {
        let jobs = tempfile::tempdir().unwrap();
        let path = jobs.path();
        fs::create_dir(path.join("done")).unwrap();
        fs::write(path.join("ten.job"), "10!\n").unwrap();
        let file = File::open(path.join("ten.job")).unwrap();
        assert_eq!(found(path, &file, &in_inbox()), Some(in_inbox()));

        fs::rename(path.join("ten.job"), path.join("done/ten.7.job")).unwrap();
        // Another of the old name is not taken for it.
        fs::write(path.join("ten.job"), "10!\n").unwrap();
        let place = found(path, &file, &in_inbox()).unwrap();
        assert_eq!(place.stage, Stage::Done);
        assert_eq!(place.name(), "ten.7");

        fs::remove_file(path.join("done/ten.7.job")).unwrap();
        assert_eq!(found(path, &file, &place), None);
    }

    #[test]
    fn what_is_no_folder_is_passed_over() {
        let jobs = tempfile::tempdir().unwrap();
        let path = jobs.path();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(path.join("running"), "").unwrap();
        fs::create_dir(path.join("failed")).unwrap();
        fs::write(path.join("failed/ten.job"), "10!\n").unwrap();
        let file = File::open(path.join("failed/ten.job")).unwrap();
        // A link to where the file is as well.
        fs::hard_link(
            path.join("failed/ten.job"),
            elsewhere.path().join("ten.job"),
        )
        .unwrap();
        symlink(elsewhere.path(), path.join("done")).unwrap();
        let place = found(path, &file, &in_inbox()).unwrap();
        assert_eq!(place.stage, Stage::Failed);
    }

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
        let Some(Outcome::Done(mut file)) = look() else {
            panic!("the results stand");
        };
        let mut results = String::new();
        file.read_to_string(&mut results).unwrap();
        assert_eq!(results, "10!=3628800\n");
    }
}
