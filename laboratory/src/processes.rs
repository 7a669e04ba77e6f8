//! Processes, as anybody sees them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Pid;

/// The children of a process that are not reaped; none if it has ended.
pub fn children(parent: Pid) -> Vec<Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let pids = fs::read_to_string(path).unwrap_or_default();
    pids.split_whitespace()
        .filter_map(|pid| Some(Pid::from_raw(pid.parse().ok()?)))
        .collect()
}

/// The name of a process as `ps` shows it.
pub fn process_name(pid: Pid) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Whether a process runs; one that is dead and waits to be reaped does not.
pub fn is_alive(pid: Pid) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The state of a process, as a letter of proc(5); nothing if there is none.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The state follows the name, which is in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

/// Whether a process lives and was started with this run directory: its pid may be another's by now.
pub fn is_node_of(run_dir: &Path, pid: Pid) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split(|&byte| byte == 0);
    words.any(|word| OsStr::from_bytes(word) == run_dir) && is_alive(pid)
}
