//! Processes, as anybody sees them.

use std::fs;
use std::os::unix::process::CommandExt;
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

/// Whatever signals the tests themselves were started to ignore, as by nohup, the command heeds them.
pub(crate) fn heed_signals(command: &mut Command) -> &mut Command {
    let heed = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            // SAFETY: takes numbers only, and the default action is no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls alone, and allocates nothing.
    unsafe { command.pre_exec(heed) }
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

/// Field of `/proc/PID/stat`, counted as proc(5) does.
pub(crate) fn stat_field(pid: Pid, number: usize) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(number - 3).unwrap().parse().unwrap()
}

/// What a process has open, by number.
pub(crate) fn open_files(pid: Pid) -> Vec<(i32, PathBuf)> {
    let listed = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    listed
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect()
}
