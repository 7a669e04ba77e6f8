//! The fates of the processes of a run: the events that prove the causes that other nodes give.
//!
//! Order relied on: a dead process writes nothing, so its own last line came before its death. The
//! supervisor logs a death late, and the peers may know it before; but each turn of its loop first reaps all dead
//! processes: so deaths between two of its other acts are logged together. It logs a stop, and a death
//! in a hint, before it sends the hint. Everything else here only widens
//! the excuses, and claims nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::Excluded;

use crate::log::{Event, Life, Log};

/// A death may be seen by its links before the supervisor has reaped it and said so.
const REAPING_NS: u64 = 1_000_000_000;
/// A node that was away needs this time to catch up with what waited for it.
const RETURN_NS: u64 = 500_000_000;
/// A node that was asked, and had processor time, follows a new coordinator much sooner than this.
const LATE_NS: u64 = 50_000_000;

/// A winner passes over a peer that delivers nothing for 100 ms; a line may be written a little later than
/// its event.
const PATIENCE_NS: u64 = 90_000_000;

/// The fates of all incarnations in a log.
#[derive(Debug, Default)]
pub(super) struct Fates {
    lives: BTreeMap<Life, Fate>,
    /// When the supervisor logged anything, and whether that was a death.
    told: BTreeMap<u64, bool>,
}

/// When a process was alive and running, and when it was not.
#[derive(Debug, Default)]
struct Fate {
    started: Option<u64>,
    died: Option<u64>,
    /// An injected death, which is logged before it happens.
    tells_its_death: bool,
    /// It ended since it was asked to.
    is_asked: bool,
    /// Times in which it was stopped or stalled.
    away: Vec<(u64, u64)>,
    stopped_at: Vec<u64>,
    /// Its last own event so far, and since when it stalls or is stopped.
    last: Option<u64>,
    stalled: Option<u64>,
    stopped: Option<u64>,
}

impl Fates {
    pub(super) fn of(log: &Log) -> Fates {
        let mut fates = Fates::default();
        for event in &log.events {
            fates.lives.entry(event.life()).or_default().take(event);
            if event.is_of_supervisor() {
                fates.told.insert(event.at(), event.name() == "node_exited");
            }
        }
        for fate in fates.lives.values_mut() {
            let open = [fate.stopped.take(), fate.stalled.take()];
            let lasting = open.into_iter().flatten().map(|since| (since, u64::MAX));
            fate.away.extend(lasting);
        }
        for acting in log.named("acting") {
            fates.find_late(log, acting);
        }
        fates
    }

    /// Notes nodes that were alive when a coordinator began to act, but took long to follow it: they had no
    /// processor time on a busy machine, and were passed over. If the coordinator collected for so long that
    /// somebody was passed over, it may have been any node, which may follow at once when asked again.
    fn find_late(&mut self, log: &Log, acting: &Event) {
        let mut won = log.named("election_won").rev();
        let won = won.find(|won| won.life() == acting.life() && won.term() == acting.term());
        let collected = won.map_or(0, |won| acting.at().saturating_sub(won.at()));
        let mut seen = BTreeSet::new();
        let joins = log.named("following").filter(|event| {
            event.number("coordinator") == acting.node()
                && event.term() == acting.term()
                && event.at() > acting.at()
        });
        for join in joins.filter(|join| seen.insert(join.life())) {
            let fate = self.lives.entry(join.life()).or_default();
            let was_there = fate.started.is_some_and(|started| started < acting.at());
            let is_late = join.at() - acting.at() > LATE_NS;
            if was_there && (is_late || collected >= PATIENCE_NS) {
                fate.away.push((acting.at(), join.at()));
            }
        }
    }

    /// Whether a process may have been dead at a moment, according to a peer that has seen its links end.
    pub(super) fn died_by(&self, life: Life, at: u64) -> bool {
        let fate = self.lives.get(&life);
        fate.is_some_and(|fate| match fate.died {
            _ if fate.last.is_some_and(|last| last > at) => false,
            Some(died) if fate.tells_its_death => died <= at,
            Some(died) => {
                let is_killed = !fate.is_asked;
                died <= at.saturating_add(REAPING_NS) || (is_killed && self.may_not_reap(at, died))
            }
            None => false,
        })
    }

