//! The command line: what `bullpen --help` teaches.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use node::args::NodeArgs;
use protocol::config::{Config, ConfigError, Preemption};

/// The hidden command that makes this executable a node.
pub(crate) const NODE: &str = "node";

/// Factorials by a cluster of processes that survives the death of any of them.
///
/// A supervisor starts one process per node. The nodes elect a coordinator with the Bully
/// algorithm; it splits each factorial into operations on at most four values, hands them to the
/// workers and checkpoints every finished one to all of them.
#[derive(Debug, Parser)]
#[command(
    name = "bullpen",
    version,
    after_help = "Examples:\n  \
        bullpen compute 10! 1000!      compute two factorials and print them\n  \
        bullpen up                     run the service; then: echo '10!' > ten.job && mv ten.job jobs/\n  \
        pkill -9 coordinator           the experiment: the work goes on"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service: supervise the nodes and compute the job files dropped into a directory.
    #[command(after_help = "Examples:\n  \
        bullpen up --jobs /srv/jobs --nodes 4\n  \
        bullpen up --delay 250ms       give every operation a processing time to watch\n\n\
        A job file holds one factorial a line: 10! or 10. Results are logged on standard output\n\
        and kept in the jobs directory: done/NAME.txt, or failed/NAME.txt with the reasons.\n\
        SIGTERM or SIGINT stops everything within 5 seconds; a second one at once.")]
    Up(Box<UpArgs>),
    /// Compute factorials with a private cluster and print whole values, in order.
    #[command(after_help = "Examples:\n  \
        bullpen compute 10!            prints 10!=3628800\n  \
        bullpen compute 5 20 100000 > values.txt\n\n\
        Leaves no process and no file behind, interrupted or not.")]
    Compute(Box<ComputeArgs>),
    /// Be a node; started by the supervisor alone.
    #[command(name = NODE, hide = true)]
    Node(Box<NodeArgs>),
}

/// The arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The directory that job files are dropped into; made if it is missing
    #[arg(long, value_name = "DIR", env = "BULLPEN_JOBS", default_value = "jobs")]
    pub(crate) jobs: PathBuf,
    /// Folder of the sockets and the event log [default: /run/bullpen for root, else
    /// $XDG_RUNTIME_DIR/bullpen, else a folder of yours in the temporary directory]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// The arguments of `compute`.
