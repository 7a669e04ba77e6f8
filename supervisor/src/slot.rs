//! One static ID: its process, if it lives, and when the next one is started.

mod life;

use std::time::{Duration, Instant};

use ipc::control::Hint;
use protocol::event::ChildState;
use protocol::id::{Incarnation, NodeId};
use protocol::status::RoleName;
use protocol::supervision::{Backoff, Crashes};
use protocol::time::Time;

use crate::launch::Spawned;
use crate::reap::Ending;

pub(crate) use self::life::Life;

/// A static ID, which outlives its processes.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The static ID.
    pub(crate) id: NodeId,
    /// Its present life, else its last one; 0 before the first.
    pub(crate) incarnation: Incarnation,
    /// What became of that life.
    pub(crate) state: ChildState,
    /// The process, while it lives.
    pub(crate) life: Option<Life>,
    /// When the next process is to be started; none while one lives.
    pub(crate) due: Option<Instant>,
    /// How many processes have ended, or could not be started.
    pub(crate) deaths: u32,
    /// How many processes have been started.
    pub(crate) births: u32,
    /// What keeps it from its peers, as it was told; until it is bound.
    pub(crate) told: Option<String>,
    backoff: Backoff,
    crashes: Crashes,
    /// When the supervisor began.
    origin: Instant,
}

impl Slot {
    /// An ID whose first process is to be started now.
    pub(crate) fn new(id: NodeId, now: Instant) -> Slot {
        Slot {
            id,
            incarnation: Incarnation::default(),
            state: ChildState::Gone,
            life: None,
            due: Some(now),
            deaths: 0,
            births: 0,
            told: None,
            backoff: Backoff::default(),
            crashes: Crashes::default(),
            origin: now,
        }
    }

    /// Takes a process that has just been started.
    pub(crate) fn begin(&mut self, incarnation: Incarnation, spawned: Spawned, now: Instant) {
        self.incarnation = incarnation;
        self.state = ChildState::Running;
        self.due = None;
        self.births = self.births.saturating_add(1);
        self.life = Some(Life::new(spawned, now));
    }

    /// How many lives in a row have crashed in office.
    pub(crate) fn crashes(&self) -> u32 {
        self.crashes.count(self.time(Instant::now()))
    }

    fn time(&self, now: Instant) -> Time {
        Time::default() + (now - self.origin)
    }

    /// Notes that the process is gone, or with no `ending`, could not be started. Returns how long to
    /// wait before the next one is started.
    pub(crate) fn end(&mut self, ending: Option<Ending>, now: Instant) -> Duration {
        let life = self.life.take();
        let crashed = |ending: Ending| life.as_ref().is_some_and(|life| life.crashed(ending));
        if ending.is_some_and(crashed) {
            self.crashes.add(self.time(now));
        }
        let uptime = life.map_or(Duration::ZERO, |life| now - life.born);
        let wait = self.backoff.after_death(uptime, rand::random_range);
        self.state = ChildState::Gone;
        self.due = Some(now + wait);
        self.deaths = self.deaths.saturating_add(1);
        wait
    }

    /// Whether it runs, not stopped, and has reported this role.
    pub(crate) fn has_role(&self, role: RoleName) -> bool {
        let life = self.life.as_ref();
        self.state == ChildState::Running && life.is_some_and(|life| life.role() == role)
    }

    /// What the other nodes are told of this one; nothing before its first life.
    pub(crate) fn hint(&self) -> Option<Hint> {
        (self.incarnation != Incarnation::default()).then_some(Hint {
            node: self.id,
            incarnation: self.incarnation,
            state: self.state,
        })
    }
}