    /// Whether the supervisor may have reaped nobody between two moments: it was slow, or had no processor time.
    fn may_not_reap(&self, from: u64, until: u64) -> bool {
        let told = self.told.range((Excluded(from), Excluded(until)));
        let mut told = told
            .map(|(_, is_death)| *is_death)
            .skip_while(|is_death| *is_death);
        let reaps = told.any(|is_death| is_death);
        !(reaps && told.any(|is_death| !is_death))
    }

    /// Whether a process was stopped before a moment.
    pub(super) fn stopped_by(&self, life: Life, at: u64) -> bool {
        let fate = self.lives.get(&life);
        fate.is_some_and(|fate| fate.stopped_at.iter().any(|&stopped| stopped <= at))
    }

    /// Whether a process was suspended during part of a time, or had only just returned: it was stopped, stalled,
    /// logged a gap, or took long to follow.
    pub(super) fn slept(&self, life: Life, from: u64, to: u64) -> bool {
        let slept =
            |&(since, until): &(u64, u64)| since <= to && until.saturating_add(RETURN_NS) >= from;
        let fate = self.lives.get(&life);
        fate.is_some_and(|fate| fate.away.iter().any(slept))
    }

    /// Whether a process had been suspended for this long when it read its clock at a moment.
    pub(super) fn slept_until(&self, life: Life, at: u64, length: u64) -> bool {
        let so_long = |&(since, until): &(u64, u64)| {
            since <= at && until.saturating_add(RETURN_NS) >= at && until - since >= length
        };
        let fate = self.lives.get(&life);
        fate.is_some_and(|fate| fate.away.iter().any(so_long))
    }

    /// Whether a process was absent during part of a time: not yet started, dead, or suspended.
    pub(super) fn away(&self, life: Life, from: u64, to: u64) -> bool {
        let started = self.lives.get(&life).and_then(|fate| fate.started);
        let died = self.lives.get(&life).and_then(|fate| fate.died);
        started.is_none_or(|started| started >= from)
            || died.is_some_and(|died| died <= to)
            || self.slept(life, from, to)
    }

    /// Whether any process except `life` was away during part of a time.
    pub(super) fn anybody_away(&self, but: Life, from: u64, to: u64) -> bool {
        let mut others = self.lives.keys().filter(|&&life| life != but);
        others.any(|&life| self.away(life, from, to))
    }
}

impl Fate {
    fn take(&mut self, event: &Event) {
        let at = event.at();
        match event.name() {
            "node_spawned" | "node_signalled" => return,
            "node_stopped" => {
                // It may have been silent since its last line.
                self.stopped_at.push(at);
                self.stopped = self.stopped.or(self.last).or(Some(at));
                return;
            }
            "node_continued" => {
                // The stop may have been too short to be logged.
                let since = self.stopped.take().or(self.last).unwrap_or(at);
                self.away.push((since, at));
                return;
            }
            "node_exited" => {
                let died = self.died.map_or(at, |died| died.min(at));
                self.died = Some(died);
                self.is_asked = event.number("code") == 0;
                return;
            }
            "started" => self.started = Some(at),
            "gap" => {
                let length = event.number("ms").saturating_mul(1_000_000);
                self.away.push((at.saturating_sub(length), at));
            }
            _ => {}
        }
        // Any line of its own ends a stall.
        if let Some(since) = self.stalled.take() {
            self.away.push((since, at));
        }
        if event.name() == "fault_injected" {
            match event.text("do") {
                "kill" => {
                    self.died = Some(at);
                    self.tells_its_death = true;
                }
                "stop" => {
                    self.stopped_at.push(at);
                    self.stopped = Some(at);
                }
                _ => self.stalled = Some(at),
            }
        }
        self.last = Some(at);
    }
}
