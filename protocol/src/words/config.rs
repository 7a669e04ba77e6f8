//! What a cluster is told at its start, and the check that it makes sense.

use std::time::Duration;

use glob::Pattern;
use serde::{Deserialize, Serialize};

use super::shape::Shape;

/// Fewest nodes of a cluster: a coordinator and a worker.
pub const MIN_NODES: u8 = 2;
/// Most nodes of a cluster.
pub const MAX_NODES: u8 = 16;
/// Most operations that a worker has at once: enough that it never waits for a round trip.
pub const DEFAULT_WINDOW: usize = 64;
/// Largest `max_n` that can be asked for.
pub const MAX_MAX_N: u32 = 100_000_000;
/// Longest time that can be asked for: sums and multiples of it are far from any overflow.
pub const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A text of no more bytes is written without asking first whether there is room for it, unless the
/// settings say otherwise.
pub const SMALL_TEXT_BYTES: u64 = 64 * 1024;

/// The settings that every node of a cluster shares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Number of nodes, coordinator included: 2 to 16. Static IDs are 0..nodes.
    pub nodes: u8,
    /// Simulated processing time: each result of a worker waits that long before it is sent.
    pub delay: Duration,
    /// Interval of the heartbeats between the coordinator and each peer.
    pub heartbeat: Duration,
    /// A peer that was silent for that long is suspected.
    pub suspect_after: Duration,
    /// A worker with an operation older than this (plus `delay` for each operation ahead of it)
    /// has failed.
    pub operation_deadline: Duration,
    /// An operation that was being computed when its worker died, this many times over, fails
    /// its job.
    pub attempts: u32,
    /// Most operations, or blocks of them, that a worker has at once. Under a `delay` it is one,
    /// whatever this says.
    pub window: usize,
    /// What shapes the plans.
    pub shape: Shape,
    /// A product of so many bytes or more is not sent back to the worker it came from: the checkpoint
    /// stream names it, and the worker takes over what it kept. A smaller one costs less than a
    /// message of its own.
    pub no_echo_bytes: usize,
    /// What a higher ID does when it comes back.
    pub preemption: Preemption,
    /// Largest N of a job.
    pub max_n: u32,
    /// Most digits that the values of one job have together: every node keeps them until the last is
    /// there.
    pub max_digits: u64,
    /// Most bytes of the text of one job's results.
    pub max_text: u64,
    /// A text of no more bytes is written without asking first whether there is room for it.
    pub small_text: u64,
    /// Patterns of names that are jobs beside those that end in `.job`.
    pub accept: Vec<String>,
    /// Values with more digits than this are cut in the log line.
    pub log_digits: usize,
    /// Whether the coordinator writes results to its standard output.
    pub log_results: bool,
    /// Whether results must survive a stop of the machine.
    pub durable: bool,
    /// Whether each operation's assignment, start, end and checkpoint are traced.
    pub trace_operations: bool,
    /// Token that tells this run of the cluster from others on the same jobs directory.
    ///
    /// Part of file names: letters and digits only.
    pub run: String,
}

/// What a node does when it comes back and finds a coordinator with a lower ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preemption {
    /// Join, catch up on the checkpoint, then hold an election.
    Graceful,
    /// Hold an election at once, as in the textbook.
    Immediate,
    /// Stay a worker while the coordinator lives.
    Never,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            nodes: 6,
            delay: Duration::ZERO,
            heartbeat: Duration::from_millis(50),
            suspect_after: Duration::from_millis(500),
            operation_deadline: Duration::from_secs(60),
            attempts: 10,
            window: DEFAULT_WINDOW,
            shape: Shape::default(),
            no_echo_bytes: 16 << 10,
            preemption: Preemption::Graceful,
            max_n: 10_000_000,
            max_digits: u64::MAX,
            max_text: u64::MAX,
            small_text: SMALL_TEXT_BYTES,
            accept: Vec::new(),
            log_digits: 1_000,
            log_results: true,
            durable: true,
            trace_operations: false,
            run: "run".to_owned(),
        }
    }
}

