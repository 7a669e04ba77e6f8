//! What a node may inherit: a few variables of the environment, and no descriptor by accident.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::RawFd;

/// The variables that a node reads: what the dynamic loader needs where libraries stand elsewhere,
/// how much a panic tells, and whether messages are in colour. All others stay here: they may hold
/// secrets of whoever starts the service, and a node may run as somebody else.
const VARIABLES: [&str; 7] = [
    "LD_LIBRARY_PATH",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TERM",
];
/// The first descriptor that is no standard stream.
const FIRST: RawFd = 3;

/// A node's environment, as `NAME=VALUE` each.
pub(super) fn environment() -> impl Iterator<Item = OsString> {
    VARIABLES.into_iter().filter_map(|name| {
        let mut variable = OsString::from(name);
        variable.push("=");
        variable.push(env::var_os(name)?);
        Some(variable)
    })
}

/// Marks all descriptors of this process but the standard streams as close-on-exec. What is to be
/// passed on loses the mark in the child alone.
///
/// # Errors
///
/// The system tells not which are open.
pub(super) fn close_all_on_exec() -> io::Result<()> {
    // SAFETY: takes numbers only, and marks descriptors without closing any.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if marked == 0 {
        return Ok(());
    }
    // Kernels before 5.11 do not know it, and some containers forbid it.
    close_listed_on_exec()
}

/// As [`close_all_on_exec`], one descriptor at a time.
fn close_listed_on_exec() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(fd) = number.filter(|&fd| fd >= FIRST) {
            // Fails for that of the listing alone, if it is closed by now.
            // SAFETY: takes numbers only, and marks a descriptor without closing it.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    /// A descriptor that a child would inherit.
    fn stray() -> OwnedFd {
        let stray = nix::unistd::dup(File::open("/dev/null").unwrap()).unwrap();
        assert!(!is_marked(&stray));
        stray
    }

    fn is_marked(fd: &OwnedFd) -> bool {
        let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap());
        flags.contains(FdFlag::FD_CLOEXEC)
    }

    #[test]
    fn strays_are_marked_with_and_without_a_kernel_that_does_it_at_once() {
        let first = stray();
        close_listed_on_exec().unwrap();
        assert!(is_marked(&first));

        let second = stray();
        close_all_on_exec().unwrap();
        assert!(is_marked(&second));
    }

    #[test]
    fn of_the_environment_a_node_gets_what_is_listed() {
        assert!(env::var_os("PATH").is_some());
        for variable in environment() {
            let variable = variable.into_string().unwrap();
            let (name, _) = variable.split_once('=').unwrap();
            assert!(VARIABLES.contains(&name), "{name}");
        }
    }
}
