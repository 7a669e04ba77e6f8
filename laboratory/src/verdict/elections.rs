//! L3: elections per fault are bounded, and each has a cause that another event proves, as has
//! each loss of a peer.
//!
//! The cause of an election is proved either by the node's own lines, which are in order, or by those of
//! another node from which a chain of messages led to it: a `Collect`, an `Election` or a hint is sent after
//! its line is written, so the timestamp of that line is not later. A process whose link ended was dead: it
//! writes no later timestamp itself, and the supervisor may report it at any later time.
//!
//! Nobody else can prove that a node was suspended. So each such line counts once, and for
//! no more time than its incarnation had, see `storms`. A node that is suspended briefly, again
//! and again, is silent and logs no gap: so one unproved silence is accepted, but not a second one
//! of the same incarnation soon after.

use std::collections::BTreeMap;

use super::charges::{Charge, Lack, Meant, Missing, place};
use super::fates::Fates;
use super::{Run, Violation, storms};
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "L3";
/// How long before its line a silence may lie, or twice the limit of the run: the node may check late.
const SUSPICION_NS: u64 = 4_000_000_000;
/// All nodes that miss a peer report one silence within this time.
const ONE_SILENCE_NS: u64 = 1_000_000_000;
/// At the end of a run its last deaths may be reported this much later.
const REAPING_NS: u64 = 1_000_000_000;

pub(super) fn check(run: &Run, fates: &Fates) -> Vec<Violation> {
    let until_the_end = |event: &&Event| event.at() <= run.end_ns;
    let events: Vec<&Event> = run.log.events.iter().filter(until_the_end).collect();
    let missing = Missing::of(&run.log);
    // One missing line may have been both a fault and a cause.
    let mut violations = missing.sustain(storms::check(&events, missing.is_cut));
    violations.extend(missing.sustain(Causes::new(run, fates).judge(&events)));
    violations.extend(storms::gaps(&events));
    let settings = run.log.about.settings.as_ref();
    if let Some(suspect_after) = settings.and_then(|settings| settings.suspect_after) {
        violations.extend(storms::hasty(&events, suspect_after));
    }
    violations
}

/// What is known about an incarnation when it starts an election.
#[derive(Debug, Default)]
struct Past<'a> {
    /// Its last event of each name; one that caused an election causes no other.
    last: BTreeMap<&'a str, &'a Event>,
    /// How often it was challenged so far, and how many gaps have caused no election.
    challenged: usize,
    gaps: usize,
}

impl<'a> Past<'a> {
    fn take(&mut self, event: &'a Event) {
        let why = event.text("why");
        match (event.name(), why) {
            ("gap", _) => self.gaps += 1,
            ("election_started", "challenged") => self.challenged += 1,
            ("election_started", "gap") => {
                self.gaps = self.gaps.saturating_sub(1);
                self.last.remove("stepped_down");
            }
            ("election_started", "isolated") => {
                self.last.remove("stepped_down");
            }
            ("election_started", "coordinator_lost") => {
                self.last.remove("peer_down");
            }
            _ => {}
        }
        self.last.insert(event.name(), event);
    }

    /// The position of its last event of a name.
    fn line(&self, name: &str) -> Option<usize> {
        self.last.get(name).map(|event| event.line)
    }

    /// When it last had a coordinator, or was one.
    fn settled(&self) -> Option<&'a Event> {
        let events = ["following", "acting"].map(|name| self.last.get(name).copied());
        events.into_iter().flatten().max_by_key(|event| event.line)
    }

    /// The event of another node that would have caused an event.
    fn shares(&self, event: &Event) -> Option<Meant> {
        let peer = |lost: &Event| (lost.number("peer"), lost.number("peer_incarnation"));
        match (event.name(), event.text("why")) {
            ("peer_down", _) => Some(("lost", peer(event).0, peer(event).1)),
            ("election_started", "coordinator_lost") => {
                let lost = self.last.get("peer_down")?;
                Some(("won", peer(lost).0, event.term()))
            }
            ("election_started", "preemption") => Some(("lower", 0, event.term())),
            ("election_started", "challenged") => Some(("challenge", 0, event.term())),
            ("election_started", "no_coordinator") => Some(("away", 0, event.term())),
            _ => None,
        }
    }

    /// Whether it gave up its office for this cause since it had won it.
    fn stepped_down(&self, why: &str) -> bool {
        let down = self.last.get("stepped_down");
        down.is_some_and(|down| {
            down.text("why") == why && Some(down.line) > self.line("election_won")
        })
    }
}

