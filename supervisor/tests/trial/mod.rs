//! A cluster on trial: traced from its start, judged at its end.

pub(crate) mod draws;
pub(crate) mod dropping;
pub(crate) mod waiting;

use std::ops::Deref;
use std::time::Duration;

use laboratory::log::Event;
pub(crate) use laboratory::log::now_ns;
use laboratory::processes::is_node_of;
use laboratory::verdict::{Run, Violation, Zombies};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::harness::{Cluster, Home, PATIENCE, eventually};

/// The grace of a shutdown, and a moment for a busy machine.
const GRACE: Duration = Duration::from_secs(6);
/// A process that is killed while it waits for a slow disk dies when the disk has answered.
const DEATH: Duration = Duration::from_secs(5);

/// The default of `--operation-deadline`.
const OPERATION_DEADLINE: Duration = Duration::from_secs(60);

/// A cluster whose test ends with a verdict.
pub(crate) struct Trial {
    pub(crate) cluster: Cluster,
    /// Names in the jobs directory that are right to stay there.
    pub(crate) left_in_inbox: Vec<String>,
    /// As asked for; not known of a cluster that was started elsewhere.
    operation_deadline: Option<Duration>,
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
    /// Starts `bullpen up` on new directories and waits until all follow the highest node.
    pub(crate) fn start(args: &[&str]) -> Trial {
        let trial = Trial::begin(Home::new(), args);
        trial.await_agreement();
        trial
    }

    /// Starts `bullpen up` on prepared directories, and waits for nothing.
    pub(crate) fn begin(home: Home, args: &[&str]) -> Trial {
        let traced = [args, &["--trace-operations"]].concat();
        let mut trial = Trial::of(home.start(&traced));
        let asked = args
            .windows(2)
            .find(|pair| pair[0] == "--operation-deadline");
        let deadline = asked.map(|pair| humantime::parse_duration(pair[1]).unwrap());
        trial.operation_deadline = deadline.or(Some(OPERATION_DEADLINE));
        trial
    }

    /// Puts a cluster on trial that was started with `--trace-operations`.
    pub(crate) fn of(cluster: Cluster) -> Trial {
        Trial {
            zombies: Zombies::watch(cluster.pid()),
            cluster,
            operation_deadline: None,
            left_in_inbox: Vec::new(),
            highest_coordinates: true,
        }
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
            operation_deadline: self.operation_deadline,
            dropped: Vec::new(),
            left_in_inbox: self.left_in_inbox.clone(),
            cut_short: false,
            is_shared: false,
        }
    }

    /// Waits until every file that was dropped has ended and the nodes agree on a coordinator;
    /// gives the run as it was then.
    pub(crate) fn settle(&self, deadline: Duration) -> Run {
        let directories_alone = Run {
            jobs: self.home.jobs(),
            left_in_inbox: self.left_in_inbox.clone(),
            ..Run::default()
        };
        eventually(deadline, "all jobs end", || {
            directories_alone.is_idle().then_some(())
        });
        eventually(PATIENCE, "all is said, and the nodes agree", || {
            let run = self.run();
            run.has_settled().then_some(run)
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
        let (nodes, run_dir) = (self.node_pids(), self.home.run_dir());
        self.cluster.signal(signal);
        let status = self.cluster.await_exit(GRACE);
        if signal == Signal::SIGTERM {
            assert_eq!(status.code(), Some(0));
        } else {
            // They learn of it a moment later.
            eventually(DEATH, "the nodes end", || {
                let left = nodes.iter().any(|&pid| is_node_of(&run_dir, pid));
                (!left).then_some(())
            });
        }
        // How it stood then; a line of that time may have been written since.
        let mut violations = run.judge_end();
        run.log = self.log();
        violations.extend(run.judge_course());
        violations.extend(run.judge_survivors(&self.home.run_dir()));
        violations.extend(self.zombies.end());
        assert_sound(&violations);
    }

    /// Every process that this run has started.
    fn node_pids(&self) -> Vec<Pid> {
        let log = self.log();
        log.named("node_spawned").map(Event::process).collect()
    }
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
