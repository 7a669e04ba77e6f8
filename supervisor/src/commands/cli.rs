//! The command line, and the text of `bullpen --help`.

pub(crate) mod cluster;
mod completions;
pub(crate) mod environment;
pub(crate) mod experiment;
mod faults;
mod kill;
mod metrics;
mod top;
mod verdict;

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipc::control::WatchMode;
use node::args::NodeArgs;
use supervisor::launch::{NODE, WATCH};
use supervisor::rotation::KEPT;

use crate::commands::watch::WatchArgs;

pub(crate) use crate::commands::cli::cluster::ClusterArgs;
pub(crate) use crate::commands::cli::completions::CompletionsArgs;
pub(crate) use crate::commands::cli::experiment::ExperimentArgs;
pub(crate) use crate::commands::cli::kill::KillArgs;
pub(crate) use crate::commands::cli::metrics::MetricsArgs;
pub(crate) use crate::commands::cli::top::TopArgs;
pub(crate) use crate::commands::cli::verdict::VerdictArgs;

/// Compute factorials on a cluster of processes that survives the death of any of them.
///
/// A supervisor starts one process per node. The nodes elect a coordinator with the Bully
/// algorithm. The coordinator splits each factorial into operations on at most four values, hands
/// them to the workers, and checkpoints every finished operation to all nodes.
#[derive(Debug, Parser)]
#[command(
    name = "bullpen",
    version,
    after_help = "Examples:\n  \
        bullpen compute 10! 1000!      compute two factorials and print them\n  \
        bullpen up                     run the service; then, in another terminal:\n  \
        bullpen submit 10! --wait      drop a job and print its results\n  \
        bullpen status                 nodes, roles, jobs and their progress\n  \
        bullpen kill coordinator       the experiment: the work continues\n  \
        bullpen experiment             a hundred of them, automated, and a verdict\n  \
        bullpen top                    watch it live, and kill nodes with a key\n  \
        bullpen timeline               what happened, one line per event\n  \
        bullpen verdict                whether the run was sound\n  \
        bullpen metrics --listen 9464  for Prometheus\n  \
        bullpen completions bash       for your shell\n\n\
        bullpen COMMAND --help has details and examples."
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
        bullpen up --delay 5ms         slow operations down so you can watch a failover\n  \
        bullpen up --crash-probability 0.001 --trace-operations     nodes that keep dying\n\n\
        A job file has one factorial per line: 10! or 10. Results are logged on standard output\n\
        and kept in the jobs directory: done/NAME.txt, or failed/NAME.txt with the reasons.\n\
        SIGTERM or SIGINT stops everything within 5 seconds; a second one stops it at once. Ctrl-Z suspends it.\n\
        Exit code 3 if it cannot start or continue, 5 if the system kept a process from ending.\n\n\
        Started by root, it runs as the owner of the jobs directory, who then owns the results.")]
    Up(Box<UpArgs>),
    /// Compute factorials with a private cluster and print whole values, in order.
    #[command(after_help = "Examples:\n  \
        bullpen compute 10!            prints 10!=3628800\n  \
        bullpen compute 5 20 100000 > values.txt\n\n\
        Leaves no process and no file behind, even if interrupted. Exit code 5 if the system\n\
        kept a process from ending, which was left behind.")]
    Compute(Box<ComputeArgs>),
    /// Inject faults into a private cluster while it computes, and judge the run.
    #[command(
        mut_arg("delay", |arg| arg.default_value("50ms")),
        mut_arg("blocks", |arg| arg.default_value("on")),
        after_help = "Examples:\n  \
        bullpen experiment                     kill -9 the coordinator 100 times\n  \
        bullpen experiment --signal STOP       stop it, and continue it once it is replaced\n  \
        bullpen experiment --target all        kill all nodes at once, every time\n  \
        bullpen experiment --target any --signal mixed --preemption never --seed 7\n  \
        bullpen experiment --rounds 20 --report out && xdg-open out/index.html\n\n\
        A round is one fault at a random moment; the next starts once all nodes agree on a\n\
        coordinator again. Every result is checked against known properties of factorials, and\n\
        the events of the run are searched for a broken invariant. The same seed repeats the\n\
        same faults. Its event log is never rotated.\n\
        Exit code 0 if all is sound, 1 if not, 4 if it cannot tell, since something could not be\n\
        written, 5 if the system kept a process from ending, which was left behind, 130 if it was\n\
        interrupted, with a verdict on the rounds that ran.\n\
        Leaves no process behind, and no file except the report.")]
    Experiment(Box<ExperimentArgs>),
    /// Drop a job into the jobs directory of a running service.
    #[command(after_help = "Examples:\n  \
        bullpen submit 10!                     prints the job's name: 10\n  \
        bullpen submit 5 20 100 --name three   the results will be in jobs/done/three.txt\n  \
        bullpen submit 20000! --wait           prints 20000!=..., or prints the reasons and exits with 1\n\n\
        The file appears under its name once it is complete, and replaces nothing: a name that is in\n\
        use gets a number, as three.2. It only needs permission to write to the directory.")]
    Submit(SubmitArgs),
    /// Show the nodes of a running cluster, their roles, and the jobs with their progress.
    #[command(after_help = "Examples:\n  \
        bullpen status\n  \
        bullpen status --json | jq .coordinator\n  \
        bullpen top                    the same, live\n\n\
        Roles: worker, candidate (holds an election), recovering (has not caught up yet), coordinator,\n\
        and stale: another was elected since, but it does not know yet, for example because it is stopped.\n\
        Its epoch is shown as TERM.NODE.\n\
        States: running, stopped (by a signal), waiting (for its restart).\n\
        In the JSON, held_bytes is the size of the products in a node's copy of the checkpoint, and\n\
        slow_file_ms how long the file system has not answered it, 0 if all is well.\n\
        Exit code 3 if no cluster uses the run directory. With --check, as for a container's health\n\
        check, exit code 1 if there is no coordinator, if the peers of a live node cannot reach it, or if\n\
        the coordinator's file system does not answer.")]
    Status(StatusArgs),
    /// Kill, stop or continue nodes, and watch the work continue.
    #[command(after_help = "Examples:\n  \
        bullpen kill coordinator               another node takes over\n  \
        bullpen kill worker                    the running worker with the lowest ID\n  \
        bullpen kill 3 --signal STOP           node 3 stalls; continue it with --signal CONT\n  \
        bullpen kill all                       all at once; they restart and continue\n\n\
        Once a stopped coordinator is replaced, \"coordinator\" no longer means it: continue it by its\n\
        ID, or with: bullpen kill all --signal CONT\n\
        Exit code 1 if there is nothing to signal, such as no coordinator during an election.")]
    Kill(KillArgs),
    /// Show what happened in a run, even while it runs: as text, or as a page with a diagram.
    #[command(after_help = "Examples:\n  \
        bullpen timeline                       one line per event: when, which node, what\n  \
        bullpen timeline --html run.html       who coordinated when, what was killed, which jobs continued\n  \
        bullpen timeline --html - > run.html   from a container: docker exec bullpen bullpen …\n\n\
        The page is one self-contained file. Its diagram also shows every operation if the\n\
        cluster was started with --trace-operations.\n\
        Exit code 3 if no run has left an event log in the run directory.")]
    Timeline(TimelineArgs),
    /// Judge a run, even while it runs: what was tried, which laws held, and what cannot be judged.
    #[command(after_help = verdict::HELP)]
    Verdict(VerdictArgs),
    /// Watch a running cluster in a terminal, and kill, stop or continue its nodes with a key.
    #[command(after_help = top::HELP)]
    Top(TopArgs),
    /// Print metrics of the cluster for Prometheus, or serve them.
    #[command(after_help = metrics::HELP)]
    Metrics(MetricsArgs),
    /// Print a shell script that completes the commands and their options.
    #[command(after_help = completions::HELP)]
    Completions(CompletionsArgs),
    /// Print the manual page, with all commands.
    #[command(hide = true)]
    Man,
    /// What the supervisor starts.
    #[command(skip)]
    Part(Part),
}

