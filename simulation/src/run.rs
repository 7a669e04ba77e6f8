//! One run: what its seed decides is done to a cluster, then everything heals, and what must come
//! to pass then does, or does not.

mod people;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use protocol::config::Config;
use protocol::file::FilePath;
use protocol::id::NodeId;
use protocol::time::Time;

use crate::checkers::coordinator_death::CoordinatorDeath;
use crate::checkers::links::Links;
use crate::checkers::sleepers::Sleepers;
use crate::checkers::whole_files::WholeFiles;
use crate::checkers::{Checkers, Violation, liveness};
use crate::cluster::Cluster;
use crate::directory::File;
use crate::event_log::{EventLog, Write};
use crate::job::Job;
use crate::reached::Reached;
use crate::record::Record;
use crate::scenario::{Deed, Scenario, Target};

/// What must come to pass after everything has healed has this long to do so.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who was kept from its office holds it so soon after.
const AFTER_DAMPING: Duration = Duration::from_secs(5);
/// It must stay so for this long: the regular looks at the directory are in it.
const STAYS: Duration = Duration::from_millis(2_500);
/// A cluster that is asked to stop has stopped by then.
const GRACE: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug)]
pub struct RunOutcome {
    /// The first thing that must not have happened.
    pub violation: Option<Violation>,
    /// What the run has been through.
    pub reached: Reached,
    /// Faults that were injected.
    pub faults: usize,
    /// Events that nodes handled.
    pub steps: u64,
    /// How long it took in virtual time.
    pub lasted: Duration,
    /// From the last fault until all was well.
    pub healed_in: Duration,
    /// What happened, if it was to be recorded.
    pub record: Record,
}

