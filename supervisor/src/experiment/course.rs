//! The course of an experiment: start, rounds, the end of all work, and the end of the cluster.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use laboratory::log::{Event, Log, now_ns};
use laboratory::verdict::{Run, Violation, Zombies};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use protocol::id::NodeId;

use super::cluster::Cluster;
use super::draws::{Draw, Draws};
use super::progress::Progress;
use super::view::View;
use super::work::Work;
use super::{ExperimentError, Settings};
use crate::cli::experiment::TargetArg;
use crate::control::{Answer, Request, Signalled, Target, client};
use crate::failure::Failure;
use crate::reap::Ending;
use crate::signals::Signals;

/// How often it is looked whether something has come.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// L1: the nodes agree within this after a fault. A node that dies again and again is started
/// again after a second and a half; the rest is for a busy machine.
const AGREE_WITHIN: Duration = Duration::from_secs(15);
/// L2: some operation or job is finished within this, while there is work and no fault.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// L4: the grace, and a moment for a busy machine.
const END_WITHIN: Duration = Duration::from_secs(6);
/// How long nodes may outlive a supervisor that was killed, on a busy machine.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// An experiment under way.
pub(super) struct Course<'a> {
    settings: &'a Settings,
    signals: &'a mut Signals,
    cluster: Cluster,
    zombies: Zombies,
    view: View,
    work: Work,
    /// Whether jobs are still to be dropped.
    is_working: bool,
    progress: Progress,
    ended: Ended,
}

/// What is known of an experiment when its cluster is gone.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The rounds that were completed.
    pub(super) rounds: usize,
    /// How often each signal was sent to a node.
    pub(super) kills: usize,
    pub(super) stops: usize,
    /// What was seen to be wrong meanwhile.
    pub(super) violations: Vec<Violation>,
    /// A signal ended it.
    pub(super) interrupted: bool,
    /// The run, with its whole log.
    pub(super) run: Run,
    /// The jobs that were dropped.
    pub(super) dropped: Vec<String>,
}

