//! What the supervisor writes to the event log: the ends and stops of processes, each with the
//! node, the incarnation and the pid in the fields that every event has.

use std::path::Path;
use std::time::Duration;

use protocol::config::{Config, Preemption};
use serde::Serialize;

use crate::reap::Ending;

/// An event of a node's process.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event")]
pub(crate) enum ProcessEvent {
    /// It was started.
    #[serde(rename = "node_spawned")]
    Spawned,
    /// It is about to be sent a signal, on demand.
    #[serde(rename = "node_signalled")]
    Signalled {
        /// The signal's name, such as `SIGKILL`.
        signal: &'static str,
    },
    /// It ended, by a signal or with an exit code.
    #[serde(rename = "node_exited")]
    Exited {
        /// The signal's name, such as `SIGKILL`.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
        /// The exit code.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// A signal stopped it.
    #[serde(rename = "node_stopped")]
    Stopped,
    /// It runs again after a stop.
    #[serde(rename = "node_continued")]
    Continued,
}

/// What becomes of the run as a whole: it tells of no node.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event")]
pub(crate) enum RunEvent {
    /// How it is set up: what a reader of the log has to know. Each file of the log begins with it.
    #[serde(rename = "run_begun")]
    Begun {
        /// The jobs directory.
        jobs: String,
        /// Patterns of names that are jobs, too.
        accept: Vec<String>,
        /// What a higher node does that comes back.
        preemption: Preemption,
        /// Whether each operation is traced.
        trace_operations: bool,
        /// How long a node may be silent.
        suspect_after_ms: u64,
        /// When an operation is taken from its worker.
        operation_deadline_ms: u64,
        /// Largest N of a job.
        max_n: u32,
        /// Most digits of the values of one job.
        max_digits: u64,
        /// Most bytes of the text of one job.
        max_text: u64,
    },
    /// It was asked to end, or has to: from here on nodes end.
    #[serde(rename = "run_stopping")]
    Stopping,
}

impl RunEvent {
    /// The beginning of a run.
    pub(crate) fn begun(config: &Config, jobs: &Path) -> RunEvent {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        RunEvent::Begun {
            jobs: jobs.to_string_lossy().into_owned(),
            accept: config.accept.clone(),
            preemption: config.preemption,
            trace_operations: config.trace_operations,
            suspect_after_ms: ms(config.suspect_after),
            operation_deadline_ms: ms(config.operation_deadline),
            max_n: config.max_n,
            max_digits: config.max_digits,
            max_text: config.max_text,
        }
    }
}

/// Events that could not be written to the log, as on a full disk, by the node that the line tells of
/// or about it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename = "events_lost")]
pub(crate) struct EventsLost {
    /// How many, since the last such line.
    pub(crate) count: u64,
}

impl From<Ending> for ProcessEvent {
    fn from(ending: Ending) -> ProcessEvent {
        ProcessEvent::Exited {
            signal: ending.signal(),
            code: ending.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_names_the_signal_or_the_code_and_not_both() {
        let json = |ending| serde_json::to_value(ProcessEvent::from(ending)).unwrap();
        assert_eq!(
            json(Ending::Signal(libc::SIGKILL)),
            serde_json::json!({"event": "node_exited", "signal": "SIGKILL"})
        );
        assert_eq!(
            json(Ending::Code(3)),
            serde_json::json!({"event": "node_exited", "code": 3})
        );
    }
}
