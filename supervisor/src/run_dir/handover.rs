//! A run directory that root makes, or has, for the user whom it is about to become.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::fchown;

use super::error::RunDirError;
use super::is_socket_name;
use crate::owner::Owner;

/// Makes the directory for a user whom this process, root, is about to become. One that is there
/// and root's is given to that user if it holds what a cluster leaves there and nothing else.
///
/// What is looked at is what is given, by its descriptor, and meanwhile only root may write to it.
/// Where another user decides what the path leads to, root makes nothing and gives nothing away:
/// that is left to the user whom this process becomes.
///
/// # Errors
///
/// It cannot be made, or it is there and is no run directory; or, the inner error, root may not
/// give it away.
pub fn make_for(owner: Owner, path: &Path) -> Result<nix::Result<()>, RunDirError> {
    let failed = |error: Errno| RunDirError::Io {
        path: path.to_owned(),
        error: error.into(),
    };
    let path = path.to_owned();
    let Some(directory) = make(&path).map_err(failed)? else {
        return Ok(Ok(()));
    };
    if let Some(name) = strange_name(&directory).map_err(failed)? {
        return Err(RunDirError::Strange { path, name });
    }
    if others_may_write(&fstat(&directory).map_err(failed)?) {
        return Err(RunDirError::Writable { path });
    }
    Ok(fchown(&directory, Some(owner.user), Some(owner.group)))
}

/// Opens root's folder at the end of a path, and makes what is missing. Nothing if it is not root's,
/// or if not root alone decides what the path leads to.
fn make(path: &Path) -> nix::Result<Option<OwnedFd>> {
    /// As many symbolic links as the kernel follows.
    const MAX_LINKS: usize = 40;

    let mut links = 0;
    let mut at = start(path)?;
    let mut left = parts(path);
    while let Some(name) = left.pop_front() {
        if !is_roots_to_fill(&fstat(&at)?) {
            return Ok(None);
        }
        // What a link leads to comes before what is left, so this is the end of the path itself.
        let mode = if left.is_empty() { 0o700 } else { 0o755 };
        let next = open_or_make(&at, &name, Mode::from_bits_retain(mode))?;
        let found = fstat(&next)?;
        if found.st_uid != 0 {
            return Ok(None);
        }
        if kind(&found) == SFlag::S_IFLNK && !left.is_empty() {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::ELOOP);
            }
            let target = readlinkat(&next, "")?;
            let target = Path::new(&target);
            if target.is_absolute() {
                at = start(target)?;
            }
            left = parts(target).into_iter().chain(left).collect();
        } else {
            at = next;
        }
    }
    // To be listed, too; fails if it is no folder.
    let directory = open(at.as_fd(), OsStr::new("."), OFlag::O_DIRECTORY)?;
    Ok((fstat(&directory)?.st_uid == 0).then_some(directory))
}

/// What a path is relative to.
fn start(path: &Path) -> nix::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    open(AT_FDCWD, OsStr::new(start), OFlag::O_PATH)
}

/// The names on a path, from left to right.
fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    parts.collect()
}

fn open_or_make(folder: &OwnedFd, name: &OsStr, mode: Mode) -> nix::Result<OwnedFd> {
    match open(folder.as_fd(), name, OFlag::O_PATH) {
        Err(Errno::ENOENT) => {}
        found => return found,
    }
    match mkdirat(folder, name, mode) {
        // By somebody else meanwhile; whose it is will be seen.
        Ok(()) | Err(Errno::EEXIST) => open(folder.as_fd(), name, OFlag::O_PATH),
        Err(error) => Err(error),
    }
}

