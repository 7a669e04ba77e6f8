//! What befell the processes of a run: the events that prove the causes that others give.
//!
//! Order that is relied on: a process that is dead says nothing, so its own last word came before. The
//! supervisor tells of a death late, and the peers may know it before; but each time around it reaps all that
//! are dead before it does anything else: so not later than other deaths between two other things that it
//! does. Of a stop, and of a death that a hint tells of, it writes before it tells any node. All else here
//! widens what excuses, and claims nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::Excluded;

use crate::log::{Event, Life, Log};

/// A death may be seen by its links before the supervisor has reaped it and said so.
const REAPING_NS: u64 = 1_000_000_000;
/// Who was away is not back in everything at once: what waited for it is worked off first.
const RETURN_NS: u64 = 500_000_000;
/// Who was asked, and had time, follows a new coordinator much sooner than this.
const LATE_NS: u64 = 50_000_000;

/// A winner passes over who delivers nothing for 100 ms; a line may be written a little later than
/// what it tells of.
const PATIENCE_NS: u64 = 90_000_000;

/// The fates of all lives in a log.
#[derive(Debug, Default)]
pub(super) struct Fates {
    lives: BTreeMap<Life, Fate>,
    /// When the supervisor has told anything, and whether that was a death.
    told: BTreeMap<u64, bool>,
}

/// When a process was there, and when it was not.
#[derive(Debug, Default)]
struct Fate {
    started: Option<u64>,
    died: Option<u64>,
    /// An injected death, which is on record before it happens.
    tells_its_death: bool,
    /// It ended since it was asked to.
    is_asked: bool,
    /// Times in which it did not run, or answered nothing.
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

    /// Notes who was there when a coordinator began to act, and took long to follow it: it had no
    /// time on a busy machine, and was passed over. If the coordinator had collected for so long that
    /// somebody was passed over, it may have been anyone, who may follow at once when asked again.
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

    /// Whether a process may have been dead at a moment, as somebody says who has seen its links end.
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

    /// Whether the supervisor may have reaped nobody between two moments: it was slow, or had no time.
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

    /// Whether a process slept for some of a time, or was only just back: it was stopped, stalled,
    /// found a gap, or took long to follow.
    pub(super) fn slept(&self, life: Life, from: u64, to: u64) -> bool {
        let slept =
            |&(since, until): &(u64, u64)| since <= to && until.saturating_add(RETURN_NS) >= from;
        let fate = self.lives.get(&life);
        fate.is_some_and(|fate| fate.away.iter().any(slept))
    }

    /// Whether a process had slept for so long when it read its clock at a moment.
    pub(super) fn slept_until(&self, life: Life, at: u64, length: u64) -> bool {
        let so_long = |&(since, until): &(u64, u64)| {
            since <= at && until.saturating_add(RETURN_NS) >= at && until - since >= length
        };
        let fate = self.lives.get(&life);
        fate.is_some_and(|fate| fate.away.iter().any(so_long))
    }

    /// Whether a process was not there for some of a time: not yet, not any more, or asleep.
    pub(super) fn away(&self, life: Life, from: u64, to: u64) -> bool {
        let started = self.lives.get(&life).and_then(|fate| fate.started);
        let died = self.lives.get(&life).and_then(|fate| fate.died);
        started.is_none_or(|started| started >= from)
            || died.is_some_and(|died| died <= to)
            || self.slept(life, from, to)
    }

    /// Whether anybody but `life` was away for some of a time.
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
                // It may have been silent since its last word.
                self.stopped_at.push(at);
                self.stopped = self.stopped.or(self.last).or(Some(at));
                return;
            }
            "node_continued" => {
                // The stop may have been too short to be told of.
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
        // Any word of its own ends a stall.
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
