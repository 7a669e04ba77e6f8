//! The command line.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::batch::{Summary, batch};
use crate::model::{self, Bounds};
use crate::run::{run, run_logged};

/// Entries of the trace that are shown of a violation.
const SHOWN: usize = 150;

/// Runs whole clusters in virtual time, one for each seed, and checks what must always hold.
#[derive(Debug, Parser)]
#[command(name = "simulation", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "S", default_value_t = 0)]
    first_seed: u64,
    /// Run this seed alone.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// Print the whole trace of the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Run it as the tests of the verdict do, in which processes are kept from their event log.
    #[arg(long, value_name = "I", requires = "seed")]
    interleaving: Option<u64>,
    /// Go on until so many seeds have found a violation.
    #[arg(long, value_name = "N", default_value_t = 1)]
    violations: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks every order of events of a small cluster: within these bounds, or, if none are given,
    /// within several that take minutes.
    Model {
        #[command(flatten)]
        bounds: Option<Bounds>,
    },
}

impl Cli {
    /// Does what was asked for; fails if a property was violated or a situation never reached.
    pub fn execute(&self) -> ExitCode {
        match (&self.command, self.seed) {
            (Some(Command::Model { bounds }), _) => check(bounds.as_ref()),
            (None, Some(seed)) => self.one(seed),
            (None, None) => self.many(),
        }
    }

    fn one(&self, seed: u64) -> ExitCode {
        say_seed_on_panic();
        let outcome = match self.interleaving {
            Some(interleaving) => run_logged(seed, interleaving, true).outcome,
            None => run(seed, true),
        };
        if self.trace {
            print!("{}", outcome.record.listing(None, true));
        }
        println!(
            "seed {seed}: {} faults, {} steps, {:?} of virtual time, well {:?} after the last fault",
            outcome.faults, outcome.steps, outcome.lasted, outcome.healed_in
        );
        println!("{}", outcome.reached);
        let Some(violation) = outcome.violation else {
            return ExitCode::SUCCESS;
        };
        if !self.trace {
            print!("{}", outcome.record.listing(Some(SHOWN), false));
        }
        tell(seed, &violation.to_string());
        ExitCode::FAILURE
    }

    fn many(&self) -> ExitCode {
        say_seed_on_panic();
        let summary = batch(self.first_seed, self.seeds, self.violations);
        for (seed, violation) in &summary.violations {
            if summary.violations.len() == 1 {
                print!("{}", run(*seed, true).record.listing(Some(SHOWN), false));
            }
            tell(*seed, &violation.to_string());
        }
        print(&summary);
        let lacking = summary.reached.lacking();
        if !summary.violations.is_empty() {
            return ExitCode::FAILURE;
        }
        if !lacking.is_empty() {
            println!("never reached: {}", lacking.join(", "));
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }
}

fn check(bounds: Option<&Bounds>) -> ExitCode {
    let searches = bounds.map_or_else(model::standard, |bounds| vec![bounds.clone()]);
    let mut unreached: Option<BTreeSet<&str>> = None;
    for search in &searches {
        let report = model::check(search);
        println!("{report}");
        if !report.violated().is_empty() {
            return ExitCode::FAILURE;
        }
        let here = BTreeSet::from_iter(report.unreached());
        unreached = Some(match unreached {
            Some(before) => &before & &here,
            None => here,
        });
    }
    let unreached = Vec::from_iter(unreached.unwrap_or_default());
    if bounds.is_none() && !unreached.is_empty() {
        println!("never reached: {}", unreached.join(", "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn tell(seed: u64, violation: &str) {
    println!("VIOLATION with seed {seed}: {violation}");
    println!("replay: {}", replay(seed));
}

fn replay(seed: u64) -> String {
    format!("cargo run --release -p simulation -- --seed {seed} --trace")
}

fn print(summary: &Summary) {
    println!(
        "{} seeds in {:.1?}: {:.0} a second, {:.0} a minute; {} faults, {} steps, {:.0?} of virtual time",
        summary.seeds,
        summary.took,
        summary.pace(),
        summary.pace() * 60.0,
        summary.faults,
        summary.steps,
        summary.lasted
    );
    println!("reached: {}", summary.reached);
    println!(
        "{} of {} seeds took over in mid-job; the slowest, {}, was well {:?} after its last fault; {} violations",
        summary.with_takeover,
        summary.seeds,
        summary.slowest.1,
        summary.slowest.0,
        summary.violations.len()
    );
}

/// A panic is a violation too, and ends the process: it must not take the seed with it.
fn say_seed_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        if let Some(seed) = crate::run::current_seed() {
            tell(seed, "a panic");
        }
    }));
}
