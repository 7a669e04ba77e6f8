//! `bullpen up`: the service.

use std::path::Path;

use humantime::format_duration;
use nix::errno::Errno;
use supervisor::jobs_dir::{self, JobsDir};
use supervisor::launch::Launch;
use supervisor::owner::{self, Owner, OwnerError};
use supervisor::rotation::Rotation;
use supervisor::run_dir::{self, RunDir, handover};
use supervisor::signals::Signals;
use supervisor::start;
use supervisor::supervise::{Supervisor, Turn};

use crate::commands::cli::UpArgs;
use crate::commands::cli::cluster::how_to_repeat;
use crate::commands::failure::Failure;
use crate::commands::memory;

/// Supervises a cluster on a jobs directory until a signal asks to stop.
///
/// # Errors
///
/// Why it cannot start, or cannot go on.
pub(crate) fn run(args: &UpArgs, mut signals: Signals) -> Result<(), Failure> {
    signals.handle_stops()?;
    let mut config = args.cluster.config(true)?;
    start::check(config.nodes)?;
    memory::limit(&mut config, args.cluster.asked_max_n())?;
    config.accept.clone_from(&args.accept);
    config.max_text = args.max_text.as_u64();
    config.validate()?;
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    let rotation = Rotation {
        size: args.log_size.as_u64(),
        files: args.log_files,
    };
    let jobs = jobs_dir::resolve(&args.jobs)?;
    become_owner(&jobs, &run_dir)?;
    start::provide_processes(config.nodes)?;
    let jobs = JobsDir::open(&jobs)?;
    let run_dir = RunDir::open(&run_dir, rotation)?;
    let faults = args.cluster.faults();
    if let Some(faults) = &faults {
        tracing::info!("{}", how_to_repeat(faults));
    }
    tracing::info!(
        "{} nodes; drop job files into {}, names that end in .job{}; texts of up to {}; run directory {}; \
         delay {}, heartbeat {}, suspected after {}",
        config.nodes,
        jobs.path().display(),
        jobs_dir::or_match(&config.accept),
        args.max_text,
        run_dir.path().display(),
        format_duration(config.delay),
        format_duration(config.heartbeat),
        format_duration(config.suspect_after)
    );
    let launch = Launch {
        config,
        run_dir: run_dir.path().to_owned(),
        jobs: jobs.path().to_owned(),
        watch: Some(args.watch.into()),
        log_format: args.cluster.log_format,
        faults,
    };
    let hints = args.cluster.hints();
    let mut supervisor = Supervisor::new(launch, run_dir, hints, rotation, &mut signals)?;
    while supervisor.turn(None)? == Turn::Running {}
    tracing::info!("stopped");
    Ok(())
}

/// Makes root the owner of the jobs directory, to whom results belong then, and gives that user the
/// run directory. Whoever this process is: it keeps no right beyond that user's.
fn become_owner(jobs: &Path, run_dir: &Path) -> Result<(), Failure> {
    if let Some(owner) = Owner::if_not_root(jobs) {
        let not_allowed = |what| {
            let jobs = jobs.to_owned();
            move |error: Errno| OwnerError::NotAllowed {
                what,
                owner,
                jobs,
                error: error.into(),
            }
        };
        handover::make_for(owner, run_dir)?.map_err(not_allowed("give the run directory to"))?;
        owner::keep_terminal()?;
        owner.become_it().map_err(not_allowed("become"))?;
        tracing::info!(
            "working as user {}:{}, to whom {} belongs",
            owner.user,
            owner.group,
            jobs.display()
        );
    }
    Ok(owner::give_up_capabilities()?)
}
