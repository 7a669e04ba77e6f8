//! Follows one job file through the jobs directory, whatever it is called on the way.
//!
//! The claim and the commit may add a number to its name, and each is a rename, which keeps the
//! inode: the file is known by that.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::SubmitError;
use super::drop_file::Dropped;
use crate::failure::Failure;
use crate::jobs_dir;
use crate::results::{self, Outcome};
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Inbox,
    Running,
    Done,
    Failed,
}

/// Waits until the text of a job stands.
///
/// # Errors
///
/// A signal arrived, the file was removed, or the directories cannot be read.
pub(super) fn follow(
    jobs: &Path,
    dropped: &Dropped,
    signals: &mut Signals,
) -> Result<Outcome, Failure> {
    let lost = |error| SubmitError::Lost {
        name: dropped.name.clone(),
        jobs: jobs.to_owned(),
        error,
    };
    let inode = dropped.file.metadata().map_err(lost)?.ino();
    let since = Instant::now();
    let mut warned = false;
    let mut place = Place {
        stage: Stage::Inbox,
        file_name: format!("{}.job", dropped.name).into(),
    };
    loop {
        match find(jobs, inode, &place).map_err(lost)? {
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
        if !warned && place.stage == Stage::Inbox && since.elapsed() >= UNCLAIMED_AFTER {
            warned = true;
            warn_if_nobody_serves(jobs);
        }
        if wait(signals).map_err(lost)? {
            let name = place.name();
            let results = Stage::Done.folder(jobs).join(format!("{name}.txt"));
            return Err(SubmitError::Interrupted { name, results }.into());
        }
    }
}

/// Where the file is now, looked for first where it was; none if it is nowhere.
fn find(jobs: &Path, inode: u64, last: &Place) -> io::Result<Option<Place>> {
    let here = last.stage.folder(jobs).join(&last.file_name);
    if fs::symlink_metadata(here).is_ok_and(|found| found.ino() == inode) {
        return Ok(Some(last.clone()));
    }
    for stage in [Stage::Inbox, Stage::Running, Stage::Done, Stage::Failed] {
        let entries = match fs::read_dir(stage.folder(jobs)) {
            Ok(entries) => entries,
            // No cluster has ever been here.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.ino() == inode {
                let file_name = entry.file_name();
                return Ok(Some(Place { stage, file_name }));
            }
        }
    }
    Ok(None)
}

/// The end of a committed job, once its text has its name: then the text is whole.
fn outcome(jobs: &Path, place: &Place) -> Result<Option<Outcome>, Failure> {
    if !matches!(place.stage, Stage::Done | Stage::Failed) {
        return Ok(None);
    }
    let folder = place.stage.folder(jobs);
    let path = folder.join(&place.file_name).with_extension("txt");
    let Some(mut file) = results::open_if_there(&path)? else {
        return Ok(None);
    };
    let mut start = Vec::new();
    (&file)
        .take(RESERVATION.len() as u64)
        .read_to_end(&mut start)
        .and_then(|_| file.rewind())
        .map_err(|error| results::unreadable(&path, error))?;
    // A reservation is made empty.
    if start.is_empty() || start == RESERVATION {
        return Ok(None);
    }
    Ok(Some(match place.stage {
        Stage::Failed => Outcome::Failed(results::reasons(&path, file)?),
        _ => Outcome::Done(file),
    }))
}

fn warn_if_nobody_serves(jobs: &Path) {
    if !jobs_dir::is_served(jobs) {
        // Not a failure: who reads it may start one.
        let _ = io::Write::write_fmt(
            &mut io::stderr(),
            format_args!(
                "bullpen: no bullpen works on {0}, so the job waits; start one with: bullpen up --jobs {0}\n",
                jobs.display()
            ),
        );
    }
}

/// Waits a little; tells whether a signal asked to stop.
fn wait(signals: &mut Signals) -> io::Result<bool> {
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS)) {
        Ok(_) | Err(Errno::EINTR) => Ok(signals.drain() > 0),
        Err(error) => Err(error.into()),
    }
}

impl Stage {
    fn folder(self, jobs: &Path) -> PathBuf {
        match self {
            Stage::Inbox => jobs.to_owned(),
            Stage::Running => jobs.join("running"),
            Stage::Done => jobs.join("done"),
            Stage::Failed => jobs.join("failed"),
        }
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
    use super::*;

    #[test]
    fn a_file_is_found_under_whatever_name_it_was_moved_to() {
        let jobs = tempfile::tempdir().unwrap();
        let path = jobs.path();
        fs::create_dir(path.join("done")).unwrap();
        fs::write(path.join("ten.job"), "10!\n").unwrap();
        let inode = fs::metadata(path.join("ten.job")).unwrap().ino();
        let first = Place {
            stage: Stage::Inbox,
            file_name: "ten.job".into(),
        };
        assert_eq!(find(path, inode, &first).unwrap(), Some(first.clone()));

        fs::rename(path.join("ten.job"), path.join("done/ten.7.job")).unwrap();
        // Another of the old name is not taken for it.
        fs::write(path.join("ten.job"), "10!\n").unwrap();
        let found = find(path, inode, &first).unwrap().unwrap();
        assert_eq!(found.stage, Stage::Done);
        assert_eq!(found.name(), "ten.7");

        fs::remove_file(path.join("done/ten.7.job")).unwrap();
        assert_eq!(find(path, inode, &found).unwrap(), None);
    }

    #[test]
    fn a_text_counts_once_it_is_more_than_a_reservation() {
        let jobs = tempfile::tempdir().unwrap();
        fs::create_dir(jobs.path().join("done")).unwrap();
        let text = jobs.path().join("done/ten.2.txt");
        let place = Place {
            stage: Stage::Done,
            file_name: "ten.2.job".into(),
        };
        assert!(outcome(jobs.path(), &place).unwrap().is_none());
        for early in ["", "bullpen: this name is reserved for a rename\n"] {
            fs::write(&text, early).unwrap();
            assert!(outcome(jobs.path(), &place).unwrap().is_none());
        }
        fs::write(&text, "10!=3628800\n").unwrap();
        let Some(Outcome::Done(mut file)) = outcome(jobs.path(), &place).unwrap() else {
            panic!("the results stand");
        };
        let mut results = String::new();
        file.read_to_string(&mut results).unwrap();
        assert_eq!(results, "10!=3628800\n");
    }
}