/// What the supervisor alone starts. It is parsed separately from the users' commands, whose help every process
/// of a cluster would otherwise build first.
#[derive(Debug, Parser)]
#[command(name = "bullpen")]
pub(crate) enum Part {
    /// Be a node.
    #[command(name = NODE)]
    Node(Box<NodeArgs>),
    /// Watch the jobs directory.
    #[command(name = WATCH)]
    Watch(WatchArgs),
}

/// The arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Directory that job files are dropped into; created if it is missing
    #[arg(long, value_name = "DIR", env = "BULLPEN_JOBS", default_value = "jobs")]
    pub(crate) jobs: PathBuf,
    /// Folder for the sockets and the event log; the other commands find the cluster by it
    ///
    /// [default: /run/bullpen for root, else $XDG_RUNTIME_DIR/bullpen, else a folder of yours in the
    /// temporary directory; if that is read-only, a folder in the other of /run and the temporary
    /// directory]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// How to detect dropped files: by file system events, or by polling every 0.5 s, which always
    /// happens on mounts that may not report every dropped file
    #[arg(
        long,
        value_name = "events|poll",
        env = "BULLPEN_WATCH",
        default_value = "events",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(crate) watch: WatchArg,
    /// Names that are jobs besides those that end in .job, such as '*.txt'; may be given several times,
    /// or separated by commas
    ///
    /// Files with other names are left alone, and listed in the log and by `bullpen status`.
    #[arg(
        long,
        value_name = "GLOB",
        env = "BULLPEN_ACCEPT",
        value_delimiter = ',',
        hide_short_help = true
    )]
    pub(crate) accept: Vec<String>,
    /// Maximum size of the text with the results of one job; a job that would exceed it fails
    #[arg(
        long,
        value_name = "SIZE",
        env = "BULLPEN_MAX_TEXT",
        default_value = "256MiB",
        hide_short_help = true
    )]
    pub(crate) max_text: ByteSize,
    /// Rotate the event log at this size: events.jsonl.1 is the newest of the older files; 0 keeps one
    /// file that grows without limit
    ///
    /// Its folder needs room for this size times one more than --log-files.
    #[arg(
        long,
        value_name = "SIZE",
        env = "BULLPEN_LOG_SIZE",
        default_value = "64MB",
        hide_short_help = true
    )]
    pub(crate) log_size: ByteSize,
    /// How many rotated files of the event log to keep, including those of earlier runs; older files
    /// are removed
    #[arg(
        long,
        value_name = "N",
        env = "BULLPEN_LOG_FILES",
        default_value_t = KEPT,
        value_parser = clap::value_parser!(u32).range(1..=100),
        hide_short_help = true
    )]
    pub(crate) log_files: u32,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// How dropped files are detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchArg {
    /// By file system events, where there are any, and by polling now and then.
    Events,
    /// By polling alone.
    Poll,
}

