//! Checks that dead nodes are reaped.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Violation;
use crate::processes::{children, state};

const INTERVAL: Duration = Duration::from_millis(10);
/// S11: no zombie older than this.
const LIMIT: Duration = Duration::from_millis(100);

/// Watches the children of a supervisor until it is dropped.
#[derive(Debug)]
pub struct Zombies {
    found: Arc<Mutex<Vec<Violation>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Zombies {
    /// Begins to watch.
    pub fn watch(supervisor: Pid) -> Zombies {
        let found = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (list, end) = (Arc::clone(&found), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut ages: BTreeMap<Pid, Duration> = BTreeMap::new();
            let mut last = Instant::now();
            let mut queued = time_in_queue(supervisor);
            while !end.load(Ordering::Relaxed) {
                thread::sleep(INTERVAL);
                // Where the machine was busy, the supervisor had as little time as this thread; and
                // while it waits for a processor it can do nothing.
                let waited = time_in_queue(supervisor).saturating_sub(queued);
                let passed = last.elapsed().min(INTERVAL * 2).saturating_sub(waited);
                last = Instant::now();
                queued += waited;
                ages = grow(&ages, supervisor, passed);
                let old = ages.iter().find(|(_, age)| **age > LIMIT);
                if let Some((pid, age)) = old {
                    let message = format!(
                        "process {pid} is a zombie for {age:?}, {}",
                        occupation(supervisor)
                    );
                    let violation = Violation::new("S11", message, &[]);
                    list.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(violation);
                    return;
                }
            }
        });
        Zombies {
            found,
            over,
            thread: Some(thread),
        }
    }

    /// Ends the watch, and returns its findings.
    pub fn end(&mut self) -> Vec<Violation> {
        self.stop();
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Zombies {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The current zombies, each with the time since it was first seen as one.
fn grow(
    ages: &BTreeMap<Pid, Duration>,
    supervisor: Pid,
    passed: Duration,
) -> BTreeMap<Pid, Duration> {
    // A supervisor that was killed, or stopped by the test, reaps nobody.
    if !runs(supervisor) {
        return BTreeMap::new();
    }
    children(supervisor)
        .into_iter()
        .filter(|&pid| state(pid) == Some('Z') && is_reapable(pid))
        .map(|pid| {
            (
                pid,
                ages.get(&pid).map_or(Duration::ZERO, |age| *age + passed),
            )
        })
        .collect()
}

/// How long a process has been ready to run, in all, without a processor to run on.
fn time_in_queue(pid: Pid) -> Duration {
    let account = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let queued = account.split_whitespace().nth(1);
    Duration::from_nanos(queued.and_then(|ns| ns.parse().ok()).unwrap_or_default())
}

/// What a process is doing: its state and its current system call.
fn occupation(pid: Pid) -> String {
    let state = state(pid).unwrap_or('?');
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let call = call.split_whitespace().next().unwrap_or("unknown");
    format!("and its supervisor is in state {state} and system call {call}")
}

fn runs(pid: Pid) -> bool {
    matches!(state(pid), Some('R' | 'S' | 'D'))
}

/// A process whose first thread is dead is not yet a zombie while another of its threads is in a
/// system call, such as a sync of a slow disk: nobody can reap it before that returns.
fn is_reapable(pid: Pid) -> bool {
    fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() == 1)
}
