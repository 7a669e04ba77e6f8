//! The command line: what `bullpen --help` teaches.

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
        bullpen up                     run the service; then, in another terminal:\n  \
        bullpen submit 10! --wait      drop a job and print its results\n  \
        bullpen status                 nodes, roles, jobs and their progress\n  \
        bullpen kill coordinator       the experiment: the work goes on\n  \
        bullpen experiment             a hundred of them by machine, and a verdict\n  \
        bullpen top                    watch it, and kill by a key\n  \
        bullpen timeline               what happened, a line an event\n  \
        bullpen verdict                whether all of it was sound\n  \
        bullpen metrics --listen 9464  for Prometheus\n  \
        bullpen completions bash       for your shell\n\n\
        bullpen COMMAND --help has more of each, with examples."
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
        bullpen up --delay 5ms         give every operation a processing time, to have something to watch\n  \
        bullpen up --crash-probability 0.001 --trace-operations     nodes that keep dying\n\n\
        A job file holds one factorial a line: 10! or 10. Results are logged on standard output\n\
        and kept in the jobs directory: done/NAME.txt, or failed/NAME.txt with the reasons.\n\
        SIGTERM or SIGINT stops everything within 5 seconds; a second one at once. Ctrl-Z suspends it.\n\
        Exit code 3 if it cannot start or go on, 5 if the system kept a process from ending.\n\n\
        Root works as the owner of the jobs directory, to whom the results belong then.")]
    Up(Box<UpArgs>),
    /// Compute factorials with a private cluster and print whole values, in order.
    #[command(after_help = "Examples:\n  \
        bullpen compute 10!            prints 10!=3628800\n  \
        bullpen compute 5 20 100000 > values.txt\n\n\
        Leaves no process and no file behind, interrupted or not. Exit code 5 if the system\n\
        kept a process from ending, which was left.")]
    Compute(Box<ComputeArgs>),
    /// Break a private cluster again and again while it computes, and judge what it did.
    #[command(
        mut_arg("delay", |arg| arg.default_value("50ms")),
        mut_arg("blocks", |arg| arg.default_value("on")),
        after_help = "Examples:\n  \
        bullpen experiment                     100 times kill -9 of the coordinator\n  \
        bullpen experiment --signal STOP       stop it, and continue it when it was replaced\n  \
        bullpen experiment --target all        kill every node at once, each time\n  \
        bullpen experiment --target any --signal mixed --preemption never --seed 7\n  \
        bullpen experiment --rounds 20 --report out && xdg-open out/index.html\n\n\
        A round is one fault at a random moment; the next comes when all nodes agree on a\n\
        coordinator again. Every result is compared with a factorial that is computed here, and the\n\
        events of the run are searched for a broken invariant. The same seed draws the same faults.\n\
        Its event log is never rotated.\n\
        Exit code 0 if all is sound, 1 if not, 4 if nobody can tell, since something could not be\n\
        written, 5 if the system kept a process from ending, which was left, 130 if it was\n\
        interrupted, with a verdict on what ran.\n\
        Leaves no process behind, and no file but the report.")]
    Experiment(Box<ExperimentArgs>),
    /// Drop a job into the jobs directory of a running service.
    #[command(after_help = "Examples:\n  \
        bullpen submit 10!                     prints the job's name: 10\n  \
        bullpen submit 5 20 100 --name three   the results will be in jobs/done/three.txt\n  \
        bullpen submit 20000! --wait           prints 20000!=..., or the reasons and exits with 1\n\n\
        The file appears under its name when it is whole, and replaces nothing: a name that is in\n\
        use gets a number, as three.2. It needs no more than the right to write to the directory.")]
    Submit(SubmitArgs),
    /// Show the nodes of a running cluster, their roles, and the jobs with their progress.
    #[command(after_help = "Examples:\n  \
        bullpen status\n  \
        bullpen status --json | jq .coordinator\n  \
        bullpen top                    the same, live\n\n\
        Roles: worker, candidate (holds an election), recovering (has not caught up yet), coordinator,\n\
        and stale: another was elected since, which it has not heard yet, being stopped for one. Its\n\
        epoch is told as TERM.NODE.\n\
        States: running, stopped (by a signal), waiting (for its restart).\n\
        In the JSON, held_bytes are the products in a node's copy of the checkpoint, and slow_file_ms is\n\
        for how long the file system has not answered it, 0 where all is well.\n\
        Exit code 3 if no cluster uses the run directory, and with --check 1 if no node coordinates, one\n\
        that lives cannot be reached by its peers, or the file system does not answer the one that\n\
        coordinates, as a container's health check asks.")]
    Status(StatusArgs),
    /// Kill, stop or continue nodes, to see the work go on.
    #[command(after_help = "Examples:\n  \
        bullpen kill coordinator               another node takes over\n  \
        bullpen kill worker                    the running worker with the lowest ID\n  \
        bullpen kill 3 --signal STOP           node 3 stalls; continue it with --signal CONT\n  \
        bullpen kill all                       all at once; they start again and go on\n\n\
        A stopped coordinator is replaced and is then no longer \"coordinator\": continue it by its\n\
        ID, or with: bullpen kill all --signal CONT\n\
        Exit code 1 if there is nothing to signal, such as no coordinator in mid-election.")]
    Kill(KillArgs),
    /// Tell what happened in a run, also while it runs: as text, or as a page with a picture of it.
    #[command(after_help = "Examples:\n  \
        bullpen timeline                       a line an event: when, which node, what\n  \
        bullpen timeline --html run.html       who coordinated when, what was killed, what went on\n  \
        bullpen timeline --html - > run.html   from a container: docker exec bullpen bullpen …\n\n\
        The page is one file that fetches nothing. Its picture shows every operation too if the\n\
        cluster was started with --trace-operations.\n\
        Exit code 3 if no run has left an event log in the run directory.")]
    Timeline(TimelineArgs),
    /// Judge a run, also while it goes on: what was tried, which laws held, and what cannot be told.
    #[command(after_help = verdict::HELP)]
    Verdict(VerdictArgs),
    /// Watch a running cluster in a terminal, and kill, stop or continue its nodes by a key.
    #[command(after_help = top::HELP)]
    Top(TopArgs),
    /// Print what the cluster did and does as metrics for Prometheus, or serve them.
    #[command(after_help = metrics::HELP)]
    Metrics(MetricsArgs),
    /// Print what a shell needs to complete the commands and their options.
    #[command(after_help = completions::HELP)]
    Completions(CompletionsArgs),
    /// Print the manual page, with all commands.
    #[command(hide = true)]
    Man,
    /// What the supervisor starts.
    #[command(skip)]
    Part(Part),
}

