//! A small disk of a test's own, which can be full.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;

use nix::unistd::{getegid, geteuid};

use super::Home;

/// Tells the inner run of a test where its disk is mounted.
const DISK: &str = "TEST_DISK";

/// A file system that nobody but this process and its children sees.
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Runs a test with a disk of `kib` KiB. It is run by another process, in a mount namespace of
    /// its own, so that it takes no privileges to mount the disk and nothing is left of it; where
    /// the system allows no such namespaces, it is skipped with a message.
    pub(crate) fn provide(test: &str, kib: usize, run: impl FnOnce(Disk)) {
        if let Some(path) = std::env::var_os(DISK) {
            return run(Disk { path: path.into() });
        }
        let folder = tempfile::Builder::new()
            .prefix("bullpen-disk-")
            .tempdir()
            .unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([test, "--exact", "--nocapture"])
            .env(DISK, folder.path())
            .stdin(Stdio::null());
        let namespace = Namespace::new(folder.path(), kib);
        // SAFETY: `enter` makes system calls only, on what was allocated before the fork.
        unsafe { command.pre_exec(move || namespace.enter()) };
        match command.output() {
            Ok(output) => {
                println!("{}", String::from_utf8_lossy(&output.stdout));
                eprintln!("{}", String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "{}", output.status);
            }
            Err(error) if is_refusal(&error) => {
                println!("skipped: this system lets nobody mount a disk of their own: {error}");
            }
            Err(error) => panic!("cannot run the test with a disk: {error}"),
        }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the jobs directory of these directories be on the disk.
    pub(crate) fn hold_jobs_of(&self, home: &Home) {
        symlink(&self.path, home.jobs()).unwrap();
    }

    /// Fills the disk but for so many bytes, with a file that intake ignores.
    pub(crate) fn fill_but(&self, bytes: usize) {
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .open(self.filler())
            .unwrap();
        let page = [b'x'; 4_096];
        let full = loop {
            if let Err(error) = file.write_all(&page) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        let length = file.metadata().unwrap().len();
        file.set_len(length - bytes as u64).unwrap();
    }

    /// Makes room again.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join(".filler")
    }
}

/// Whether the system, by its settings or by those of a container, does not let this process do so.
fn is_refusal(error: &io::Error) -> bool {
    let code = error.raw_os_error().unwrap_or_default();
    [
        libc::EPERM,
        libc::EACCES,
        libc::ENOSYS,
        libc::EINVAL,
        libc::ENOSPC,
        libc::EUSERS,
    ]
    .contains(&code)
}

/// What it takes to enter a mount namespace, made before the fork.
struct Namespace {
    target: CString,
    options: CString,
    uid_map: String,
    gid_map: String,
}

impl Namespace {
    fn new(target: &Path, kib: usize) -> Namespace {
        let (uid, gid) = (geteuid(), getegid());
        Namespace {
            target: CString::new(target.as_os_str().as_bytes()).unwrap(),
            options: CString::new(format!("size={kib}k")).unwrap(),
            uid_map: format!("{uid} {uid} 1"),
            gid_map: format!("{gid} {gid} 1"),
        }
    }

    /// Leaves the mounts that all see, and mounts the disk.
    fn enter(&self) -> io::Result<()> {
        // SAFETY: takes numbers only.
        if check(unsafe { libc::unshare(libc::CLONE_NEWNS) }).is_err() {
            // SAFETY: takes numbers only.
            check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) })?;
            write_to(c"/proc/self/setgroups", b"deny")?;
            write_to(c"/proc/self/uid_map", self.uid_map.as_bytes())?;
            write_to(c"/proc/self/gid_map", self.gid_map.as_bytes())?;
        }
        // Else the mount would appear where this process came from.
        let alone = libc::MS_REC | libc::MS_PRIVATE;
        // SAFETY: the path is a C string, and what is null is not looked at with these flags.
        check(unsafe { libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), alone, ptr::null()) })?;
        // SAFETY: all four are C strings that live for the whole call.
        check(unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                self.target.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                self.options.as_ptr().cast(),
            )
        })
    }
}

/// Writes to a file in one call, without memory of its own.
fn write_to(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the path is a C string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    check(fd.min(0))?;
    // SAFETY: `bytes` is valid for reads of its length.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    let result = check(if written < 0 { -1 } else { 0 });
    // SAFETY: just opened, and nobody else's.
    unsafe { libc::close(fd) };
    result
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