thread_local! {
    static CURRENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The seed that this thread runs at the moment.
pub fn current_seed() -> Option<u64> {
    CURRENT.get()
}

/// A run, and all that it leaves for somebody who was not there.
#[derive(Debug)]
pub struct RunArtifacts {
    /// How it ended.
    pub outcome: RunOutcome,
    /// The event log, in the order of the file.
    pub writes: Vec<Write>,
    /// The jobs directory.
    pub files: BTreeMap<FilePath, File>,
    /// The settings of the nodes.
    pub config: Config,
    /// The files that were dropped, and what was in them in the end.
    pub jobs: Vec<Job>,
    /// When the cluster was asked to end.
    pub asked_to_end: Time,
    /// It was asked in the midst of its work.
    pub stops_early: bool,
}

/// Runs a seed.
pub fn run(seed: u64, recording: bool) -> RunOutcome {
    let run = done(seed, Scenario::new(seed), EventLog::default(), recording);
    run.outcome()
}

/// Runs a seed, with all that it leaves, in one of the interleavings of its event log. What no reader of
/// these can know is left out: nobody takes texts away, no socket stands still while both of its ends run, and
/// when all die at once, the disk keeps all. The jobs are
/// small, so that there can be many runs.
pub fn run_logged(seed: u64, interleaving: u64, recording: bool) -> RunArtifacts {
    let mut scenario = Scenario::new(seed);
    let is_on_record = |deed: &Deed| !matches!(deed, Deed::Collect(_) | Deed::Freeze(..));
    scenario.deeds.retain(|(_, deed)| is_on_record(deed));
    for (_, deed) in &mut scenario.deeds {
        if *deed == Deed::LosePower {
            *deed = Deed::KillAll;
        }
    }
    // Nor does anything but silence tell of a network that is slower than suspicion.
    scenario.surroundings.latency = scenario.calm.latency;
    // A supervisor that has no time tells of all deaths late, and of none before others.
    scenario.surroundings.supervision = scenario.calm.supervision;
    scenario.shrink_jobs();
    let log = EventLog::new(seed, interleaving);
    let mut run = done(seed, scenario, log, recording);
    let log = std::mem::take(&mut run.cluster.event_log);
    RunArtifacts {
        asked_to_end: log.asked_to_end,
        writes: log.into_writes(),
        files: run.cluster.directory.files().clone(),
        config: run.scenario.config.clone(),
        jobs: run.scenario.jobs.clone(),
        stops_early: run.scenario.stops_early,
        outcome: run.outcome(),
    }
}

/// The run of a scenario, whatever came of it.
fn done(seed: u64, scenario: Scenario, log: EventLog, recording: bool) -> Run {
    CURRENT.set(Some(seed));
    let checkers = checkers(&scenario, log.delays());
    let mut cluster = Cluster::new(
        scenario.config.clone(),
        scenario.surroundings.clone(),
        checkers,
        scenario.seed,
        recording,
    );
    cluster.event_log = log;
    let mut run = Run::new(scenario, cluster);
    run.violation = run.all().err();
    run
}

fn checkers(scenario: &Scenario, has_delays: bool) -> Checkers {
    let mut checkers = Checkers::new(scenario.config.shape);
    checkers.add(Links::default());
    checkers.add(WholeFiles::new(scenario.surroundings.mount.leases));
    checkers.add(Sleepers::new(
        scenario.config.heartbeat,
        scenario.config.shape,
    ));
    if scenario.only_deaths() && !has_delays {
        checkers.add(CoordinatorDeath::new(
            scenario.asked_once(),
            scenario.config.shape,
        ));
    }
    checkers
}

struct Run {
    scenario: Scenario,
    cluster: Cluster,
    /// What is still to be done, in order.
    plan: BTreeMap<(Time, usize), Doing>,
    next_order: usize,
    /// How often files were saved again.
    saves: usize,
    healed_in: Duration,
    violation: Option<Violation>,
}

/// A deed, or the end of one.
#[derive(Clone, Debug)]
enum Doing {
    Deed(Deed),
    WriteOn(usize, usize, usize),
    Reopen(usize),
    GoOn(NodeId),
    KillOthers(NodeId),
    StallOver(NodeId),
    /// What was begun is over by itself.
    Over,
    HintsPass,
    Empty,
}

impl Run {
    fn new(scenario: Scenario, cluster: Cluster) -> Run {
        let mut run = Run {
            cluster,
            plan: BTreeMap::new(),
            next_order: 0,
            saves: 0,
            healed_in: Duration::ZERO,
            violation: None,
            scenario,
        };
        for (at, deed) in run.scenario.deeds.clone() {
            run.enter(at, Doing::Deed(deed));
        }
        run
    }

    fn outcome(self) -> RunOutcome {
        let cluster = self.cluster;
        RunOutcome {
            violation: self.violation,
            reached: cluster.reached,
            faults: self.scenario.faults,
            steps: cluster.steps,
            lasted: cluster.now.since(Time(0)),
            healed_in: self.healed_in,
            record: cluster.record,
        }
    }

    fn enter(&mut self, at: Time, doing: Doing) {
        self.plan.insert((at, self.next_order), doing);
        self.next_order += 1;
    }

    fn all(&mut self) -> Result<(), Violation> {
        let text = format!("{:?}", self.scenario.config);
        self.cluster.record.note(Time(0), None, || text);
        let text = format!("{:?}", self.scenario.surroundings);
        self.cluster.record.note(Time(0), None, || text);
        while let Some(((at, _), doing)) = self.plan.pop_first() {
            self.cluster.run_until(at)?;
            self.execute(doing)?;
        }
        // Each delay of a write was a fault.
        self.scenario.faults += self.cluster.calm_log();
        if self.scenario.stops_early {
            return self.shut_down();
        }
        for id in 0..self.scenario.config.nodes {
            if let Some(process) = self.cluster.process(NodeId(id)) {
                process.interrupt = None;
                process.stops_at_commit = false;
            }
            self.cluster.go_on(NodeId(id));
            self.cluster.stall_over(NodeId(id));
        }
        // What was said before is heard late, and may still be wrong by then.
        self.cluster.surroundings = self.scenario.calm.clone();
        // The supervisor may have been kept from its work for longer.
        let goes_on = self
            .cluster
            .now
            .max(self.cluster.event_log.supervisor_waits);
        self.cluster.run_until(goes_on + self.scenario.lag)?;
        self.settle()
    }

    fn settle(&mut self) -> Result<(), Violation> {
        let healed_at = self.cluster.now;
        self.cluster
            .record
            .note(healed_at, None, || "all faults have healed".to_owned());
        let scenario = &self.scenario;
        let elections = self.cluster.reached.elections;
        let well = |cluster: &Cluster| liveness::unwell(scenario, cluster).is_none();
        let open_when_healed = liveness::open_jobs(scenario, &self.cluster);
        let mut is_well = self.cluster.run_until_so(healed_at + PATIENCE, well)?;
        // Who could not keep its office waits before it claims it again, 30 s at most.
        if !is_well && let Some(end) = liveness::damped_until(&self.cluster) {
            is_well = self.cluster.run_until_so(end + AFTER_DAMPING, well)?;
        }
        // One slow worker may have more to do than that: as long as another job has ended in this time,
        // the rest has it once more.
        let mut open = open_when_healed;
        while !is_well && liveness::open_jobs(scenario, &self.cluster) < open {
            open = liveness::open_jobs(scenario, &self.cluster);
            let end = self.cluster.now + PATIENCE;
            is_well = self.cluster.run_until_so(end, well)?;
        }
        self.healed_in = self.cluster.now.since(healed_at);
        if is_well {
            self.cluster.run_until(self.cluster.now + STAYS)?;
        }
        // A link that was still frozen may have cost the highest node its office since.
        if is_well
            && !well(&self.cluster)
            && let Some(end) = liveness::damped_until(&self.cluster)
        {
            self.cluster.run_until_so(end + AFTER_DAMPING, well)?;
            self.cluster.run_until(self.cluster.now + STAYS)?;
        }
        let violation = liveness::unwell(scenario, &self.cluster)
            .or_else(|| liveness::left_over(scenario, &self.cluster))
            .or_else(|| liveness::too_many_elections(scenario, &self.cluster, elections));
        violation.map_or_else(|| self.shut_down(), Err)
    }

    /// The cluster is asked to stop, and does.
    fn shut_down(&mut self) -> Result<(), Violation> {
        let asked = self.cluster.stop_all();
        self.cluster.run_until(asked + GRACE)?;
        match self.cluster.nodes().next() {
            None => Ok(()),
            Some((id, _)) => Err(Violation {
                property: "L4",
                message: format!("node {id} lives {GRACE:?} after the cluster was stopped"),
            }),
        }
    }

    fn execute(&mut self, doing: Doing) -> Result<(), Violation> {
        let now = self.cluster.now;
        match doing {
            Doing::Deed(deed) => return self.deed(&deed),
            Doing::WriteOn(job, part, parts) => return self.write(job, part, parts),
            Doing::Reopen(job) => return self.reopen(job),
            Doing::GoOn(id) => {
                if let Some(process) = self.cluster.process(id) {
                    process.interrupt = process.interrupt.filter(|interrupt| interrupt.kills);
                    process.stops_at_commit = false;
                }
                self.cluster.go_on(id);
            }
            Doing::KillOthers(id) => {
                let all = (0..self.scenario.config.nodes).map(NodeId);
                for other in all.filter(|&other| other != id) {
                    self.cluster.kill(other)?;
                }
            }
            Doing::StallOver(id) => self.cluster.stall_over(id),
            Doing::Over => {}
            Doing::HintsPass => self.cluster.hints_pass(),
            Doing::Empty => {
                self.cluster.directory.full = false;
                self.cluster
                    .record
                    .note(now, None, || "there is space again".to_owned());
            }
        }
        Ok(())
    }

    fn deed(&mut self, deed: &Deed) -> Result<(), Violation> {
        let now = self.cluster.now;
        self.cluster.record.note(now, None, || format!("{deed:?}"));
        match *deed {
            Deed::Drop(job) => return self.write(job, 1, 1),
            Deed::Write(job, parts) => return self.write(job, 0, parts),
            Deed::Save(job, pause) if self.has_place(job) => {
                self.enter(now + pause, Doing::Reopen(job));
                return self.put(job, people::first_content(job), false);
            }
            Deed::Save(job, _) => return self.write(job, 1, 1),
            Deed::SaveAgain(job, saving) => return self.save_again(job, saving),
            Deed::Collect(with_jobs) => return self.cluster.collect(with_jobs),
            Deed::LosePower => return self.cluster.lose_power(),
            Deed::Kill(target, after) => {
                let id = self.resolve(target);
                if after == 0 {
                    return self.cluster.kill(id);
                }
                self.cluster.interrupt(id, after, true);
            }
            Deed::KillAll => {
                for id in 0..self.scenario.config.nodes {
                    self.cluster.kill(NodeId(id))?;
                }
            }
            Deed::Stop(target, after, length) => {
                let id = self.resolve(target);
                if after == 0 {
                    self.cluster.stop(id);
                } else {
                    self.cluster.interrupt(id, after, false);
                }
                self.enter(now + length, Doing::GoOn(id));
            }
            Deed::StopAtCommit(target, length) => {
                let id = self.resolve(target);
                self.cluster.stop_at_commit(id);
                self.enter(now + length, Doing::GoOn(id));
            }
            Deed::Outlive(target, first, length) => {
                let id = self.resolve(target);
                self.cluster.stop(id);
                self.enter(now + first, Doing::KillOthers(id));
                self.enter(now + first + length, Doing::GoOn(id));
            }
            Deed::Stall(target, length) => {
                let id = self.resolve(target);
                self.stall(id, now + length);
            }
            Deed::StallAll(length) => {
                for id in 0..self.scenario.config.nodes {
                    self.stall(NodeId(id), now + length);
                }
            }
            Deed::Cut(from, to) => self.cluster.cut(self.resolve(from), self.resolve(to)),
            Deed::RemoveSockets(length) => self.cluster.network.remove_names(now + length),
            Deed::Freeze(from, to, length) => {
                let (from, to) = (self.resolve(from), self.resolve(to));
                self.cluster.network.freeze(from, to, now + length);
                self.enter(now + length, Doing::Over);
            }
            Deed::HangFiles(target, length) => {
                let id = self.resolve(target);
                if let Some(process) = self.cluster.process(id) {
                    process.files.hangs_until = process.files.hangs_until.max(now + length);
                }
                self.enter(now + length, Doing::Over);
            }
            Deed::HangDisk(length) => {
                let until = self.cluster.disk_hangs_until.max(now + length);
                self.cluster.disk_hangs_until = until;
                self.enter(until, Doing::Over);
            }
            Deed::Crash(target) => return self.cluster.crash(self.resolve(target)),
            Deed::LoseHints(length) => {
                self.cluster.lose_hints(now + length);
                self.enter(now + length, Doing::HintsPass);
            }
            Deed::Fill(length) => {
                self.cluster.directory.full = true;
                self.enter(now + length, Doing::Empty);
            }
        }
        Ok(())
    }

    fn stall(&mut self, id: NodeId, until: Time) {
        self.cluster.stall(id, until);
        self.enter(until, Doing::StallOver(id));
    }

    fn resolve(&self, target: Target) -> NodeId {
        match target {
            Target::Node(id) => id,
            Target::Coordinator(otherwise) => {
                let acting = self.cluster.nodes().filter_map(|(_, node)| node.acting());
                acting.max().map_or(otherwise, |epoch| epoch.node)
            }
        }
    }
}