impl From<WatchArg> for WatchMode {
    fn from(arg: WatchArg) -> WatchMode {
        match arg {
            WatchArg::Events => WatchMode::Notify,
            WatchArg::Poll => WatchMode::Poll,
        }
    }
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
    /// Keep the sockets and the event log in DIR, instead of a folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// The arguments of `submit`.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The factorials, 1 to 1,000 of them: 10! or 10
    #[arg(
        required = true,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = None
    )]
    pub(crate) operands: Vec<String>,
    /// Name of the job, at most 200 bytes [default: made from the factorials, such as 10-20]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Wait until the job ends and print its results
    #[arg(long)]
    pub(crate) wait: bool,
    /// The jobs directory of the service
    #[arg(long, value_name = "DIR", env = "BULLPEN_JOBS", default_value = "jobs")]
    pub(crate) jobs: PathBuf,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print one line of JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Exit with 1 if there is no coordinator, the peers of a live node cannot reach it, or the
    /// coordinator's file system does not answer
    #[arg(long)]
    pub(crate) check: bool,
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

/// The arguments of `timeline`.
#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    /// Write a page for a browser to FILE, or to standard output with -
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also show each operation and what it computes, if the run was started with --trace-operations
    #[arg(long, conflicts_with = "html")]
    pub(crate) operations: bool,
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
