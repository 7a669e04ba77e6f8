//! A cluster on trial: traced from its start, judged at its end.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test binary uses a part of the trial, and none uses all of it"
)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

pub(crate) mod dropping;
pub(crate) mod made;
mod waiting;

use std::fs;
use std::ops::Deref;
use std::time::Duration;

use laboratory::job_files;
use laboratory::log::{Event, Log};
use laboratory::verdict::{Run, Violation, Zombies};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::harness::{Cluster, Home, PATIENCE, eventually, is_alive};

/// The grace of a shutdown, and a moment for a busy machine.
const GRACE: Duration = Duration::from_secs(6);

/// A cluster whose test ends with a verdict.
pub(crate) struct Trial {
    pub(crate) cluster: Cluster,
    /// Names in the jobs directory that are right to stay there.
    pub(crate) left_in_inbox: Vec<String>,
    /// Not so with `--preemption never`.
    pub(crate) highest_coordinates: bool,
    zombies: Zombies,
}

impl Deref for Trial {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Trial {
    /// Starts `bullpen up` on new directories and waits until a coordinator acts.
    pub(crate) fn start(args: &[&str]) -> Trial {
        let trial = Trial::begin(Home::new(), args);
        trial.await_coordinator();
        trial
    }

    /// Starts `bullpen up` on prepared directories, and waits for nothing.
    pub(crate) fn begin(home: Home, args: &[&str]) -> Trial {
        let traced = [args, &["--trace-operations"]].concat();
        Trial::of(home.start(&traced))
    }

    /// Puts a cluster on trial that was started with `--trace-operations`.
    pub(crate) fn of(cluster: Cluster) -> Trial {
        Trial {
            zombies: Zombies::watch(cluster.pid()),
            cluster,
            left_in_inbox: Vec::new(),
            highest_coordinates: true,
        }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Log {
        Log::read(&self.home.run_dir().join("events.jsonl"))
    }

    /// The run up to now.
    pub(crate) fn run(&self) -> Run {
        // What happens while the log is read may be in it.
        let end_ns = now_ns();
        Run {
            log: self.log(),
            jobs: self.home.jobs(),
            end_ns,
            highest_coordinates: self.highest_coordinates,
            left_in_inbox: self.left_in_inbox.clone(),
        }
    }

    /// Waits until every file that was dropped has ended and the nodes agree on a coordinator;
    /// gives the run as it was then.
    pub(crate) fn settle(&self, deadline: Duration) -> Run {
        eventually(deadline, "all jobs end", || {
            let jobs = self.home.jobs();
            let waiting = |name: &String| {
                let known = matches!(name.as_str(), "running" | "done" | "failed");
                !known && !self.left_in_inbox.contains(name)
            };
            let idle = !job_files::names(&jobs).iter().any(waiting)
                && job_files::names(&jobs.join("running")).is_empty();
            idle.then_some(())
        });
        eventually(PATIENCE, "all is said, and the nodes agree", || {
            let run = self.run();
            run.judge_settling().is_empty().then_some(run)
        })
    }

    /// Waits for the end of all work, ends the cluster with SIGTERM, and judges the run.
    pub(crate) fn conclude(self) {
        // As it was then: a node that was held back may come while this one looks again.
        let run = self.settle(PATIENCE);
        self.end(run, Signal::SIGTERM);
    }

    /// Ends the cluster with a signal at once, and judges the run.
    pub(crate) fn conclude_with(self, signal: Signal) {
        let run = self.run();
        self.end(run, signal);
    }

    fn end(mut self, mut run: Run, signal: Signal) {
        let nodes = self.node_pids();
        self.cluster.signal(signal);
        let status = self.cluster.await_exit(GRACE);
        if signal == Signal::SIGTERM {
            assert_eq!(status.code(), Some(0));
        } else {
            // They learn of it a moment later.
            eventually(Duration::from_secs(1), "the nodes end", || {
                let left = nodes.iter().any(|&pid| self.is_its_node(pid));
                (!left).then_some(())
            });
        }
        // How it stood then; a line of that time may have been written since.
        let mut violations = run.judge_end();
        run.log = self.log();
        violations.extend(run.judge_course());
        for pid in self.node_pids() {
            if self.is_its_node(pid) {
                let message = format!("process {pid} outlives its supervisor");
                violations.push(Violation::new("S11", message, &[]));
            }
        }
        violations.extend(self.zombies.end());
        assert_sound(&violations);
    }

    /// Every process that this run has started.
    fn node_pids(&self) -> Vec<Pid> {
        let log = self.log();
        let pids = log.named("node_spawned").map(Event::pid);
        pids.map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()))
            .collect()
    }

    /// Whether a process lives and is a node of this cluster: its pid may be another's by now.
    fn is_its_node(&self, pid: Pid) -> bool {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let run_dir = self.home.run_dir().into_os_string().into_encoded_bytes();
        let names_it = command.windows(run_dir.len()).any(|part| part == run_dir);
        names_it && is_alive(pid)
    }
}

/// `CLOCK_MONOTONIC`, as in the log.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(now.tv_sec()).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap()
}

/// Fails the test if anything is wrong.
pub(crate) fn assert_sound(violations: &[Violation]) {
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        list.len(),
        list.join("\n")
    );
}
