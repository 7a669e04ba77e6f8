//! As whom a cluster works: as the owner of its jobs directory, with no rights beyond that user's.
//!
//! Started as root, the supervisor becomes that user for good, before it starts anything. It does
//! not stay root above nodes that are somebody else: without the capability `KILL`, which a
//! hardened container lacks, it could then signal none of them, nor would the system carry out
//! the signal that they are to get at its death.

use std::ffi::CString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use caps::CapSet;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, dup2_stderr, dup2_stdin, dup2_stdout};
use nix::unistd::{getegid, geteuid, getgrouplist, setgroups, setresgid, setresuid};
use node::user_namespace::{is_group_outside, is_outside};

/// The user whom something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: Uid,
    /// That user's own group; of a user whom the system does not know, that of what belongs to it.
    pub group: Gid,
}

/// Why a cluster cannot work as the owner of its jobs directory. Displays as one sentence that
/// says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// Root may not become that user, or may not hand over the run directory.
    #[error(
        "cannot {what} user {user}:{group}, to whom the jobs directory {} belongs: {error}; start as that user \
         (in a container: --user {user}:{group}), or leave root the right to change user \
         (--cap-add SETUID --cap-add SETGID --cap-add CHOWN --cap-add KILL)",
        jobs.display(), user = owner.user, group = owner.group
    )]
    NotAllowed {
        /// What was tried, up to the user.
        what: &'static str,
        /// The user.
        owner: Owner,
        /// The jobs directory.
        jobs: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What the user must not get of root's terminal cannot be kept back.
    #[error(
        "cannot keep the terminal of root from another user: {0}; send the output elsewhere: >bullpen.log 2>&1"
    )]
    Terminal(io::Error),
    /// The rights that this process has cannot be given up.
    #[error(
        "cannot give up the capabilities of this process: {0}; start bullpen as an ordinary user"
    )]
    Kept(String),
}

impl Owner {
    /// Whom the file or folder belongs to, if this process is root and it is somebody else's.
    pub fn if_not_root(path: &Path) -> Option<Owner> {
        Owner::of_if_not_root(&fs::metadata(path).ok()?)
    }

    fn of_if_not_root(found: &Metadata) -> Option<Owner> {
        let user = Uid::from_raw(found.uid());
        // Nobody can become a user from outside; what all may write is used as it is.
        if !geteuid().is_root() || user.is_root() || is_outside(user) {
            return None;
        }
        let found = Some(Gid::from_raw(found.gid()));
        let found = found.filter(|&group| !is_group_outside(group));
        // Not the folder's group, which may be one that the user is not in: root's, for one.
        let group = account(user).map(|account| account.gid).or(found);
        let group = group.unwrap_or_else(getegid);
        Some(Owner { user, group })
    }

    /// Makes this process that user for good, with that user's groups. Nobody but root may then
    /// trace it, or read its memory and its environment, which are of root's time.
    ///
    /// # Errors
    ///
    /// It has not the right to; then it is root still.
    pub fn become_it(self) -> nix::Result<()> {
        let groups = self.groups();
        // Only root may empty the set that limits what executing could bring, and not always.
        let _ = caps::clear(None, CapSet::Bounding);
        setgroups(&groups)?;
        setresgid(self.group, self.group, self.group)?;
        setresuid(self.user, self.user, self.user)?;
        // The kernel does so itself, unless it is told to dump all (fs.suid_dumpable).
        prctl::set_dumpable(false)
    }

    /// The groups that the user is in.
    fn groups(self) -> Vec<Gid> {
        let listed = account(self.user).and_then(|account| {
            let name = CString::new(account.name).ok()?;
            getgrouplist(&name, self.group).ok()
        });
        listed.unwrap_or_else(|| vec![self.group])
    }
}

/// What the user database has of a user; nothing of one whom it does not know, as in a container.
fn account(user: Uid) -> Option<User> {
    User::from_uid(user).ok().flatten()
}

/// Keeps back of root's terminal all but that it is written to: the standard input becomes empty, and
/// a standard output or error that is a terminal is opened again for writing alone. To be called
/// before root becomes another user, who could else read what root types.
///
/// # Errors
///
/// The terminal cannot be opened again.
pub fn keep_terminal() -> Result<(), OwnerError> {
    let keep = || {
        dup2_stdin(File::open("/dev/null")?)?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        if stdout.is_terminal() {
            dup2_stdout(open_to_write(stdout.as_fd(), OFlag::empty())?)?;
        }
        if stderr.is_terminal() && !is_for_writing_alone(stderr.as_fd())? {
            dup2_stderr(open_to_write(stderr.as_fd(), OFlag::O_NONBLOCK)?)?;
        }
        Ok(())
    };
    keep().map_err(OwnerError::Terminal)
}

/// Opens for writing what a descriptor stands for. A terminal does not become that of the session.
pub fn open_to_write(fd: BorrowedFd<'_>, flags: OFlag) -> io::Result<File> {
    // Not by its name, which may be that of another one in this container.
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = (flags | OFlag::O_NOCTTY).bits();
    OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(path)
}

fn is_for_writing_alone(fd: BorrowedFd<'_>) -> nix::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    Ok(flags & OFlag::O_ACCMODE == OFlag::O_WRONLY)
}

/// Makes a command of root's work as the owner of what was `found`, where it may: so what it makes
/// there belongs to that user, and it may go where only that user may.
pub fn act_as_owner_of(found: &Metadata) {
    if let Some(owner) = Owner::of_if_not_root(found) {
        // Root that may not has often the right to do without.
        let _ = owner.become_it();
    }
}

/// Gives up all capabilities, for this process and all that it will start, for good.
///
/// # Errors
///
/// The system refuses it.
pub fn give_up_capabilities() -> Result<(), OwnerError> {
    let kept = |error: &dyn std::fmt::Display| OwnerError::Kept(error.to_string());
    // So that root gets none back by executing something.
    nix::sys::prctl::set_no_new_privs().map_err(|error| kept(&error))?;
    // Root of hardened containers may not; nothing can be had from the set any more.
    let _ = caps::clear(None, CapSet::Bounding);
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| kept(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_has_anybody_else_to_become() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Owner::if_not_root(folder.path()), None);
        if geteuid().is_root() {
            let unknown = Uid::from_raw(54_321);
            assert_eq!(account(unknown), None);
            std::os::unix::fs::chown(folder.path(), Some(54_321), Some(100)).unwrap();
            let owner = Owner::if_not_root(folder.path()).unwrap();
            assert_eq!((owner.user, owner.group.as_raw()), (unknown, 100));
            assert_eq!(owner.groups(), [owner.group]);
        }
        assert_eq!(Owner::if_not_root(&folder.path().join("none")), None);
    }

    #[test]
    fn the_refusal_names_the_ways_out() {
        let refusal = OwnerError::NotAllowed {
            what: "become",
            owner: Owner {
                user: Uid::from_raw(1_000),
                group: Gid::from_raw(100),
            },
            jobs: PathBuf::from("/jobs"),
            error: nix::errno::Errno::EPERM.into(),
        };
        let sentence = refusal.to_string();
        assert!(sentence.contains("--user 1000:100"), "{sentence}");
        assert!(sentence.contains("--cap-add SETUID"), "{sentence}");
        assert!(sentence.contains("/jobs"), "{sentence}");
    }
}
