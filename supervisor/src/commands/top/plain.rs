//! The cluster as lines, where there is no terminal.

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::printable::printable;
use supervisor::control::{ClusterStatus, NodeState};

use super::watch::Watcher;
use crate::commands::results::{self, ResultsError};

/// How often it looks, in milliseconds.
const INTERVAL_MS: u16 = 200;
/// Progress alone is told no more often.
const PROGRESS: Duration = Duration::from_secs(1);

/// Prints a line each time that something changes, until standard output is closed or a signal
/// ends the process.
///
/// # Errors
///
/// Standard output takes nothing, and not because its reader has left.
pub(super) fn run(run_dir: &Path) -> Result<(), ResultsError> {
    let mut watcher = Watcher::new(run_dir);
    let mut teller = Teller::default();
    loop {
        let state = match watcher.look().status {
            Ok(status) => State::of(&status),
            Err(sentence) => State {
                cluster: sentence,
                progress: String::new(),
            },
        };
        if let Some(text) = teller.tell(state, Instant::now()) {
            let now = format_rfc3339_seconds(SystemTime::now());
            results::hand_over(&format!("{now} {}\n", printable(&text)))?;
        }
        // That the reader has left is noticed whether or not there is something to write.
        let stdout = io::stdout();
        let mut closed = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        if poll(&mut closed, PollTimeout::from(INTERVAL_MS)).is_ok_and(|ready| ready > 0) {
            return Ok(());
        }
    }
}

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// Who coordinates, and what the nodes' processes do.
    cluster: String,
    /// How far the jobs are.
    progress: String,
}

impl State {
    fn of(status: &ClusterStatus) -> State {
        let coordinator = status.who_coordinates("no coordinator");
        let mut cluster = format!("term {}, {coordinator}", status.term);
        for state in [NodeState::Running, NodeState::Stopped, NodeState::Waiting] {
            let nodes = status.nodes.iter().filter(|node| node.state == state);
            let ids: Vec<String> = nodes.map(|node| node.id.to_string()).collect();
            if !ids.is_empty() {
                let _ = write!(cluster, ", {state} {}", ids.join(" "));
            }
        }
        let jobs = status
            .jobs
            .iter()
            .map(|job| format!("{} {}/{}", job.name, job.done, job.total));
        State {
            cluster,
            progress: jobs.collect::<Vec<_>>().join(", "),
        }
    }
}

/// Knows what was told.
#[derive(Debug, Default)]
struct Teller {
    told: Option<(State, Instant)>,
}

impl Teller {
    /// The line that is due now, if one is.
    fn tell(&mut self, state: State, now: Instant) -> Option<String> {
        if let Some((told, at)) = &self.told {
            let is_new = told.cluster != state.cluster;
            let has_ended = state.progress.is_empty() && !told.progress.is_empty();
            let has_moved = told.progress != state.progress && now >= *at + PROGRESS;
            if !is_new && !has_ended && !has_moved {
                return None;
            }
        }
        let text = if state.progress.is_empty() {
            state.cluster.clone()
        } else {
            format!("{}; {}", state.cluster, state.progress)
        };
        self.told = Some((state, now));
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_at_once_and_progress_each_second() {
        let begin = Instant::now();
        let mut teller = Teller::default();
        let mut tell = |ms, cluster: &str, progress: &str| {
            let state = State {
                cluster: cluster.to_owned(),
                progress: progress.to_owned(),
            };
            teller.tell(state, begin + Duration::from_millis(ms))
        };
        assert_eq!(tell(0, "term 1", "").as_deref(), Some("term 1"));
        assert_eq!(tell(5_000, "term 1", ""), None);
        assert_eq!(
            tell(5_200, "term 1", "a 0/9").as_deref(),
            Some("term 1; a 0/9")
        );
        assert_eq!(tell(5_400, "term 1", "a 3/9"), None);
        assert_eq!(
            tell(5_600, "term 2", "a 3/9").as_deref(),
            Some("term 2; a 3/9")
        );
        assert_eq!(
            tell(6_600, "term 2", "a 7/9").as_deref(),
            Some("term 2; a 7/9")
        );
        assert_eq!(tell(6_800, "term 2", "").as_deref(), Some("term 2"));
        assert_eq!(tell(9_000, "term 2", ""), None);
    }
}
