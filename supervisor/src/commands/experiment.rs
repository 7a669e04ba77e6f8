//! `bullpen experiment`: faults from outside, one after the other, while jobs run; and a verdict.
//!
//! ```text
//!              ┌──────────── course: rounds ────────────┐
//!   draws ────▶│ pause · signal · wait for agreement    │◀── view ◀── events.jsonl
//!   work ─────▶└──┬──────────────────────────┬──────────┘                  ▲
//!     │ job files │ control socket           │ SIGTERM                     │
//!     ▼           ▼                          ▼                             │
//!   jobs/      `bullpen up`, a child of this process ── nodes ─────────────┘
//! ```
//!
//! The cluster is a process of its own, so that the experiment sees nothing but what anybody sees.

mod course;
mod draws;
mod error;
mod outcome;
mod progress;
mod service;
mod view;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::config::{Config, Preemption};
use protocol::printable::printable_lines;
use supervisor::owner;
use supervisor::signals::Signals;
use supervisor::start;

use crate::commands::cli::ExperimentArgs;
use crate::commands::cli::experiment::{Options, SignalArg, TargetArg};
use crate::commands::experiment::course::Course;
use crate::commands::experiment::outcome::Outcome;
use crate::commands::experiment::service::Service;
use crate::commands::experiment::view::View;
use crate::commands::failure::{Failure, INTERRUPTED};
use crate::commands::memory;
use crate::commands::private_folder;
use crate::commands::results;
use crate::commands::stderr;

pub(crate) use crate::commands::experiment::error::ExperimentError;

/// What an experiment is made of.
#[derive(Debug)]
struct Settings {
    rounds: u32,
    target: TargetArg,
    signal: SignalArg,
    every: Duration,
    /// The largest factorial.
    n: u32,
    seed: u64,
    config: Config,
    /// The nodes fail by themselves too, so that no moment need ever be quiet.
    nodes_fail: bool,
    /// The options that somebody gave, as they would be given again.
    given: Vec<String>,
}

/// Runs an experiment and prints what it comes to.
///
/// # Errors
///
/// It cannot start, was interrupted, or found that something is wrong.
pub(crate) fn run(args: &ExperimentArgs, mut signals: Signals) -> Result<(), Failure> {
    signals.handle_stops()?;
    let options = Options::of_this_process();
    let settings = Settings::of(args, &options)?;
    start::check(settings.config.nodes)?;
    owner::give_up_capabilities()?;
    if let Some(report) = &args.report {
        fs::create_dir_all(report).map_err(|error| ExperimentError::report(report, error))?;
    }
    let folder = private_folder::make()?;
    let run_dir = run_dir(args, folder.path())?;
    stderr::say(&format!("{}; seed {}", settings.title(), settings.seed));
    let view = View::new(&run_dir.join(node::event_log::FILE_NAME));
    let cluster = Service::start(folder.path(), &run_dir, settings.seed, options.of_cluster())?;
    let course = Course::new(&settings, &mut signals, view, cluster).run()?;
    let missing = course.missing.as_ref();
    let cannot_tell = missing.map(|missing| missing.failure(folder.path(), &run_dir));
    let outcome = Outcome::of(&settings, course);
    let reported = match &args.report {
        Some(report) => outcome.write(report, &run_dir),
        None => Ok(()),
    };
    private_folder::remove(folder);
    // What is left is to print, and a reader may be slow.
    let interrupted = signals.exit_at_once(INTERRUPTED) || outcome.is_interrupted();
    results::say(&if args.json {
        outcome.json()
    } else {
        outcome.table()
    })?;
    conclude(&settings, &outcome, interrupted, cannot_tell, reported)
}

/// What the command fails with, if it does: its exit code tells of the worst. That there is no report
/// is told in any case.
fn conclude(
    settings: &Settings,
    outcome: &Outcome,
    interrupted: bool,
    cannot_tell: Option<ExperimentError>,
    reported: Result<(), ExperimentError>,
) -> Result<(), Failure> {
    let worse = if let Some(left) = outcome.left() {
        ExperimentError::Left(left.to_owned())
    } else if interrupted {
        ExperimentError::Interrupted {
            rounds: outcome.rounds(),
            asked: settings.rounds,
        }
    } else if outcome.violations() > 0 {
        ExperimentError::Unsound {
            violations: outcome.violations(),
            again: settings.again(),
        }
    } else if let Some(error) = cannot_tell {
        error
    } else {
        return Ok(reported?);
    };
    if let Err(error) = reported {
        stderr::say(&printable_lines(&error.to_string()));
    }
    Err(worse.into())
}

/// An absolute path, since the cluster need not be where this process is.
fn run_dir(args: &ExperimentArgs, folder: &Path) -> Result<PathBuf, ExperimentError> {
    let Some(named) = &args.run_dir else {
        return Ok(folder.join("run"));
    };
    std::path::absolute(named).map_err(|error| ExperimentError::System {
        what: "find the run directory",
        error,
    })
}

impl Settings {
    fn of(args: &ExperimentArgs, options: &Options) -> Result<Settings, Failure> {
        let mut config = args.cluster.config(true)?;
        memory::limit(&mut config, args.cluster.asked_max_n())?;
        if args.n > config.max_n {
            return Err(ExperimentError::TooLarge {
                n: args.n,
                max_n: config.max_n,
            }
            .into());
        }
        let given = options.given().into_iter();
        Ok(Settings {
            rounds: args.rounds,
            target: args.target,
            signal: args.signal,
            every: args.every,
            n: args.n,
            seed: args.cluster.seed().unwrap_or_else(rand::random),
            nodes_fail: args.cluster.faults().is_some(),
            config,
            given: given
                .map(|option| option.to_string_lossy().into_owned())
                .collect(),
        })
    }

    fn title(&self) -> String {
        let Settings {
            rounds,
            signal,
            target,
            config,
            ..
        } = self;
        let rounds = match rounds {
            1 => "1 round".to_owned(),
            rounds => format!("{rounds} rounds"),
        };
        format!("{rounds} of {signal} to {target}, {} nodes", config.nodes)
    }

    fn highest_coordinates(&self) -> bool {
        self.config.preemption != Preemption::Never
    }

    /// The command that draws the same faults.
    fn again(&self) -> String {
        let words = ["bullpen", "experiment"].map(str::to_owned).into_iter();
        let given = self.given.iter().cloned();
        let words = words.chain(given).chain([format!("--seed={}", self.seed)]);
        words.collect::<Vec<String>>().join(" ")
    }
}
