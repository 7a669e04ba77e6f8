//! What keeps a process from running or from ending, as far as `/proc` tells.

use std::fs;
use std::path::Path;

use nix::unistd::Pid;

/// Whether a debugger or a signal holds a process; a parent is not told of the former.
pub(crate) fn is_held(pid: Pid) -> bool {
    matches!(state(Path::new(&format!("/proc/{pid}"))), Some('T' | 't'))
}

/// What a process that was killed waits in, as the end of what stands in parentheses; nothing if the
/// system does not tell. Its first thread may be gone while another is held.
pub fn what_holds(pid: Pid) -> String {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let threads = threads.flatten().flatten().map(|thread| thread.path());
    let mut held: Vec<String> = threads
        .filter_map(|thread| what_holds_thread(&thread))
        .collect();
    held.sort_unstable();
    held.into_iter().next().unwrap_or_default()
}

fn what_holds_thread(thread: &Path) -> Option<String> {
    let wait = fs::read_to_string(thread.join("wchan")).unwrap_or_default();
    let call = match wait.as_str() {
        "" | "0" => String::new(),
        call => format!(", in {call}"),
    };
    match state(thread)? {
        'D' => Some(format!(", waits in the kernel{call}")),
        't' => Some(", held by a debugger".to_owned()),
        _ => None,
    }
}

/// The state of a process or thread, as a letter of proc(5).
fn state(process: &Path) -> Option<char> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The state follows the name, which is in parentheses and may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// This one may wait for its disk at a moment.
    #[test]
    fn a_running_process_is_held_by_nothing() {
        let patience = Instant::now() + Duration::from_secs(10);
        for pid in [nix::unistd::getpid(), Pid::from_raw(i32::MAX)] {
            let mut holds = what_holds(pid);
            while !holds.is_empty() && Instant::now() < patience {
                std::thread::yield_now();
                holds = what_holds(pid);
            }
            assert_eq!(holds, "");
        }
    }
}