/// Why a wait was not waited out.
enum Stop {
    /// Somebody asked for the end.
    Interrupted,
    /// The cluster has ended, and nobody had asked it to.
    Gone(Ending),
    /// The experiment cannot go on.
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for Stop {
    fn from(error: T) -> Stop {
        Stop::Failed(error.into())
    }
}

impl<'a> Course<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        signals: &'a mut Signals,
        view: View,
        cluster: Cluster,
    ) -> Course<'a> {
        Course {
            zombies: Zombies::watch(cluster.pid()),
            view,
            work: Work::new(cluster.jobs(), settings.n, settings.seed),
            is_working: false,
            progress: Progress::new(settings.rounds),
            ended: Ended::default(),
            settings,
            signals,
            cluster,
        }
    }

    /// All of it. The cluster is gone then.
    ///
    /// # Errors
    ///
    /// It cannot start, or cannot be observed.
    pub(super) fn run(mut self) -> Result<Ended, Failure> {
        match self.start().and_then(|()| self.rounds()) {
            Ok(()) => {}
            Err(Stop::Interrupted) => self.ended.interrupted = true,
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Gone(ending)) => {
                let message = format!("the supervisor {ending} in the middle of the experiment");
                self.ended
                    .violations
                    .push(Violation::new("L1", message, &[]));
            }
        }
        let mut run = self.snapshot();
        run.cut_short = self.ended.interrupted;
        // How it stood then; a line of that time may be written still.
        if !run.cut_short {
            self.ended.violations.extend(run.judge_end());
        }
        self.end()?;
        run.log = Log::read(&self.log_path());
        let survivors = self.await_last(&run);
        self.ended.violations.extend(survivors);
        self.ended.violations.extend(self.zombies.end());
        self.ended.run = run;
        self.ended.dropped = self.work.dropped().to_vec();
        Ok(self.ended)
    }

    fn start(&mut self) -> Result<(), Stop> {
        match self.await_agreement() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(ExperimentError::Start(self.cluster.last_words()).into()),
            Err(Stop::Gone(_)) => Err(ExperimentError::Start(self.cluster.last_words()).into()),
            Err(stop) => Err(stop),
        }
    }

    /// The rounds, and the time that the work takes that is left then. Ends at the first fault that
    /// the cluster does not recover from.
    fn rounds(&mut self) -> Result<(), Stop> {
        let Settings {
            seed,
            signal,
            every,
            config,
            ..
        } = self.settings;
        let mut draws = Draws::new(*seed, *signal, *every, config.suspect_after);
        self.is_working = true;
        while self.ended.rounds < self.settings.rounds as usize {
            let draw = draws.next();
            self.pass(draw.pause)?;
            self.fault(draw)?;
            if let Some(dissent) = self.await_agreement()?
                && !self.settings.nodes_fail
            {
                let message = format!(
                    "not within {AGREE_WITHIN:?} after the fault of round {}: {}",
                    self.ended.rounds + 1,
                    dissent.message
                );
                let events: Vec<&Event> = dissent.events.iter().collect();
                let violation = Violation::new(dissent.invariant, message, &events);
                self.ended.violations.push(violation);
                break;
            }
            self.ended.rounds += 1;
        }
        self.is_working = false;
        self.progress.say("waiting for the jobs that are left");
        self.settle()
    }

    /// Sends a signal to whom it is meant for; a stop is followed by its end.
    fn fault(&mut self, draw: Draw) -> Result<(), Stop> {
        let since = now_ns();
        let victims = self.strike(draw)?;
        let happened = |name: &'static str, pid: i32| {
            move |event: &Event| {
                event.process().as_raw() == pid
                    && (event.name() == name || event.name() == "node_exited")
            }
        };
        let name = match draw.signal {
            Signal::SIGKILL => "node_exited",
            _ => "node_stopped",
        };
        for victim in &victims {
            self.await_turn(since, AGREE_WITHIN, happened(name, victim.pid))?;
        }
        if draw.signal == Signal::SIGKILL {
            self.ended.kills += victims.len();
            return Ok(());
        }
        self.ended.stops += victims.len();
        let coordinated = self.view.beliefs.coordinator();
        if draw.until_replaced && victims.len() < usize::from(self.settings.config.nodes) {
            // Of a stopped worker nothing comes, so the time is limited.
            let is_other =
                move |event: &Event| event.name() == "acting" && Some(event.node()) != coordinated;
            self.await_turn(since, self.settings.config.suspect_after * 2, is_other)?;
        }
        self.pass(draw.stop)?;
        let since = now_ns();
        for victim in &victims {
            // It may have died meanwhile, by a fault of its own.
            self.send(vec![Target::Node(victim.id)], Signal::SIGCONT)?;
            self.await_turn(since, AGREE_WITHIN, happened("node_continued", victim.pid))?;
        }
        Ok(())
    }

    /// Sends the signal, as soon as there is somebody whom it is meant for.
    fn strike(&mut self, draw: Draw) -> Result<Vec<Signalled>, Stop> {
        loop {
            let targets = self.targets(draw);
            if let Some(reached) = self.send(targets, draw.signal)? {
                return Ok(reached);
            }
            self.pass(LOOK_EVERY)?;
        }
    }

    fn targets(&self, draw: Draw) -> Vec<Target> {
        let coordinator = self.view.beliefs.coordinator();
        let one =
            |ids: Vec<u8>| Vec::from_iter(draw.one_of(&ids).map(|id| Target::Node(NodeId(id))));
        let all = 0..self.settings.config.nodes;
        match self.settings.target {
            TargetArg::Coordinator => vec![Target::Coordinator],
            TargetArg::All => vec![Target::All],
            TargetArg::Any => one(all.collect()),
            TargetArg::Worker => one(all.filter(|&id| Some(id.into()) != coordinator).collect()),
        }
    }

    /// Lets the supervisor send a signal; nothing if there is nobody to get it now.
    fn send(
        &mut self,
        targets: Vec<Target>,
        signal: Signal,
    ) -> Result<Option<Vec<Signalled>>, Stop> {
        let request = Request::Signal {
            targets,
            signal: signal.as_str().to_owned(),
        };
        match client::ask(self.cluster.run_dir(), &request) {
            Ok(Answer::Signalled(reached)) => Ok(Some(reached)),
            Ok(Answer::Nothing(_)) => Ok(None),
            Ok(other) => Err(Failure::unexpected(&other).into()),
            Err(error) => {
                // It may have ended just now, which says more.
                self.look()?;
                Err(error.into())
            }
        }
    }

    /// Waits until every node runs and all agree on a coordinator. Else says what is lacking.
    fn await_agreement(&mut self) -> Result<Option<Violation>, Stop> {
        let nodes = self.settings.config.nodes;
        let highest_coordinates = self.settings.highest_coordinates();
        let agreed = |course: &Course<'_>| {
            let beliefs = &course.view.beliefs;
            let all_run = beliefs.running().count() == usize::from(nodes);
            all_run && beliefs.dissent(highest_coordinates).is_none()
        };
        if self.await_that(AGREE_WITHIN, agreed)? {
            return Ok(None);
        }
        let lacking = || Violation::new("L1", "a node is not started again", &[]);
        let dissent = self.view.beliefs.dissent(highest_coordinates);
        Ok(Some(dissent.unwrap_or_else(lacking)))
    }

    /// Waits until all jobs have ended, and all is said.
    fn settle(&mut self) -> Result<(), Stop> {
        self.view.worked_at = Instant::now();
        let on_disk = Run {
            jobs: self.cluster.jobs().to_owned(),
            ..Run::default()
        };
        while !on_disk.is_idle() {
            if self.view.worked_at.elapsed() > WORK_WITHIN {
                let message = format!("no work was finished within {WORK_WITHIN:?}");
                self.ended
                    .violations
                    .push(Violation::new("L2", message, &[]));
                return Ok(());
            }
            self.pass(LOOK_EVERY * 10)?;
        }
        self.await_agreement()?;
        let end = Instant::now() + AGREE_WITHIN;
        while !self.snapshot().has_settled() && Instant::now() < end {
            self.pass(LOOK_EVERY * 10)?;
        }
        Ok(())
    }

    /// Ends the cluster, and waits until it is gone. Asked again, it ends at once.
    fn end(&mut self) -> Result<(), Failure> {
        let limit = Instant::now() + END_WITHIN;
        self.cluster.signal(Signal::SIGTERM);
        loop {
            let failed = |error| ExperimentError::System {
                what: "wait for the cluster",
                error,
            };
            if let Some(ending) = self.cluster.ended().map_err(failed)? {
                if ending != Ending::Code(0) && self.ended.violations.is_empty() {
                    let message = format!("asked to stop, the supervisor {ending}");
                    self.ended
                        .violations
                        .push(Violation::new("L4", message, &[]));
                }
                return Ok(());
            }
            if Instant::now() >= limit {
                let message =
                    format!("asked to stop, the cluster has not ended within {END_WITHIN:?}");
                self.ended
                    .violations
                    .push(Violation::new("L4", message, &[]));
                return Ok(());
            }
            if self.signals.drain() > 0 {
                self.ended.interrupted = true;
                self.cluster.signal(Signal::SIGTERM);
            }
            self.sleep(LOOK_EVERY);
        }
    }

    /// Waits until the last node is gone: of a supervisor that was killed they learn a moment later.
    fn await_last(&mut self, run: &Run) -> Vec<Violation> {
        let limit = Instant::now() + LAST_WITHIN;
        loop {
            let survivors = run.judge_survivors(self.cluster.run_dir());
            if survivors.is_empty() || Instant::now() >= limit {
                return survivors;
            }
            self.sleep(LOOK_EVERY);
        }
    }

    /// The run up to now. Its whole log is read.
    fn snapshot(&self) -> Run {
        let end_ns = now_ns();
        Run {
            log: Log::read(&self.log_path()),
            jobs: self.cluster.jobs().to_owned(),
            end_ns,
            highest_coordinates: self.settings.highest_coordinates(),
            left_in_inbox: Vec::new(),
            cut_short: false,
        }
    }

    fn log_path(&self) -> PathBuf {
        self.cluster.run_dir().join(node::event_log::FILE_NAME)
    }

    fn await_turn(
        &mut self,
        since: u64,
        limit: Duration,
        is_meant: impl Fn(&Event) -> bool,
    ) -> Result<bool, Stop> {
        self.await_that(limit, |course| {
            course.view.turn_since(since, &is_meant).is_some()
        })
    }

    /// Waits for something; false if it does not come in time.
    fn await_that(
        &mut self,
        limit: Duration,
        has_come: impl Fn(&Course<'_>) -> bool,
    ) -> Result<bool, Stop> {
        let end = Instant::now() + limit;
        loop {
            self.look()?;
            if has_come(self) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            self.sleep(LOOK_EVERY);
        }
    }

    /// Lets time pass, in which everything goes on.
    fn pass(&mut self, time: Duration) -> Result<(), Stop> {
        let end = Instant::now() + time;
        loop {
            self.look()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.sleep(left.min(LOOK_EVERY));
        }
    }

    /// Sees what has happened, and drops the jobs that are lacking.
    fn look(&mut self) -> Result<(), Stop> {
        if self.signals.drain() > 0 {
            return Err(Stop::Interrupted);
        }
        let failed = |what| move |error| ExperimentError::System { what, error };
        let ended = self.cluster.ended();
        if let Some(ending) = ended.map_err(failed("wait for the cluster"))? {
            return Err(Stop::Gone(ending));
        }
        self.view.refresh().map_err(failed("read the event log"))?;
        if self.is_working {
            self.work.top_up()?;
        }
        let (dropped, done) = (self.work.dropped().len(), self.view.done);
        self.progress.show(self.ended.rounds, || {
            format!("{done} of {dropped} jobs done")
        });
        Ok(())
    }

    /// Sleeps, at most until a signal comes.
    fn sleep(&self, time: Duration) {
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        // Whole milliseconds, rounded up.
        let timeout =
            PollTimeout::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(PollTimeout::MAX);
        let polled = poll(&mut fds, timeout);
        debug_assert!(matches!(polled, Ok(_) | Err(Errno::EINTR)), "{polled:?}");
    }
}
