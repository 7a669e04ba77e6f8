//! The arguments of `experiment`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, ValueEnum};

use super::{ClusterArgs, environment};

/// The arguments of `experiment`.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArgs {
    /// Number of faults, one after another
    #[arg(long, value_name = "R", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rounds: u32,
    /// Target of a fault: the coordinator, one of the workers, any one node, or all at once
    #[arg(
        long,
        value_name = "coordinator|worker|any|all",
        default_value = "coordinator",
        hide_possible_values = true
    )]
    pub(crate) target: TargetArg,
    /// Signal of a fault: KILL; STOP, followed later by CONT, so that a replaced coordinator wakes up;
    /// or a random mix
    #[arg(
        long,
        value_name = "KILL|STOP|mixed",
        default_value = "KILL",
        ignore_case = true,
        hide_possible_values = true
    )]
    pub(crate) signal: SignalArg,
    /// Average pause before a fault, once the cluster has recovered from the last one; each pause is
    /// random, from zero to twice that
    #[arg(long, value_name = "D", default_value = "250ms", value_parser = humantime::parse_duration)]
    pub(crate) every: Duration,
    /// Largest factorial to compute; two are always in progress, each drawn from N/2 to N, along with
    /// small ones
    #[arg(long, value_name = "N", default_value_t = 3_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n: u32,
    /// Write a page about the run, index.html, and its event log to DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    // Not from the environment: there it means the service's folder, which is in use.
    /// Keep the sockets and the event log in DIR, instead of a folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// The target of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetArg {
    /// The coordinator.
    Coordinator,
    /// One of the workers.
    Worker,
    /// Any one node.
    Any,
    /// All at once.
    All,
}

/// The signal of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignalArg {
    /// SIGKILL.
    #[value(name = "KILL")]
    Kill,
    /// SIGSTOP, and later SIGCONT.
    #[value(name = "STOP")]
    Stop,
    /// Drawn for each round.
    #[value(name = "mixed")]
    Mixed,
}

impl fmt::Display for TargetArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TargetArg::Coordinator => "the coordinator",
            TargetArg::Worker => "a worker",
            TargetArg::Any => "any node",
            TargetArg::All => "all nodes",
        })
    }
}

impl fmt::Display for SignalArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignalArg::Kill => "SIGKILL",
            SignalArg::Stop => "SIGSTOP",
            SignalArg::Mixed => "SIGKILL or SIGSTOP",
        })
    }
}

/// The options of this process's command line, to pass on.
#[derive(Debug)]
pub(crate) struct Options {
    matches: ArgMatches,
}

impl Options {
    /// Reads the command line of this process, which has been accepted before.
    pub(crate) fn of_this_process() -> Options {
        Options::of(environment::command().get_matches())
    }

    fn of(mut matches: ArgMatches) -> Options {
        if let Some((_, command)) = matches.remove_subcommand() {
            matches = command;
        }
        Options { matches }
    }

    /// The cluster options for `bullpen up`, defaults included, except the seed and flags.
    pub(crate) fn of_cluster(&self) -> Vec<OsString> {
        let command = ClusterArgs::augment_args(Command::new("up"));
        self.list(&command, |name, _| name != "seed")
    }

    /// The options that the user gave and that the course of an experiment depends on, except the seed.
    pub(crate) fn given(&self) -> Vec<OsString> {
        let command = ExperimentArgs::augment_args(Command::new("experiment"));
        let aside = ["seed", "report", "run-dir", "log-format"];
        self.list(&command, |name, source| {
            source != ValueSource::DefaultValue && !aside.contains(&name)
        })
    }

    fn list(
        &self,
        command: &Command,
        is_wanted: impl Fn(&str, ValueSource) -> bool,
    ) -> Vec<OsString> {
        let mut options = Vec::new();
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            let (Some(name), Some(source)) = (arg.get_long(), self.matches.value_source(id)) else {
                continue;
            };
            if !arg.get_action().takes_values() || !is_wanted(name, source) {
                continue;
            }
            for value in self.matches.get_raw(id).into_iter().flatten() {
                let mut option = OsString::from(format!("--{name}="));
                option.push(value);
                options.push(option);
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;
    use crate::commands::cli::{Cli, UpArgs};

    fn options(args: &[&str]) -> Options {
        let args = ["bullpen", "experiment"].iter().chain(args);
        Options::of(Cli::command().try_get_matches_from(args).unwrap())
    }

    fn experiment(args: &[&str]) -> ExperimentArgs {
        ExperimentArgs::from_arg_matches(&options(args).matches).unwrap()
    }

    #[derive(Debug, Parser)]
    struct Up {
        #[command(flatten)]
        up: UpArgs,
    }

    #[test]
    fn work_takes_time_and_travels_in_blocks_unless_told_otherwise() {
        let config = |args: &[&str]| experiment(args).cluster.config(false).unwrap();
        assert_eq!(config(&[]).delay, Duration::from_millis(50));
        assert_eq!(config(&[]).shape, protocol::plan::Shape::default());
        assert_eq!(config(&["--delay", "2ms"]).delay, Duration::from_millis(2));
        assert_ne!(
            config(&["--blocks", "off"]).shape,
            protocol::plan::Shape::default()
        );
    }

    #[test]
    fn the_cluster_gets_every_option_but_the_seed() {
        let args = [
            "--seed",
            "7",
            "--nodes",
            "3",
            "--hints",
            "off",
            "--fault",
            "node=1,at=before-send,do=kill;node=2,at=before-commit,do=stop",
            "--preemption",
            "never",
        ];
        let passed = options(&args).of_cluster();
        assert!(!passed.iter().any(|option| option == "--seed=7"));
        let up = [OsString::from("bullpen")].into_iter().chain(passed);
        let up = Up::try_parse_from(up).unwrap().up.cluster;
        let ours = experiment(&args).cluster;
        let (mut ours_config, theirs) = (ours.config(true).unwrap(), up.config(true).unwrap());
        ours_config.run.clone_from(&theirs.run);
        assert_eq!(ours_config, theirs);
        assert_eq!(ours.hints(), up.hints());
        assert_eq!(ours.faults().unwrap().specs, up.faults().unwrap().specs);
    }

    #[test]
    fn what_somebody_gave_is_known() {
        let given = options(&["--rounds", "5", "--report", "there", "--signal", "stop"]).given();
        assert_eq!(given, ["--rounds=5", "--signal=stop"]);
    }

    #[test]
    fn an_experiment_has_rounds_and_work() {
        for args in [
            ["--rounds", "0"],
            ["--n", "0"],
            ["--target", "nobody"],
            ["--signal", "HUP"],
        ] {
            let args = ["bullpen", "experiment"].into_iter().chain(args);
            assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), 2);
        }
    }
}
