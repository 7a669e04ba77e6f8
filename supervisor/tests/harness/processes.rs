//! Processes, as anybody sees them.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) use laboratory::processes::{children, is_alive, process_name};

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
