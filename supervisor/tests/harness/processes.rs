//! Processes, as anybody sees them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The living children of a process.
pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

pub(crate) fn process_name(pid: Pid) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Whether a process runs; one that is dead and waits to be reaped does not.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The state follows the name, which is in parentheses and may hold anything.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

pub(crate) fn kill_node(pid: Pid) {
    match kill(pid, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("kill {pid}: {error}"),
    }
}

/// A copy of the built binary, for a user who cannot go where the build is. Made by another process:
/// a child that another test starts meanwhile would inherit the descriptor, and what is open for
/// writing cannot be run.
pub(crate) fn copy_of_the_binary(folder: &Path) -> PathBuf {
    let copy = folder.join("bullpen");
    let mut cp = Command::new("cp");
    let status = cp.arg(env!("CARGO_BIN_EXE_bullpen")).arg(&copy).status();
    assert!(status.unwrap().success(), "cannot copy the binary");
    copy
}
