//! A job file that appears in the jobs directory whole, and replaces nothing.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use node::rename::{Instead, rename};
use protocol::job::{MAX_NAME_BYTES, is_ignored, name_of};

use super::SubmitError;
use super::folder::{Identity, JobsFolder, Stage, look};

/// The number after which no further name is tried.
const MAX_NUMBER: u32 = 100_000;

/// A job that was handed in.
#[derive(Debug)]
pub(crate) struct Dropped {
    /// The name that was free; the claim may still add a number.
    pub(crate) name: String,
    /// The job file, open: while it is, its inode number is nobody else's.
    pub(crate) file: File,
    /// What is in it.
    pub(crate) text: String,
    /// How its file was found before it had its name, and anybody could rename it.
    pub(crate) found: Metadata,
}

/// Accepts what can be the name of a job file in the inbox, without the `.job` at its end.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check_name(name: &str) -> Result<String, SubmitError> {
    let stem = name.strip_suffix(".job").unwrap_or(name);
    let refused = |reason| SubmitError::Name {
        name: name.chars().take(MAX_NAME_BYTES).collect(),
        reason,
    };
    let file_name = format!("{stem}.job");
    if stem.is_empty() {
        Err(refused("it is empty"))
    } else if stem.contains('/') {
        Err(refused("a slash would lead to another folder"))
    } else if is_ignored(file_name.as_bytes()) {
        Err(refused(
            "the service leaves such files alone, see \"Job files\" in the README",
        ))
    } else if stem.len() > MAX_NAME_BYTES {
        Err(refused("it is longer than 200 bytes"))
    } else if name_of(file_name.as_bytes()).is_ok_and(|accepted| accepted == stem) {
        Ok(stem.to_owned())
    } else {
        Err(refused("it holds control characters"))
    }
}

/// Puts a job into the inbox as `NAME.job`, or if that is in use as `NAME.2.job` and so on.
///
/// # Errors
///
/// The directory does not take it, or no name is free.
pub(crate) fn drop_file(jobs: &JobsFolder, name: &str, text: &str) -> Result<Dropped, SubmitError> {
    let failed = |error| SubmitError::drop(jobs.path(), error);
    let (part, file) = write_part(jobs, text).map_err(failed)?;
    let found = file.metadata();
    let named = match &found {
        Ok(_) => give_name(jobs, name, &part),
        Err(_) => Ok(None),
    };
    if !matches!(named, Ok(Some(_))) {
        // Ignored by the cluster, so it does no harm if this fails.
        let _ = remove(jobs, &part);
    }
    let found = found.map_err(failed)?;
    match named.map_err(failed)? {
        Some(name) => Ok(Dropped {
            name,
            file,
            text: text.to_owned(),
            found,
        }),
        None => Err(SubmitError::NoFreeName {
            jobs: jobs.path().to_owned(),
            name: name.to_owned(),
            tried: MAX_NUMBER,
        }),
    }
}

/// Writes the job under a name that the cluster ignores, and leaves it open for reading only: who
/// still has a file open for writing keeps it from being taken.
fn write_part(jobs: &JobsFolder, text: &str) -> io::Result<(String, File)> {
    let token: u64 = rand::random();
    let part = format!(".submit-{token:016x}.tmp");
    let written = create(jobs, &part).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        // Whatever the user's mask says: the cluster may run as another user.
        file.set_permissions(Permissions::from_mode(0o644))?;
        reopen(jobs, &part, &file)
    });
    match written {
        Ok(file) => Ok((part, file)),
        Err(error) => {
            // Of this name there is at most what was made here.
            let _ = remove(jobs, &part);
            Err(error)
        }
    }
}

/// Makes a file where nothing is, not even a link.
fn create(jobs: &JobsFolder, name: &str) -> io::Result<File> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o644);
    Ok(File::from(openat(jobs, name, flags, mode)?))
}

/// Opens what was written for reading only. In a folder where others may rename, another file may have
/// taken its name.
fn reopen(jobs: &JobsFolder, name: &str, written: &File) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(jobs, name, flags, Mode::empty())?);
    if Identity::of(&file)? == Identity::of(written)? {
        Ok(file)
    } else {
        Err(io::Error::other("somebody put another file in its place"))
    }
}

fn remove(jobs: &JobsFolder, name: &str) -> nix::Result<()> {
    unlinkat(jobs, name, UnlinkatFlags::NoRemoveDir)
}

