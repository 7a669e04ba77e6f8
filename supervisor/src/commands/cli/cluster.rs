//! The options of a cluster, shared by all commands that start one.

use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use node::args::LogFormat;
use node::faults::FaultConfig;
use protocol::config::{Config, ConfigError, DEFAULT_WINDOW, Preemption};
use protocol::plan::{Method, Shape};

use crate::commands::cli::faults::FaultArgs;
use crate::commands::memory;

/// The settings of a cluster.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Number of nodes, coordinator included: 2 to 16
    #[arg(long, value_name = "N", env = "BULLPEN_NODES", default_value_t = 6)]
    nodes: u8,
    /// Simulated processing time of each operation
    ///
    /// A worker waits this long before it sends each result: 5ms and a long job let you watch a
    /// failover.
    #[arg(long, value_name = "D", env = "BULLPEN_DELAY", default_value = "0ms",
          value_parser = humantime::parse_duration)]
    delay: Duration,
    /// Interval of the heartbeats between the coordinator and each worker
    #[arg(long, value_name = "D", env = "BULLPEN_HEARTBEAT", default_value = "50ms", hide_short_help = true,
          value_parser = humantime::parse_duration)]
    heartbeat: Duration,
    /// Suspect a node that is silent for this long; at least three heartbeats
    #[arg(long, value_name = "D", env = "BULLPEN_SUSPECT_AFTER", default_value = "500ms", hide_short_help = true,
          value_parser = humantime::parse_duration)]
    suspect_after: Duration,
    /// Treat a worker with an operation older than this as failed; the delay is added for each
    /// operation ahead of it
    #[arg(long, value_name = "D", env = "BULLPEN_OPERATION_DEADLINE", default_value = "60s", hide_short_help = true,
          value_parser = humantime::parse_duration)]
    operation_deadline: Duration,
    /// Fail the job of an operation whose worker has died this many times
    #[arg(
        long,
        value_name = "N",
        env = "BULLPEN_ATTEMPTS",
        default_value_t = 10,
        hide_short_help = true
    )]
    attempts: u32,
    /// What a restarted node does if the coordinator has a lower ID
    #[arg(
        long,
        value_name = "POLICY",
        env = "BULLPEN_PREEMPTION",
        default_value = "graceful"
    )]
    preemption: PreemptionArg,
    /// Whether the supervisor tells the nodes the state of their peers; if off, they detect failures
    /// only by closed links and by silence
    #[arg(
        long,
        value_name = "on|off",
        env = "BULLPEN_HINTS",
        default_value = "on",
        hide_short_help = true,
        hide_possible_values = true
    )]
    hints: Switch,
    /// Largest N of a factorial [default: 10000000, or less if the memory of the container or the
    /// machine requires it]
    #[arg(long, value_name = "N", env = "BULLPEN_MAX_N")]
    max_n: Option<u32>,
    /// Shorten values with more digits than this in the log; the result files have all digits
    #[arg(
        long,
        value_name = "N",
        env = "BULLPEN_LOG_DIGITS",
        default_value_t = 1_000,
        hide_short_help = true
    )]
    log_digits: usize,
    /// Format of the messages on standard error: text for people, or one JSON object per line
    #[arg(
        long,
        value_name = "text|json",
        env = "BULLPEN_LOG_FORMAT",
        default_value = "text",
        hide_short_help = true,
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,
    /// Whether to send the small operations of a large factorial in batches [default: on; off with a
    /// delay or injected faults, which apply to each single operation]
    #[arg(
        long,
        value_name = "on|off",
        env = "BULLPEN_BLOCKS",
        hide_possible_values = true
    )]
    blocks: Option<Switch>,
    /// How to compose a factorial: one tree of all numbers, prime powers, or whichever is faster
    #[arg(
        long,
        value_name = "auto|tree|powers",
        env = "BULLPEN_PLAN",
        default_value = "auto",
        hide_possible_values = true
    )]
    plan: PlanArg,
    /// Write each operation's assignment, start, end and checkpoint to the event log
    #[arg(long, env = "BULLPEN_TRACE_OPERATIONS", value_parser = FalseyValueParser::new())]
    trace_operations: bool,
    #[command(flatten)]
    faults: FaultArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PreemptionArg {
    /// Join, catch up on the checkpoint, then hold an election
    Graceful,
    /// Hold an election at once, as in the textbook
    Immediate,
    /// Stay a worker while the coordinator lives
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlanArg {
    /// Prime powers for large factorials, the tree for small ones
    Auto,
    /// The product tree of all numbers
    Tree,
    /// The prime powers of the factorial, and a chain of steps
    Powers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl ClusterArgs {
    /// The settings for the nodes of a new run, checked. Memory is not looked at.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work.
    pub(crate) fn config(&self, log_results: bool) -> Result<Config, ConfigError> {
        let faulty = self.faults.config().is_some();
        let asked = self.blocks.map(|blocks| blocks == Switch::On);
        let blocks = asked.unwrap_or(!faulty && self.delay.is_zero());
        let config = Config {
            nodes: self.nodes,
            delay: self.delay,
            heartbeat: self.heartbeat,
            suspect_after: self.suspect_after,
            operation_deadline: self.operation_deadline,
            attempts: self.attempts,
            // A fault drawn for each operation should hit the one that was begun, and lose no more.
            window: if faulty { 1 } else { DEFAULT_WINDOW },
            // Whoever slows operations down, or has faults hit them, means each single one.
            shape: Shape {
                method: self.plan.into(),
                least_blocks: if blocks {
                    Shape::default()
                } else {
                    Shape::SINGLE
                }
                .least_blocks,
                ..Shape::default()
            },
            preemption: self.preemption.into(),
            max_n: memory::default_max_n(self.max_n),
            log_digits: self.log_digits,
            log_results,
            trace_operations: self.trace_operations,
            run: format!("{:08x}", rand::random::<u32>()),
            ..Config::default()
        };
        config.validate()?;
        if let Some(node) = self.faults.astray(config.nodes) {
            return Err(ConfigError::FaultAstray {
                node,
                nodes: config.nodes,
            });
        }
        Ok(config)
    }

    /// What makes the draws repeatable, if it was given.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.faults.seed()
    }

    /// The requested largest N; none if the memory determines it.
    pub(crate) fn asked_max_n(&self) -> Option<u32> {
        self.max_n
    }

    /// The faults to inject, if any.
    pub(crate) fn faults(&self) -> Option<FaultConfig> {
        self.faults.config()
    }

    /// Whether the supervisor tells the nodes the state of their peers.
    pub(crate) fn hints(&self) -> bool {
        self.hints == Switch::On
    }
}

/// The message with the seed, which may have been drawn at random.
pub(crate) fn how_to_repeat(faults: &FaultConfig) -> String {
    let seed = faults.seed;
    format!("faults are injected; --seed {seed} repeats the draws")
}

impl From<PlanArg> for Method {
    fn from(arg: PlanArg) -> Method {
        match arg {
            PlanArg::Auto => Method::Auto,
            PlanArg::Tree => Method::Tree,
            PlanArg::Powers => Method::Powers,
        }
    }
}

impl From<PreemptionArg> for Preemption {
    fn from(arg: PreemptionArg) -> Preemption {
        match arg {
            PreemptionArg::Graceful => Preemption::Graceful,
            PreemptionArg::Immediate => Preemption::Immediate,
            PreemptionArg::Never => Preemption::Never,
        }
    }
}
