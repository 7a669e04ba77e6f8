//! The course of an experiment: start, rounds, the end of all work, and the end of the cluster.

mod faults;
mod missing;
pub(super) mod waits;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use laboratory::log::{Event, Log, now_ns};
use laboratory::verdict::{Run, Violation, Zombies};
use nix::sys::signal::Signal;
use supervisor::reap::Ending;
use supervisor::signals::Signals;
use supervisor::supervise::LEFT;

pub(super) use self::missing::Missing;
use self::waits::{LOOK_EVERY, Stop};
use super::draws::Draws;
use super::progress::RoundsBar;
use super::service::Service;
use super::view::View;
use super::work::Work;
use super::{ExperimentError, Settings};
use crate::commands::failure::Failure;

/// L1: the nodes agree within this after a fault. A node that dies again and again is started
/// again after a second and a half; the rest is for a busy machine.
const AGREE_WITHIN: Duration = Duration::from_secs(15);
/// L1, where nodes fail by themselves too and need not agree in the end: there is somebody whom the
/// next fault is meant for within this.
const THERE_WITHIN: Duration = Duration::from_secs(60);
/// L2: some operation or job is finished within this, while there is work and no fault.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// L4: the grace, the time that is given to what is killed then, and a moment for a busy machine.
const END_WITHIN: Duration = Duration::from_secs(8);
/// How long nodes may outlive a supervisor that was killed: one that waits for a slow disk dies when
/// the disk has answered.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// An experiment under way.
pub(super) struct Course<'a> {
    settings: &'a Settings,
    signals: &'a mut Signals,
    cluster: Service,
    zombies: Zombies,
    view: View,
    work: Work,
    /// Whether jobs are still to be dropped.
    is_working: bool,
    /// When the supervisor is asked next whether it could write all.
    ask_at: Instant,
    progress: RoundsBar,
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
    /// What would not end and was left, in one sentence.
    pub(super) left: Option<String>,
    /// What could not be written: the lack of an event shows nothing then.
    pub(super) missing: Option<Missing>,
    /// The run, with its whole log.
    pub(super) run: Run,
}

impl<'a> Course<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        signals: &'a mut Signals,
        view: View,
        cluster: Service,
    ) -> Course<'a> {
        Course {
            zombies: Zombies::watch(cluster.pid()),
            view,
            work: Work::new(cluster.jobs(), settings.n, settings.seed),
            is_working: false,
            ask_at: Instant::now(),
            progress: RoundsBar::new(settings.rounds),
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
        let mut settled = None;
        match self.start().and_then(|()| self.rounds()) {
            Ok(run) => settled = run,
            Err(Stop::Interrupted) => self.ended.interrupted = true,
            Err(Stop::Missing(missing)) => self.ended.missing = Some(missing),
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Gone(ending)) => {
                let message = format!("the supervisor {ending} in the middle of the experiment");
                self.ended
                    .violations
                    .push(Violation::new("L1", message, &[]));
            }
        }
        // A later look might fall into a moment in which a busy machine makes a node doubt again.
        let mut run = settled.unwrap_or_else(|| self.snapshot());
        // Asked after the log was read: of what it lacks, this tells.
        self.ended.missing = self.ended.missing.take().or_else(|| self.missing());
        run.cut_short = self.ended.interrupted || self.ended.missing.is_some();
        // How it stood then; a line of that time may be written still.
        if !run.cut_short {
            self.ended.violations.extend(run.judge_end());
        }
        self.end()?;
        run.log = Log::read(&self.log_path());
        let missing = self.ended.missing.take();
        self.ended.missing = missing.or_else(|| self.missing_in_the_end(run.log.lost));
        if let Some(Missing::Events { count, .. }) = &self.ended.missing {
            run.log.lost = run.log.lost.max(*count).max(1);
        }
        let survivors = self.await_last(&run);
        self.ended.violations.extend(survivors);
        self.ended.violations.extend(self.zombies.end());
        run.dropped = self.work.dropped().to_vec();
        self.ended.run = run;
        Ok(self.ended)
    }

    fn start(&mut self) -> Result<(), Stop> {
        match self.await_agreement() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(ExperimentError::Start(self.cluster.last_words()).into()),
            // By itself: whoever kills it makes no cluster that cannot start.
            Err(Stop::Gone(Ending::Code(_))) => {
                Err(ExperimentError::Start(self.cluster.last_words()).into())
            }
            Err(stop) => Err(stop),
        }
    }

    /// The rounds, and the time that the work takes that is left then. Ends at the first fault that
    /// the cluster does not recover from. Gives the run as it was when all had settled, if it has.
    fn rounds(&mut self) -> Result<Option<Run>, Stop> {
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
            if !self.fault(draw)? {
                let round = self.ended.rounds + 1;
                let message = format!(
                    "nobody was there within {THERE_WITHIN:?} for the fault of round {round}"
                );
                self.ended
                    .violations
                    .push(Violation::new("L1", message, &[]));
                break;
            }
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

    /// Waits until all jobs have ended, and all is said: the run as it is then, if it comes to that.
    fn settle(&mut self) -> Result<Option<Run>, Stop> {
        self.view.worked_at = self.signals.now();
        let on_disk = Run {
            jobs: self.cluster.jobs().to_owned(),
            ..Run::default()
        };
        while !on_disk.is_idle() {
            if self.signals.now() > self.view.worked_at + WORK_WITHIN {
                let message = format!("no work was finished within {WORK_WITHIN:?}");
                self.ended
                    .violations
                    .push(Violation::new("L2", message, &[]));
                return Ok(None);
            }
            self.pass(LOOK_EVERY * 10)?;
        }
        self.await_agreement()?;
        let end = self.signals.now() + AGREE_WITHIN;
        loop {
            let run = self.snapshot();
            if run.has_settled() {
                return Ok(Some(run));
            }
            if self.signals.now() >= end {
                return Ok(None);
            }
            self.pass(LOOK_EVERY * 10)?;
        }
    }

    /// Ends the cluster, and waits until it is gone. Asked again, it ends at once.
    fn end(&mut self) -> Result<(), Failure> {
        let limit = self.signals.now() + END_WITHIN;
        self.cluster.signal(Signal::SIGTERM);
        loop {
            let failed = |error| ExperimentError::System {
                what: "wait for the cluster",
                error,
            };
            if let Some(ending) = self.cluster.ended().map_err(failed)? {
                if ending == Ending::Code(LEFT.into()) {
                    self.ended.left = Some(self.cluster.last_words());
                }
                if ending != Ending::Code(0) && self.ended.violations.is_empty() {
                    let message = format!("asked to stop, the supervisor {ending}");
                    self.ended
                        .violations
                        .push(Violation::new("L4", message, &[]));
                }
                return Ok(());
            }
            if self.signals.now() >= limit {
                let message =
                    format!("asked to stop, the cluster has not ended within {END_WITHIN:?}");
                self.ended
                    .violations
                    .push(Violation::new("L4", message, &[]));
                self.ended.left = self.cluster.kill();
                return Ok(());
            }
            if self.is_interrupted()? {
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
            operation_deadline: Some(self.settings.config.operation_deadline),
            dropped: Vec::new(),
            left_in_inbox: Vec::new(),
            cut_short: false,
            is_shared: false,
        }
    }

    fn log_path(&self) -> PathBuf {
        self.cluster.run_dir().join(node::event_log::FILE_NAME)
    }
}
