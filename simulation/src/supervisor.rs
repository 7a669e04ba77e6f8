//! The supervisor: starts processes, starts them again when they end, and tells each what became
//! of the others.

use std::ops::RangeInclusive;
use std::time::Duration;

use ipc::control::Hint;
use protocol::deaths::Deaths;
use protocol::event::ChildState;
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::supervision::{Backoff, Crashes, START_AFTER};
use protocol::time::Time;

use crate::chance::Chance;
use crate::fact::Life;

/// What the supervisor knows.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) slots: Vec<Slot>,
    pub(crate) hints: bool,
    pub(crate) term: Term,
    pub(crate) started: bool,
    /// Nothing is started any more.
    pub(crate) stopping: bool,
    /// The nodes are to be told of a change.
    pub(crate) telling: bool,
    /// Hints do not get through before.
    pub(crate) hints_lost_until: Time,
    /// Something may have been dropped, and no coordinator has been told.
    pub(crate) hint_due: bool,
    /// Deaths that jobs caused.
    pub(crate) deaths: Deaths,
    /// The latest coordinatorship that was reported.
    announced: Epoch,
    incarnation: Incarnation,
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The highest epoch that it knows.
    pub(crate) highest: Epoch,
    /// It is a coordinator.
    pub(crate) coordinates: bool,
    /// For how many deaths jobs are marked.
    pub(crate) charged: u64,
}

/// One static ID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) state: ChildState,
    pub(crate) bound: bool,
    pub(crate) start_due: bool,
    /// The epoch in which it coordinates, as far as it has reported.
    coordinates: Option<Epoch>,
    /// What it was told of the deaths that jobs caused.
    pub(crate) told_deaths: Deaths,
    backoff: Backoff,
    pub(crate) crashes: Crashes,
}

impl Supervisor {
    pub(crate) fn new(nodes: u8, hints: bool) -> Supervisor {
        let slot = |id| Slot {
            id: NodeId(id),
            incarnation: Incarnation(0),
            state: ChildState::Gone,
            bound: false,
            start_due: false,
            coordinates: None,
            told_deaths: Deaths::default(),
            backoff: Backoff::default(),
            crashes: Crashes::default(),
        };
        Supervisor {
            slots: (0..nodes).map(slot).collect(),
            hints,
            term: Term(0),
            started: false,
            stopping: false,
            telling: false,
            hints_lost_until: Time(0),
            hint_due: false,
            deaths: Deaths::default(),
            announced: Epoch::NONE,
            incarnation: Incarnation(0),
        }
    }

    pub(crate) fn slot(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[usize::from(id.0)]
    }

    /// A process of this ID is started.
    pub(crate) fn begin(&mut self, id: NodeId) -> Incarnation {
        self.incarnation = Incarnation(self.incarnation.0 + 1);
        let incarnation = self.incarnation;
        let slot = self.slot(id);
        slot.incarnation = incarnation;
        slot.state = ChildState::Running;
        slot.bound = false;
        slot.start_due = true;
        slot.told_deaths = Deaths::default();
        slot.coordinates = None;
        incarnation
    }

    /// A process ended after this long; tells when the next one is started.
    pub(crate) fn end(&mut self, id: NodeId, uptime: Duration, chance: &mut Chance) -> Duration {
        let slot = self.slot(id);
        slot.state = ChildState::Gone;
        slot.bound = false;
        let draw = |range: RangeInclusive<u32>| {
            let (from, to) = range.into_inner();
            u32::try_from(chance.between(from.into(), to.into())).unwrap_or(to)
        };
        slot.backoff.after_death(uptime, draw)
    }

    /// Takes in a node's report: the highest epoch that it knows, and whether it coordinates. A new
    /// coordinator is told of what may have been dropped after its first look, and told to another.
    /// Says whether all are to be told of jobs that were marked for deaths.
    pub(crate) fn hear(&mut self, life: Life, report: Report) -> bool {
        let marked = report.charged > self.deaths.charged;
        self.term = self.term.max(report.highest.term);
        self.deaths.charged = self.deaths.charged.max(report.charged);
        let slot = self.slot(life.node);
        if slot.incarnation != life.incarnation {
            return marked;
        }
        slot.coordinates = report.coordinates.then_some(report.highest);
        if report.coordinates && report.highest > self.announced {
            self.announced = report.highest;
            self.hint_due = true;
        }
        marked
    }

    /// The node that coordinates, as far as the reports tell, and runs.
    pub(crate) fn coordinator(&self) -> Option<NodeId> {
        let runs = |slot: &&Slot| slot.state == ChildState::Running && slot.coordinates.is_some();
        let found = self.slots.iter().filter(runs);
        found
            .max_by_key(|slot| slot.coordinates)
            .map(|slot| slot.id)
    }

    /// What a node is told of the others.
    pub(crate) fn hints_for(&self, id: NodeId) -> Vec<Hint> {
        let known = |slot: &&Slot| slot.id != id && slot.incarnation != Incarnation(0);
        let hint = |slot: &Slot| Hint {
            node: slot.id,
            incarnation: slot.incarnation,
            state: slot.state,
        };
        self.slots.iter().filter(known).map(hint).collect()
    }

    /// Whether the start signal is to be given from now on.
    pub(crate) fn may_start(&mut self, now: Time) -> bool {
        let all_bound = self.slots.iter().all(|slot| slot.bound);
        self.started = self.started || all_bound || now >= Time(0) + START_AFTER;
        self.started
    }
}