/// Opens what has this name; of a symbolic link, the link.
fn open(folder: BorrowedFd<'_>, name: &OsStr, flags: OFlag) -> nix::Result<OwnedFd> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// A folder of root's in which nobody else can put something in the place of root's things.
fn is_roots_to_fill(found: &FileStat) -> bool {
    let sticky = found.st_mode & Mode::S_ISVTX.bits() != 0;
    found.st_uid == 0 && (sticky || !others_may_write(found))
}

fn others_may_write(found: &FileStat) -> bool {
    found.st_mode & (Mode::S_IWGRP | Mode::S_IWOTH).bits() != 0
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
}

/// The first thing in a folder that no cluster leaves there.
fn strange_name(directory: &OwnedFd) -> nix::Result<Option<OsString>> {
    // A descriptor of its own, since the listing closes it.
    let mut listing = Dir::from_fd(open(
        directory.as_fd(),
        OsStr::new("."),
        OFlag::O_DIRECTORY,
    )?)?;
    for entry in listing.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_left = is_socket_name(name)
            || name
                .as_bytes()
                .starts_with(node::event_log::FILE_NAME.as_bytes());
        let is_itself = name == "." || name == "..";
        if !is_itself && (!is_left || entry.file_type() == Some(Type::Directory)) {
            return Ok(Some(OsString::from_vec(name.as_bytes().to_vec())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use nix::unistd::{Gid, Uid, geteuid};

    use super::*;

    const ALICE: Owner = Owner {
        user: Uid::from_raw(54_321),
        group: Gid::from_raw(54_321),
    };

    /// A folder of root's; none if this is not root.
    fn folder() -> Option<tempfile::TempDir> {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can give a folder away");
            return None;
        }
        Some(tempfile::tempdir().unwrap())
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn what_is_missing_is_made_and_the_last_folder_is_given() {
        let Some(folder) = folder() else { return };
        let path = folder.path().join("a/b");
        make_for(ALICE, &path).unwrap().unwrap();
        assert_eq!(owner(&path), ALICE.user.as_raw());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(owner(&folder.path().join("a")), 0);
        make_for(ALICE, &path).unwrap().unwrap();
    }

    #[test]
    fn what_a_cluster_has_left_is_given_and_all_else_is_not() {
        let Some(folder) = folder() else { return };
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        for name in ["events.jsonl", "events.jsonl.1", "node-3.sock"] {
            fs::write(path.join(name), "").unwrap();
        }
        make_for(ALICE, &path).unwrap().unwrap();
        assert_eq!(owner(&path), ALICE.user.as_raw());

        chown(&path, Some(0), Some(0)).unwrap();
        fs::create_dir(path.join("events.jsonl.d")).unwrap();
        let error = make_for(ALICE, &path).unwrap_err();
        assert!(matches!(error, RunDirError::Strange { .. }), "{error}");
        assert_eq!(owner(&path), 0);
    }

    #[test]
    fn what_others_may_write_is_not_given() {
        let Some(folder) = folder() else { return };
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        for mode in [0o770, 0o1777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = make_for(ALICE, &path).unwrap_err();
            assert!(matches!(error, RunDirError::Writable { .. }), "{error}");
            assert_eq!(owner(&path), 0);
        }
    }

    #[test]
    fn folders_of_the_system_are_not_given() {
        let Some(_folder) = folder() else { return };
        for path in [
            "/", "/etc", "/usr", "/var", "/tmp", "/dev", "/tmp/..", "/proc",
        ] {
            let before = owner(Path::new(path));
            make_for(ALICE, Path::new(path)).unwrap_err();
            assert_eq!(owner(Path::new(path)), before, "{path}");
        }
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let Some(folder) = folder() else { return };
        let (aim, link) = (folder.path().join("aim"), folder.path().join("link"));
        fs::create_dir(&aim).unwrap();
        symlink(&aim, &link).unwrap();
        make_for(ALICE, &link).unwrap_err();
        assert_eq!(owner(&aim), 0);
        // One of that user's is left to that user.
        std::os::unix::fs::lchown(&link, Some(ALICE.user.as_raw()), None).unwrap();
        make_for(ALICE, &link).unwrap().unwrap();
        assert_eq!(owner(&aim), 0);
    }

    #[test]
    fn links_of_roots_lead_on_and_those_of_others_do_not() {
        let Some(folder) = folder() else { return };
        let (aim, link) = (folder.path().join("aim"), folder.path().join("link"));
        fs::create_dir(&aim).unwrap();
        symlink("./aim", &link).unwrap();
        make_for(ALICE, &link.join("one")).unwrap().unwrap();
        assert_eq!(owner(&aim.join("one")), ALICE.user.as_raw());

        std::os::unix::fs::lchown(&link, Some(ALICE.user.as_raw()), None).unwrap();
        make_for(ALICE, &link.join("two")).unwrap().unwrap();
        assert!(!aim.join("two").exists());
    }

    #[test]
    fn nothing_is_made_or_given_where_another_user_decides_what_is_there() {
        let Some(folder) = folder() else { return };
        let home = folder.path().join("home");
        let roots = home.join("roots");
        fs::create_dir_all(&roots).unwrap();
        chown(&home, Some(ALICE.user.as_raw()), None).unwrap();
        make_for(ALICE, &roots).unwrap().unwrap();
        assert_eq!(owner(&roots), 0);
        make_for(ALICE, &home.join("new")).unwrap().unwrap();
        assert!(!home.join("new").exists());

        // Nor where it was made by somebody in a folder for all.
        let tmp = folder.path().join("tmp");
        fs::create_dir(&tmp).unwrap();
        fs::set_permissions(&tmp, Permissions::from_mode(0o1777)).unwrap();
        let theirs = tmp.join("theirs");
        fs::create_dir(&theirs).unwrap();
        chown(&theirs, Some(12_345), None).unwrap();
        make_for(ALICE, &theirs).unwrap().unwrap();
        assert_eq!(owner(&theirs), 12_345);
    }

    #[test]
    fn links_in_a_circle_lead_nowhere() {
        let Some(folder) = folder() else { return };
        let link = folder.path().join("link");
        symlink("link", &link).unwrap();
        make_for(ALICE, &link.join("run")).unwrap_err();
    }
}
