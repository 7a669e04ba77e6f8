//! `bullpen up`: the service.

use humantime::format_duration;

use crate::cli::UpArgs;
use crate::failure::Failure;
use crate::jobs_dir::JobsDir;
use crate::launch::Launch;
use crate::memory;
use crate::run_dir::{self, RunDir};
use crate::signals::Signals;
use crate::supervise::{Supervisor, Turn};

/// Supervises a cluster on a jobs directory until a signal asks to stop.
///
/// # Errors
///
/// Why it cannot start, or cannot go on.
pub(crate) fn run(args: &UpArgs) -> Result<(), Failure> {
    let mut config = args.cluster.config(true)?;
    config.max_n = memory::max_n(args.cluster.asked_max_n(), config.nodes)?;
    let mut signals = Signals::install().map_err(Failure::Signals)?;
    let jobs = JobsDir::open(&args.jobs)?;
    let run_dir = RunDir::open(&run_dir::chosen(args.run_dir.as_deref()))?;
    let faults = args.cluster.faults();
    if let Some(faults) = &faults {
        tracing::info!(
            "faults are injected; --seed {} repeats the draws",
            faults.seed
        );
    }
    tracing::info!(
        "{} nodes; drop job files into {}; run directory {}; delay {}, heartbeat {}, suspected after {}",
        config.nodes,
        jobs.path().display(),
        run_dir.path().display(),
        format_duration(config.delay),
        format_duration(config.heartbeat),
        format_duration(config.suspect_after)
    );
    let launch = Launch {
        config,
        run_dir: run_dir.path().to_owned(),
        jobs: jobs.path().to_owned(),
        inbox: jobs.watch(),
        log_format: args.cluster.log_format,
        faults,
    };
    let mut supervisor = Supervisor::new(launch, args.cluster.hints(), &mut signals)?;
    while supervisor.turn(None)? == Turn::Running {}
    tracing::info!("stopped");
    Ok(())
}