/// Renames the file to the first name that is free; none if no name is.
fn give_name(jobs: &JobsFolder, name: &str, part: &str) -> io::Result<Option<String>> {
    // Those that are there already, and can be looked into.
    let folders: Vec<OwnedFd> = [Stage::Running, Stage::Done, Stage::Failed]
        .into_iter()
        .filter_map(|stage| jobs.stage(stage).ok())
        .collect();
    let old = (jobs.as_fd(), part.as_bytes());
    let reservation = format!("{part}.reserve.tmp");
    let instead = Instead::ReserveBy(reservation.as_bytes());
    for number in 1..=MAX_NUMBER {
        let numbered = match number {
            1 => name.to_owned(),
            number => {
                // Room for the number within the limit of a name.
                let ending = format!(".{number}");
                let room = (MAX_NAME_BYTES - ending.len()).min(name.len());
                format!("{}{ending}", &name[..name.floor_char_boundary(room)])
            }
        };
        let file = format!("{numbered}.job");
        // The claim would add a number. Only a courtesy: nothing is overwritten either way.
        if folders
            .iter()
            .any(|folder| look(folder, OsStr::new(&file)).is_ok())
        {
            continue;
        }
        match rename(old, (jobs.as_fd(), file.as_bytes()), instead) {
            Ok(()) => return Ok(Some(numbered)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            // Somebody took the reservation away: whoever works below a mount may do so.
            Err(error)
                if error.kind() == ErrorKind::NotFound && look(jobs, OsStr::new(part)).is_ok() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::commands::failure::{Fatal, USAGE};

    const FOLDERS: [&str; 3] = ["running", "done", "failed"];

    fn jobs() -> tempfile::TempDir {
        let jobs = tempfile::tempdir().unwrap();
        for folder in FOLDERS {
            fs::create_dir(jobs.path().join(folder)).unwrap();
        }
        jobs
    }

    fn dropped(jobs: &tempfile::TempDir, name: &str) -> String {
        let jobs = JobsFolder::open(jobs.path()).unwrap();
        drop_file(&jobs, name, "10!\n").unwrap().name
    }

    #[test]
    fn names_that_the_inbox_would_not_take_are_refused() {
        for name in ["ten", "a b", "ünï", "a.tmp", "2026-01-01", &"x".repeat(200)] {
            assert_eq!(check_name(name).unwrap(), name);
        }
        assert_eq!(check_name("ten.job").unwrap(), "ten");
        for name in ["", ".job", ".hidden", "..", "a/b", "a\nb", &"x".repeat(201)] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.exit_code(), USAGE, "{error}");
        }
    }

    #[test]
    fn a_name_in_use_anywhere_gets_a_number() {
        let jobs = jobs();
        assert_eq!(dropped(&jobs, "ten"), "ten");
        assert_eq!(dropped(&jobs, "ten"), "ten.2");
        fs::write(jobs.path().join("done/ten.3.job"), "").unwrap();
        assert_eq!(dropped(&jobs, "ten"), "ten.4");
        let text = fs::read_to_string(jobs.path().join("ten.job")).unwrap();
        assert_eq!(text, "10!\n");
    }

    #[test]
    fn a_long_name_makes_room_for_its_number() {
        let jobs = jobs();
        let name = "ü".repeat(100);
        assert_eq!(dropped(&jobs, &name), name);
        let second = dropped(&jobs, &name);
        assert!(second.ends_with("ü.2"), "{second}");
        assert!(second.len() <= MAX_NAME_BYTES);
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_looked_into() {
        let jobs = jobs();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("ten.job"), "").unwrap();
        fs::remove_dir(jobs.path().join("done")).unwrap();
        symlink(elsewhere.path(), jobs.path().join("done")).unwrap();
        assert_eq!(dropped(&jobs, "ten"), "ten");
        // A link that leads nowhere is a name in use, too.
        let nowhere = elsewhere.path().join("nowhere");
        symlink(&nowhere, jobs.path().join("five.job")).unwrap();
        assert_eq!(dropped(&jobs, "five"), "five.2");
        assert!(!nowhere.exists());
    }

    #[test]
    fn what_was_put_in_place_of_the_written_is_not_taken_for_it() {
        let folder = jobs();
        let jobs = JobsFolder::open(folder.path()).unwrap();
        let written = create(&jobs, "part").unwrap();
        reopen(&jobs, "part", &written).unwrap();
        remove(&jobs, "part").unwrap();
        reopen(&jobs, "part", &written).unwrap_err();
        fs::write(folder.path().join("part"), "another").unwrap();
        reopen(&jobs, "part", &written).unwrap_err();
        remove(&jobs, "part").unwrap();
        symlink("done", folder.path().join("part")).unwrap();
        reopen(&jobs, "part", &written).unwrap_err();
    }

    #[test]
    fn other_users_may_read_the_job() {
        let jobs = jobs();
        let jobs = JobsFolder::open(jobs.path()).unwrap();
        let file = drop_file(&jobs, "ten", "10!\n").unwrap().file;
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}