/// What the supervisor alone starts. Read apart from the commands of users, whose help every process of
/// a cluster would else make first.
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
    /// The directory that job files are dropped into; made if it is missing
    #[arg(long, value_name = "DIR", env = "BULLPEN_JOBS", default_value = "jobs")]
    pub(crate) jobs: PathBuf,
    /// Folder of the sockets and the event log; the other commands find the cluster by it
    ///
    /// [default: /run/bullpen for root, else $XDG_RUNTIME_DIR/bullpen, else a folder of yours in the
    /// temporary directory; where that is read-only, one in the other of /run and the temporary
    /// directory]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// How a dropped file is noticed: by the events of the system, or by looking every 0.5 s, as is
    /// done anyway where a mount may not tell of all that others drop
    #[arg(
        long,
        value_name = "events|poll",
        env = "BULLPEN_WATCH",
        default_value = "events",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(crate) watch: WatchArg,
    /// Names that are jobs beside those that end in .job, as '*.txt'; may be given several times, and
    /// with commas
    ///
    /// Files of other names are left alone, and told of in the log and by `bullpen status`.
    #[arg(
        long,
        value_name = "GLOB",
        env = "BULLPEN_ACCEPT",
        value_delimiter = ',',
        hide_short_help = true
    )]
    pub(crate) accept: Vec<String>,
    /// Longest text of the results of one job; a job that would have a longer one fails
    #[arg(
        long,
        value_name = "SIZE",
        env = "BULLPEN_MAX_TEXT",
        default_value = "256MiB",
        hide_short_help = true
    )]
    pub(crate) max_text: ByteSize,
    /// The event log is rotated when it is that long: events.jsonl.1 is the newest of the older files;
    /// 0 keeps it in one file that grows for ever
    ///
    /// Its folder needs room for as many bytes, times one more than --log-files.
    #[arg(
        long,
        value_name = "SIZE",
        env = "BULLPEN_LOG_SIZE",
        default_value = "64MB",
        hide_short_help = true
    )]
    pub(crate) log_size: ByteSize,
    /// How many rotated files of the event log are kept beside it, those of earlier runs counted; older
    /// ones are removed
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

/// How a dropped file is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchArg {
    /// By the events of the system, where there are any, and by looking from time to time.
    Events,
    /// By looking from time to time.
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
    /// Keep the sockets and the event log there, instead of in a folder that is removed at the end
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
    /// Name of the job, at most 200 bytes [default: made of the factorials, as 10-20]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Wait for the end of the job and print its results
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
    /// Exit with 1 while no node coordinates, or one lives that its peers cannot reach
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
    /// Tell each operation too, by what it does, where the run was traced with --trace-operations
    #[arg(long, conflicts_with = "html")]
    pub(crate) operations: bool,
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
