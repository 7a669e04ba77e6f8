//! A job file that appears in the jobs directory whole, and replaces nothing.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use protocol::job::{MAX_NAME_BYTES, is_ignored, name_of};

use super::SubmitError;

/// The number after which no further name is tried.
const MAX_NUMBER: u32 = 100_000;
/// The folders in which a name may be in use.
const FOLDERS: [&str; 3] = ["running", "done", "failed"];

/// A job that was handed in.
#[derive(Debug)]
pub(crate) struct Dropped {
    /// The name that was free; the claim may still add a number.
    pub(crate) name: String,
    /// The job file, open: while it is, its inode number is nobody else's.
    pub(crate) file: File,
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
        Err(refused("files that begin with a dot are ignored"))
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
pub(crate) fn drop_file(jobs: &Path, name: &str, text: &str) -> Result<Dropped, SubmitError> {
    let failed = |error| SubmitError::Drop {
        jobs: jobs.to_owned(),
        error,
    };
    let (part, file) = write_part(jobs, text).map_err(failed)?;
    let named = give_name(jobs, name, &part);
    if !matches!(named, Ok(Some(_))) {
        // Ignored by the cluster, so it does no harm if this fails.
        let _ = fs::remove_file(&part);
    }
    match named.map_err(failed)? {
        Some(name) => Ok(Dropped { name, file }),
        None => Err(SubmitError::NoFreeName {
            jobs: jobs.to_owned(),
            name: name.to_owned(),
            tried: MAX_NUMBER,
        }),
    }
}

/// Writes the job under a name that the cluster ignores, and leaves it open for reading only: who
/// still has a file open for writing keeps it from being taken.
fn write_part(jobs: &Path, text: &str) -> io::Result<(PathBuf, File)> {
    let token: u64 = rand::random();
    let part = jobs.join(format!(".submit-{token:016x}.tmp"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&part)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            // Whatever the user's mask says: the cluster may run as another user.
            file.set_permissions(Permissions::from_mode(0o644))
        })
        .and_then(|()| File::open(&part));
    match written {
        Ok(file) => Ok((part, file)),
        Err(error) => {
            // Of this name there is at most what was made here.
            let _ = fs::remove_file(&part);
            Err(error)
        }
    }
}

/// Renames the file to the first name that is free; none if no name is.
fn give_name(jobs: &Path, name: &str, part: &Path) -> io::Result<Option<String>> {
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
        if is_in_use(jobs, &numbered) {
            continue;
        }
        match rename(part, &jobs.join(format!("{numbered}.job"))) {
            Ok(()) => return Ok(Some(numbered)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether the claim would add a number to the name. Only a courtesy: nothing is overwritten
/// either way.
fn is_in_use(jobs: &Path, name: &str) -> bool {
    let file = format!("{name}.job");
    FOLDERS
        .iter()
        .any(|folder| fs::symlink_metadata(jobs.join(folder).join(&file)).is_ok())
}

/// Renames without replacing anything.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => rename_over_reservation(from, to),
        renamed => Ok(renamed?),
    }
}

/// For mounts that know no such rename: creating the new name fails if it exists. The reservation
/// stays open for writing until it has been replaced, so that the cluster does not take it.
fn rename_over_reservation(from: &Path, to: &Path) -> io::Result<()> {
    let reservation = OpenOptions::new().write(true).create_new(true).open(to)?;
    let renamed = fs::rename(from, to);
    if renamed.is_err() {
        // What stands there is the reservation: nobody replaces a name that is in use.
        let _ = fs::remove_file(to);
    }
    drop(reservation);
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> tempfile::TempDir {
        let jobs = tempfile::tempdir().unwrap();
        for folder in FOLDERS {
            fs::create_dir(jobs.path().join(folder)).unwrap();
        }
        jobs
    }

    fn dropped(jobs: &tempfile::TempDir, name: &str) -> String {
        drop_file(jobs.path(), name, "10!\n").unwrap().name
    }

    #[test]
    fn names_that_the_inbox_would_not_take_are_refused() {
        for name in ["ten", "a b", "ünï", "a.tmp", "2026-01-01", &"x".repeat(200)] {
            assert_eq!(check_name(name).unwrap(), name);
        }
        assert_eq!(check_name("ten.job").unwrap(), "ten");
        for name in ["", ".job", ".hidden", "..", "a/b", "a\nb", &"x".repeat(201)] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
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
    fn nothing_is_left_where_nothing_can_be_dropped() {
        let jobs = jobs();
        let error = drop_file(&jobs.path().join("nowhere"), "ten", "10!\n").unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        assert!(error.to_string().contains("--jobs"), "{error}");
    }

    #[test]
    fn a_mount_without_the_rename_gets_a_reservation_that_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        rename_over_reservation(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");

        fs::write(&from, "newer").unwrap();
        let error = rename_over_reservation(&from, &to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
    }

    #[test]
    fn other_users_may_read_the_job() {
        let jobs = jobs();
        let file = drop_file(jobs.path(), "ten", "10!\n").unwrap().file;
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}
