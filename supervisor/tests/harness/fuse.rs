//! Mounts of FUSE file systems, which answer otherwise than a disk does.
//!
//! What was found of each, on Linux 6.18 with the versions of Debian 12. All grant a lease to whoever
//! asks while somebody writes below the mount, and tell nobody of what happens there.
//!
//! | | rename that replaces nothing | inode of a directory entry | sizes seen late | longest name |
//! |---|---|---|---|---|
//! | bindfs | EINVAL | that of the file | 1 s | 255 |
//! | mergerfs | EINVAL | another | 1 s | 255 |
//! | unionfs-fuse | EINVAL | another, and one a path | 1 s | 255 |
//! | sshfs | EINVAL | another, and one a path | 20 s, and names | 255 |
//! | encfs | EINVAL | that of the file | – | 175, and says 189 |
//! | gocryptfs | done | that of the file | – | 255 |
//!
//! A look with `AT_STATX_FORCE_SYNC` sees the size as it is, but on sshfs, which remembers it itself.
//! fuse-overlayfs is not used here: it renames as a disk does, and what changes below it is not seen.
//! Where an open file is removed, all but mergerfs and gocryptfs rename it to `.fuse_hidden…` first.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use super::{Cluster, Home, PATIENCE, eventually};

/// The password of what is encrypted here.
const PASSWORD: &str = "test\n";
/// How the content of a name begins that is reserved for a rename.
const RESERVED: &str = "bullpen: this name is reserved";
/// The server that sshfs talks to over a pipe, without ssh.
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// A file system that shows a folder, its source, at another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bindfs,
    Mergerfs,
    Unionfs,
    Sshfs,
    Encfs,
    Gocryptfs,
}

/// A mount of a test's own. Unmounted when dropped; the source goes with it.
pub(crate) struct Mount {
    folder: TempDir,
    point: PathBuf,
    process: Child,
}

impl Mount {
    /// Mounts a new folder. None, with a message, where the program is missing or the system lets
    /// nobody mount anything.
    pub(crate) fn new(kind: Kind) -> Option<Mount> {
        Mount::at(kind, None)
    }

    /// The same, on an empty folder of the test's.
    pub(crate) fn on(kind: Kind, point: &Path) -> Option<Mount> {
        Mount::at(kind, Some(point))
    }

    fn at(kind: Kind, point: Option<&Path>) -> Option<Mount> {
        let folder = tempfile::Builder::new().prefix("bullpen-fuse-").tempdir();
        let folder = folder.unwrap();
        // Else another user, as whom a test starts something, does not get to it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["source", "mount"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let point = point.map_or_else(|| folder.path().join("mount"), Path::to_owned);
        match start(kind, folder.path(), &point) {
            Ok(process) => Mount {
                folder,
                point,
                process,
            }
            .await_mounted(kind),
            Err(why) => {
                eprintln!("skipped: {kind:?}: {why}");
                None
            }
        }
    }

    fn await_mounted(mut self, kind: Kind) -> Option<Mount> {
        let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
        let outside = device(self.point.parent().unwrap());
        let ended = eventually(PATIENCE, "it is mounted, or its program ends", || {
            let ended = self.process.try_wait().unwrap();
            let is_mounted = device(&self.point).is_some_and(|inside| Some(inside) != outside);
            (is_mounted || ended.is_some()).then_some(ended)
        });
        let Some(status) = ended else {
            return Some(self);
        };
        let said = fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
        let allowed = File::options().read(true).write(true).open("/dev/fuse");
        assert!(
            allowed.is_err() || !geteuid().is_root(),
            "{kind:?} ends with {status}: {said}"
        );
        eprintln!("skipped: {kind:?} cannot be mounted here: {said}");
        None
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.point.clone()
    }

    /// The folder that is shown there; of those that encrypt, not to be used.
    pub(crate) fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    /// Sends the program of the file system a signal: stopped, it answers nobody.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap())
    }

    /// Makes the jobs directory of these directories be the mount. The mount has to live longer than
    /// they do.
    pub(crate) fn hold_jobs_of(&self, home: &Home) {
        symlink(self.path(), home.jobs()).unwrap();
    }
}

impl Cluster {
    /// Waits for the results of a job on a mount, where their name may be reserved before.
    pub(crate) fn await_whole(&self, name: &str, deadline: Duration) -> String {
        let path = self.home.jobs().join("done").join(format!("{name}.txt"));
        eventually(deadline, &format!("{} is whole", path.display()), || {
            let text = fs::read_to_string(&path).ok()?;
            (!text.is_empty() && !text.starts_with(RESERVED)).then_some(text)
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // At once, whoever still has something open there.
        let lazily: &[&str] = if geteuid().is_root() {
            &["umount", "-l"]
        } else {
            &["fusermount", "-u", "-z"]
        };
        let unmounted = Command::new(lazily[0])
            .args(&lazily[1..])
            .arg(&self.point)
            .stderr(Stdio::null())
            .status();
        drop(unmounted);
        let pid = self.pid();
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.process.wait();
    }
}

/// Starts the program of a file system in the foreground, or says why it cannot be.
fn start(kind: Kind, folder: &Path, point: &Path) -> Result<Child, String> {
    let source = folder.join("source");
    let (program, options): (&str, &[&str]) = match kind {
        Kind::Bindfs => ("bindfs", &["-f"]),
        Kind::Mergerfs => ("mergerfs", &["-f"]),
        Kind::Unionfs => ("unionfs", &["-f"]),
        Kind::Sshfs => ("sshfs", &["-f"]),
        Kind::Encfs => ("encfs", &["-f", "--standard", "--stdinpass"]),
        Kind::Gocryptfs => ("gocryptfs", &["-fg", "-quiet"]),
    };
    if !Path::new("/dev/fuse").exists() {
        return Err("there is no /dev/fuse".to_owned());
    }
    let mut command = Command::new(program);
    command.args(options);
    match kind {
        Kind::Gocryptfs => {
            let password = folder.join("password");
            fs::write(&password, PASSWORD).unwrap();
            let mut made = Command::new(program);
            made.args(["-init", "-quiet", "-scryptn", "10", "-passfile"]);
            let made = made.arg(&password).arg(&source).output();
            let made = made.map_err(|error| format!("{program}: {error}"))?;
            assert!(made.status.success(), "{}", super::stderr(&made));
            command.arg("-passfile").arg(password).arg(&source);
        }
        Kind::Sshfs => {
            if !Path::new(SFTP_SERVER).exists() {
                return Err(format!("there is no {SFTP_SERVER}"));
            }
            // In the place of ssh, and deaf to what ssh would be told.
            let server = folder.join("server");
            fs::write(&server, format!("#!/bin/sh\nexec {SFTP_SERVER}\n")).unwrap();
            fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
            command.arg("-o");
            command.arg(format!("ssh_command={}", server.display()));
            command.arg(format!("nobody@localhost:{}", source.display()));
        }
        // Else it may only be read.
        Kind::Unionfs => {
            command.arg(format!("{}=RW", source.display()));
        }
        _ => {
            command.arg(&source);
        }
    }
    let said = File::create(folder.join("said")).unwrap();
    command
        .arg(point)
        .stdin(Stdio::piped())
        .stdout(said.try_clone().unwrap())
        .stderr(said);
    // SAFETY: makes a system call that takes numbers only.
    unsafe {
        command.pre_exec(|| {
            // Should the test be killed: it unmounts, and ends.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    let mut process = command
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    // Some read none.
    let _ = process.stdin.take().unwrap().write_all(PASSWORD.as_bytes());
    Ok(process)
}