/// The events in the log that may prove a cause.
struct Causes<'a> {
    run: &'a Run,
    fates: &'a Fates,
    /// The latest timestamp of each incarnation.
    last: BTreeMap<Life, u64>,
    /// When the supervisor reported each process dead, and stopped.
    exited: BTreeMap<Life, u64>,
    stopped: BTreeMap<Life, u64>,
    /// When processes were about to kill themselves, by an injected fault.
    killed: BTreeMap<Life, u64>,
    /// When a silence of each was last accepted.
    silences: BTreeMap<Life, u64>,
}

impl<'a> Causes<'a> {
    fn new(run: &'a Run, fates: &'a Fates) -> Causes<'a> {
        let mut causes = Causes {
            run,
            fates,
            last: BTreeMap::new(),
            exited: BTreeMap::new(),
            stopped: BTreeMap::new(),
            killed: BTreeMap::new(),
            silences: BTreeMap::new(),
        };
        for event in &run.log.events {
            let (life, at) = (event.life(), event.at());
            if let Writer::Node(_) = event.writer() {
                let last = causes.last.entry(life).or_default();
                *last = at.max(*last);
            }
            let times = match event.name() {
                "node_exited" => &mut causes.exited,
                "node_stopped" => &mut causes.stopped,
                "fault_injected" if event.text("do") == "kill" => &mut causes.killed,
                _ => continue,
            };
            times.entry(life).or_insert(at);
        }
        causes
    }

    /// The events without a cause, until the end.
    fn judge(&mut self, events: &[&'a Event]) -> Vec<Charge> {
        let mut pasts: BTreeMap<Life, Past<'a>> = BTreeMap::new();
        let mut charges = Vec::new();
        for &event in events {
            let Writer::Node(life) = event.writer() else {
                continue;
            };
            let past = pasts.entry(life).or_default();
            let unproved = match event.name() {
                "peer_down" => self.lost(event),
                "election_started" => self.elected(event, past),
                _ => None,
            };
            if let Some(lack) = unproved {
                let name = event.name();
                let cause = event.text(if name == "peer_down" { "by" } else { "why" });
                let message = format!("{name} for a cause that no event proves: {cause}");
                let violation = Violation::new(NAME, message, &[event]);
                // An event of another node may also explain what others saw of it.
                let is_shared = past.shares(event);
                charges.push(Charge {
                    shared: is_shared.map(|meant| (meant, life)),
                    ..Charge::new(violation, lack)
                });
            }
            past.take(event);
        }
        charges
    }

    /// The events that must be missing if the lost peer was not dead, stopped or away.
    fn lost(&mut self, lost: &Event) -> Option<Lack> {
        let peer = (lost.number("peer"), lost.number("peer_incarnation"));
        let at = lost.at();
        let by_then =
            |times: &BTreeMap<Life, u64>| times.get(&peer).is_some_and(|&time| time <= at);
        let is_proved = match lost.text("by") {
            "link" => self.is_dead(peer, at),
            // The supervisor writes its line before it sends the hint.
            "hint" => by_then(&self.exited) || by_then(&self.stopped),
            "silence" => self.was_silent(peer, at),
            _ => return Some(Lack::nothing()),
        };
        (!is_proved).then(|| Lack::about(peer.0))
    }

    /// Whether a process may have been silent for long enough.
    fn was_silent(&mut self, peer: Life, at: u64) -> bool {
        let settings = self.run.log.about.settings.as_ref();
        let limit = settings.and_then(|settings| settings.suspect_after);
        let limit = limit.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
        });
        let suspicion = limit.saturating_mul(2).max(SUSPICION_NS);
        if self.fates.away(peer, at.saturating_sub(suspicion), at) {
            return true;
        }
        let last = self.silences.get(&peer).copied();
        let is_same = |last: u64| at <= last.saturating_add(ONE_SILENCE_NS);
        let is_next = |last: u64| at > last.saturating_add(suspicion);
        if last.is_none_or(is_next) {
            self.silences.insert(peer, at);
        }
        limit > 0 && last.is_none_or(|last| is_same(last) || is_next(last))
    }

    /// Whether a process may have been dead by a moment, according to all lines about it.
    fn is_dead(&self, life: Life, at: u64) -> bool {
        if self.last.get(&life).is_some_and(|&last| last > at) {
            return false;
        }
        // The supervisor may have been held up until the end; deaths that it reports after that are of the
        // shutdown.
        let told_by = at.saturating_add(REAPING_NS).max(self.run.end_ns);
        let told = self
            .exited
            .get(&life)
            .is_some_and(|&exited| exited <= told_by);
        told || self.killed.get(&life).is_some_and(|&killed| killed <= at)
    }

    /// The events that must be missing if nothing caused an election.
    fn elected(&self, election: &Event, past: &Past<'_>) -> Option<Lack> {
        let life = election.life();
        let named_before = |name: &str, is_meant: &dyn Fn(Life) -> bool| {
            let events = self.run.log.named(name);
            let events = events.filter(|event| event.at() <= election.at());
            events.filter(|event| is_meant(event.life())).count()
        };
        let own =
            |after: Option<&Event>| Lack::of(life, after.map_or((0, 0), place), election.line);
        let last_election = past.last.get("election_started").copied();
        let (is_proved, lack) = match election.text("why") {
            "start" => (
                past.line("started") > past.settled().map(|settled| settled.line),
                own(past.settled()),
            ),
            "coordinator_lost" => {
                // The incarnation of a peer that never linked is unknown, but it may have coordinated.
                let won = |lost: &&Event| {
                    let (peer, life) = (lost.number("peer"), lost.number("peer_incarnation"));
                    let is_it = |won: Life| won.0 == peer && (won.1 == life || life == 0);
                    named_before("election_won", &is_it) > 0
                };
                let lost = past.last.get("peer_down");
                (lost.is_some_and(won), Lack::anywhere())
            }
            "preemption" => {
                let is_lower = |won: Life| won.0 < life.0;
                (
                    named_before("election_won", &is_lower) > 0,
                    Lack::anywhere(),
                )
            }
            "challenged" => {
                let is_lower = |other: Life| other.0 < life.0;
                let challenges = named_before("election_started", &is_lower);
                (challenges > past.challenged, Lack::anywhere())
            }
            "handed_over" => {
                let is_other = |other: Life| other.0 != life.0;
                (
                    named_before("file_call_slow", &is_other) > 0,
                    Lack::anywhere(),
                )
            }
            "no_victory" => (
                past.line("election_started") > past.settled().map(|settled| settled.line),
                own(past.settled()),
            ),
            "gap" => (
                past.gaps > 0 && past.stepped_down("gap"),
                own(last_election),
            ),
            "isolated" => (
                past.last.contains_key("peer_down") && past.stepped_down("isolated"),
                own(last_election),
            ),
            // It may since have promised to a node that died before it was followed.
            "no_coordinator" => {
                let is_away = |settled: &Event| {
                    self.fates.anybody_away(life, settled.at(), election.at())
                        || past.line("stepped_down") > Some(settled.line)
                };
                (past.settled().is_none_or(is_away), Lack::anywhere())
            }
            _ => return Some(Lack::nothing()),
        };
        (!is_proved).then_some(lack)
    }
}