#[derive(Debug, Args)]
pub(crate) struct ComputeArgs {
    /// The factorials, 1 to 1,000 of them: 10! or 10
    #[arg(
        required = true,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = None
    )]
    pub(crate) operands: Vec<String>,
    // Not from the environment: there it means the service's folder, which is in use.
    /// Keep the sockets and the event log there, instead of in a folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// The settings of a cluster.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Number of nodes, coordinator included: 2 to 16
    #[arg(long, value_name = "N", env = "BULLPEN_NODES", default_value_t = 6)]
    nodes: u8,
    /// Simulated processing time: each result of a worker waits that long before it is sent
    #[arg(long, value_name = "D", env = "BULLPEN_DELAY", default_value = "0ms",
          value_parser = humantime::parse_duration)]
    delay: Duration,
    /// Interval of the heartbeats between the coordinator and each worker
    #[arg(long, value_name = "D", env = "BULLPEN_HEARTBEAT", default_value = "50ms",
          value_parser = humantime::parse_duration)]
    heartbeat: Duration,
    /// A node that was silent for that long is suspected; at least three heartbeats
    #[arg(long, value_name = "D", env = "BULLPEN_SUSPECT_AFTER", default_value = "500ms",
          value_parser = humantime::parse_duration)]
    suspect_after: Duration,
    /// A worker with an operation older than this has failed; the delay is added for each
    /// operation ahead of it
    #[arg(long, value_name = "D", env = "BULLPEN_OPERATION_DEADLINE", default_value = "60s",
          value_parser = humantime::parse_duration)]
    operation_deadline: Duration,
    /// An operation whose worker died that many times over fails its job
    #[arg(long, value_name = "N", env = "BULLPEN_ATTEMPTS", default_value_t = 10)]
    attempts: u32,
    /// What a node does when it comes back and finds a coordinator with a lower ID
    #[arg(
        long,
        value_name = "POLICY",
        env = "BULLPEN_PREEMPTION",
        default_value = "graceful"
    )]
    preemption: PreemptionArg,
    /// Whether the supervisor tells the nodes what became of the others; off, they find out
    /// by their links and by silence
    #[arg(
        long,
        value_name = "on|off",
        env = "BULLPEN_HINTS",
        default_value = "on",
        hide_possible_values = true
    )]
    hints: Switch,
    /// Largest N of a factorial
    #[arg(
        long,
        value_name = "N",
        env = "BULLPEN_MAX_N",
        default_value_t = 10_000_000
    )]
    max_n: u32,
    /// Values with more digits than this are cut in the log; they are whole in the result files
    #[arg(
        long,
        value_name = "N",
        env = "BULLPEN_LOG_DIGITS",
        default_value_t = 1_000
    )]
    log_digits: usize,
    /// Write each operation's assignment, start, end and checkpoint to the event log
    #[arg(long, env = "BULLPEN_TRACE_OPERATIONS", value_parser = FalseyValueParser::new())]
    trace_operations: bool,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl ClusterArgs {
    /// The settings for the nodes of a new run, checked.
    ///
    /// # Errors
    ///
    /// The first setting that cannot work.
    pub(crate) fn config(&self, log_results: bool) -> Result<Config, ConfigError> {
        let config = Config {
            nodes: self.nodes,
            delay: self.delay,
            heartbeat: self.heartbeat,
            suspect_after: self.suspect_after,
            operation_deadline: self.operation_deadline,
            attempts: self.attempts,
            preemption: self.preemption.into(),
            max_n: self.max_n,
            log_digits: self.log_digits,
            log_results,
            trace_operations: self.trace_operations,
            run: format!("{:08x}", rand::random::<u32>()),
        };
        config.validate()?;
        Ok(config)
    }

    /// Whether the nodes are told what became of the others.
    pub(crate) fn hints(&self) -> bool {
        self.hints == Switch::On
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn up(args: &[&str]) -> UpArgs {
        let args = ["bullpen", "up"].iter().chain(args);
        match Cli::try_parse_from(args).unwrap().command {
            Command::Up(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_protocol() {
        let mut config = up(&[]).cluster.config(true).unwrap();
        assert_eq!(config.run.len(), 8);
        assert!(config.run.bytes().all(|byte| byte.is_ascii_hexdigit()));
        config.run = Config::default().run;
        assert_eq!(config, Config::default());
    }

    #[test]
    fn durations_take_a_unit_and_zero_needs_none() {
        for (text, expected) in [
            ("0", Duration::ZERO),
            ("0ms", Duration::ZERO),
            ("250ms", Duration::from_millis(250)),
            ("2s", Duration::from_secs(2)),
        ] {
            let config = up(&["--delay", text]).cluster.config(true).unwrap();
            assert_eq!(config.delay, expected);
        }
        for text in ["", "5", "-1s", "fast"] {
            let arg = format!("--delay={text}");
            Cli::try_parse_from(["bullpen", "up", &arg]).unwrap_err();
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let args = up(&["--heartbeat", "300ms"]);
        let error = args.cluster.config(true).unwrap_err();
        assert!(
            matches!(error, ConfigError::SuspectTooSoon { .. }),
            "{error}"
        );
        for nodes in ["1", "17"] {
            let error = up(&["--nodes", nodes]).cluster.config(true).unwrap_err();
            assert!(matches!(error, ConfigError::Nodes(_)), "{error}");
        }
    }

    #[test]
    fn policies_and_switches_are_closed_lists() {
        let args = up(&[
            "--preemption",
            "never",
            "--hints",
            "off",
            "--trace-operations",
        ]);
        let config = args.cluster.config(false).unwrap();
        assert_eq!(config.preemption, Preemption::Never);
        assert!(config.trace_operations);
        assert!(!config.log_results);
        assert!(!args.cluster.hints());
        for args in [["--preemption", "maybe"], ["--hints", "yes"]] {
            let args = ["bullpen", "up"].into_iter().chain(args);
            assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn the_supervisors_command_line_for_a_node_is_understood() {
        let config = serde_json::to_string(&Config::default()).unwrap();
        let command = format!(
            "bullpen {NODE} --id 3 --incarnation 7 --term 2 --control-fd 5 --supervisor 1 \
             --run-dir /run/bullpen --jobs jobs --config {config}"
        );
        let parsed = Cli::try_parse_from(command.split_whitespace()).unwrap();
        let Command::Node(args) = parsed.command else {
            panic!("{parsed:?}");
        };
        assert_eq!((args.id, args.incarnation, args.term), (3, 7, 2));
        assert_eq!(args.config, Config::default());
    }
}
