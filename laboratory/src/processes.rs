//! Processes, as seen in /proc.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

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

/// Whether a process is alive; a zombie is not.
pub fn is_alive(pid: Pid) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// The state of a process, as a letter of proc(5); nothing if there is none.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The state follows the name, which is in parentheses and may contain anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

/// What a process has used, and uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its threads since its start.
    pub cpu: Duration,
    /// Bytes of memory that it has in use (resident).
    pub resident_bytes: u64,
}

/// What a process has used; nothing if there is none.
pub fn usage(pid: Pid) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    // From the third field on, as proc(5) counts them: utime is the 14th, stime the 15th, rss the 24th.
    let field = |number: usize| -> Option<u64> { rest.split(' ').nth(number - 3)?.parse().ok() };
    let a_second = system_value(SysconfVar::CLK_TCK)?;
    let ticks = field(14)? + field(15)?;
    Some(Usage {
        cpu: Duration::from_millis(ticks * 1_000 / a_second),
        resident_bytes: field(24)? * system_value(SysconfVar::PAGE_SIZE)?,
    })
}

fn system_value(name: SysconfVar) -> Option<u64> {
    let value = sysconf(name).ok()??;
    u64::try_from(value).ok().filter(|&value| value > 0)
}

/// Whether a process is alive and was started with this run directory: its pid may have been reused.
pub fn is_node_of(run_dir: &Path, pid: Pid) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = command.split(|&byte| byte == 0);
    words.any(|word| OsStr::from_bytes(word) == run_dir) && is_alive(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let used = || usage(Pid::this()).unwrap();
        let begin = used();
        assert!(begin.resident_bytes > 100_000, "{begin:?}");
        while used().cpu == begin.cpu {
            std::hint::black_box((0..1_000_000_u64).sum::<u64>());
        }
        assert_eq!(usage(Pid::from_raw(i32::MAX)), None);
    }
}