/// A setting, or a combination of settings, that cannot work. Displays as one sentence that says
/// what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Too few or too many nodes.
    #[error("--nodes {0} is out of range: a cluster has {MIN_NODES} to {MAX_NODES} nodes")]
    Nodes(u8),
    /// A time that nobody waits for.
    #[error("--{option} {given:?} is too long: give it at most 30days")]
    TooLong {
        /// The name of the option.
        option: &'static str,
        /// The refused time.
        given: Duration,
    },
    /// A heartbeat shorter than timers can keep, or none at all.
    #[error("--heartbeat {0:?} is too short: give it at least 1ms")]
    HeartbeatTooShort(Duration),
    /// Suspicion without at least three chances for a heartbeat.
    #[error(
        "--suspect-after {suspect_after:?} is too short for --heartbeat {heartbeat:?}: a live peer would be \
         suspected after one or two late heartbeats; give --suspect-after at least {least:?}"
    )]
    SuspectTooSoon {
        /// The interval of the heartbeats.
        heartbeat: Duration,
        /// The refused limit.
        suspect_after: Duration,
        /// The shortest limit that would be accepted.
        least: Duration,
    },
    /// A deadline of zero fails every worker.
    #[error(
        "--operation-deadline {operation_deadline:?} is shorter than --suspect-after {suspect_after:?}: a worker \
         would fail by its operation before it can be suspected; give --operation-deadline at least \
         {suspect_after:?}"
    )]
    DeadlineTooShort {
        /// The refused deadline.
        operation_deadline: Duration,
        /// The limit of silence that it must reach.
        suspect_after: Duration,
    },
    /// No attempt at all.
    #[error("--attempts 0 would fail every job: give at least 1")]
    Attempts,
    /// A fault for a node that does not exist.
    #[error("--fault names node {node}, but the {nodes} nodes have the IDs 0 to {}", nodes - 1)]
    FaultAstray {
        /// The ID that no node has.
        node: u8,
        /// Number of nodes.
        nodes: u8,
    },
    /// A pattern that cannot be understood.
    #[error("--accept {pattern:?} is no pattern of names: {reason}; give one such as '*.txt'")]
    Accept {
        /// The refused pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit beyond what the plan and the store can hold.
    #[error("--max-n {0} is too large: at most {MAX_MAX_N} is supported")]
    MaxN(u32),
}

impl Config {
    /// Checks ranges and the timings against each other.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work, as a sentence with the numbers in it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(MIN_NODES..=MAX_NODES).contains(&self.nodes) {
            return Err(ConfigError::Nodes(self.nodes));
        }
        let durations = [
            ("delay", self.delay),
            ("heartbeat", self.heartbeat),
            ("suspect-after", self.suspect_after),
            ("operation-deadline", self.operation_deadline),
        ];
        for (option, given) in durations {
            if given > MAX_DURATION {
                return Err(ConfigError::TooLong { option, given });
            }
        }
        if self.heartbeat < Duration::from_millis(1) {
            return Err(ConfigError::HeartbeatTooShort(self.heartbeat));
        }
        let least = self.heartbeat * 3;
        if self.suspect_after < least {
            return Err(ConfigError::SuspectTooSoon {
                heartbeat: self.heartbeat,
                suspect_after: self.suspect_after,
                least,
            });
        }
        if self.operation_deadline < self.suspect_after {
            return Err(ConfigError::DeadlineTooShort {
                operation_deadline: self.operation_deadline,
                suspect_after: self.suspect_after,
            });
        }
        if self.attempts == 0 {
            return Err(ConfigError::Attempts);
        }
        if self.max_n > MAX_MAX_N {
            return Err(ConfigError::MaxN(self.max_n));
        }
        self.accepted().map(|_| ())
    }

    /// The patterns of names that are jobs beside those that end in `.job`.
    ///
    /// # Errors
    ///
    /// The first that cannot be understood.
    pub(crate) fn accepted(&self) -> Result<Vec<Pattern>, ConfigError> {
        let read = |pattern: &String| {
            Pattern::new(pattern).map_err(|error| ConfigError::Accept {
                pattern: pattern.clone(),
                reason: error.msg,
            })
        };
        self.accept.iter().map(read).collect()
    }
}
