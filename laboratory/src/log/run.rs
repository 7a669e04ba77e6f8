//! What the log says about the run as a whole, in the supervisor's lines that are not about a node.

use std::path::PathBuf;
use std::time::Duration;

use super::Event;
use crate::job_text::Limits;

/// How the run was set up. Written again at the beginning of each file of the log.
const BEGUN: &str = "run_begun";
/// The run was asked to end.
const STOPPING: &str = "run_stopping";

/// What is known about a run as a whole.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// How it was set up; none in a log of an older version, or if that line is missing.
    pub settings: Option<Settings>,
    /// `CLOCK_MONOTONIC` when it was asked to end.
    pub stopping_at: Option<u64>,
}

/// How a run was set up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The process of the supervisor.
    pub pid: u64,
    /// The jobs directory.
    pub jobs: PathBuf,
    /// Patterns of names that are jobs besides those that end in `.job`.
    pub accept: Vec<String>,
    /// Whether the highest live node must coordinate.
    pub highest_coordinates: bool,
    /// Whether each operation was traced.
    pub is_traced: bool,
    /// How long a node may be silent before it is suspected.
    pub suspect_after: Option<Duration>,
    /// After which time an operation is taken from its worker.
    pub operation_deadline: Option<Duration>,
    /// What it accepts.
    pub limits: Limits,
}

/// Whether an event of this name is about the run, not about a node.
pub(super) fn is_of_run(name: &str) -> bool {
    matches!(name, BEGUN | STOPPING)
}

impl About {
    pub(super) fn take(&mut self, event: &Event) {
        match event.name() {
            BEGUN => self.settings = Some(Settings::of(event)),
            _ => self.stopping_at = self.stopping_at.or(Some(event.at())),
        }
    }
}

impl Settings {
    fn of(event: &Event) -> Settings {
        let number = |field: &str| event.fields[field].as_u64();
        let accept = event.fields["accept"].as_array().into_iter().flatten();
        Settings {
            pid: event.pid(),
            jobs: event.text("jobs").into(),
            accept: accept
                .filter_map(|one| Some(one.as_str()?.to_owned()))
                .collect(),
            highest_coordinates: event.text("preemption") != "never",
            is_traced: event.fields["trace_operations"].as_bool().unwrap_or(false),
            suspect_after: number("suspect_after_ms").map(Duration::from_millis),
            operation_deadline: number("operation_deadline_ms").map(Duration::from_millis),
            limits: Limits {
                max_n: number("max_n"),
                max_digits: number("max_digits"),
                max_text: number("max_text"),
            },
        }
    }
}
