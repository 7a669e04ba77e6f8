//! L3: elections per fault are bounded, and each has a cause that another event proves; so has
//! each loss of a peer.

use std::collections::{BTreeMap, BTreeSet};

use super::fates::Fates;
use super::{Run, Violation};
use crate::log::{Event, Life};

const NAME: &str = "L3";
/// The longest silence after which a test has a peer suspected, and as much again for a late look.
const SUSPICION_NS: u64 = 4_000_000_000;

pub(super) fn check(run: &Run, fates: &Fates) -> Vec<Violation> {
    let mut violations = Vec::new();
    // The lack of an event is shown by a whole log only.
    if run.log.is_whole() {
        violations.extend(storms(run));
        violations.extend(causes(run, fates));
    }
    violations
}

/// Each fault lets one node win, and each node hold one election on the average; so does the start,
/// and again the highest node if it comes last.
fn storms(run: &Run) -> Vec<Violation> {
    let until_the_end = |name| {
        let events = run.log.named(name);
        events.filter(|event| event.at() <= run.end_ns).count()
    };
    let faults = Fates::count(&run.log, run.end_ns);
    let limit = 2 + faults;
    let spawned = run.log.named("node_spawned").map(Event::node);
    let nodes = spawned.collect::<BTreeSet<u64>>().len();
    let (won, started) = (
        until_the_end("election_won"),
        until_the_end("election_started"),
    );
    let mut violations = Vec::new();
    if won > limit {
        let message = format!("{won} elections were won after {faults} faults");
        violations.push(Violation::new(NAME, message, &[]));
    }
    if started > nodes * limit {
        let message = format!("{started} elections were held after {faults} faults");
        violations.push(Violation::new(NAME, message, &[]));
    }
    violations
}

/// What is known of a node's life when it starts an election.
#[derive(Debug, Default)]
struct Past<'a> {
    /// Its last event of each name.
    last: BTreeMap<&'a str, &'a Event>,
    /// How often it was challenged so far.
    challenged: usize,
}

impl Past<'_> {
    fn at(&self, name: &str) -> Option<u64> {
        self.last.get(name).map(|event| event.at())
    }

    /// When it last had a coordinator, or was one.
    fn settled_at(&self) -> Option<u64> {
        self.at("following").max(self.at("acting"))
    }
}

fn causes(run: &Run, fates: &Fates) -> Vec<Violation> {
    let mut pasts: BTreeMap<Life, Past<'_>> = BTreeMap::new();
    let mut violations = Vec::new();
    let until_the_end = |event: &&Event| event.at() <= run.end_ns;
    for event in run.log.events.iter().filter(until_the_end) {
        let past = pasts.entry(event.life()).or_default();
        let (name, why) = (event.name(), event.text("why"));
        past.challenged += usize::from(name == "election_started" && why == "challenged");
        let is_proved = match name {
            "peer_down" => is_down(fates, event),
            "election_started" => is_called_for(run, fates, event, past),
            _ => true,
        };
        if !is_proved {
            let cause = event.text(if name == "peer_down" { "by" } else { "why" });
            let message = format!("{name} for a cause that no event proves: {cause}");
            violations.push(Violation::new(NAME, message, &[event]));
        }
        past.last.insert(name, event);
    }
    violations
}

/// Whether the peer that was lost was dead, stopped or away.
fn is_down(fates: &Fates, lost: &Event) -> bool {
    let peer = (lost.number("peer"), lost.number("peer_incarnation"));
    match lost.text("by") {
        "link" => fates.died_by(peer, lost.at()),
        "hint" => fates.died_by(peer, lost.at()) || fates.stopped_by(peer, lost.at()),
        "silence" => fates.away(peer, lost.at().saturating_sub(SUSPICION_NS), lost.at()),
        _ => false,
    }
}

/// Whether what a node gives as the cause of its election has happened.
fn is_called_for(run: &Run, fates: &Fates, election: &Event, past: &Past<'_>) -> bool {
    let has = |name: &str| past.last.contains_key(name);
    let won_before = |life: &dyn Fn(Life) -> bool| {
        let mut won = run.log.named("election_won");
        won.any(|won| won.at() <= election.at() && life(won.life()))
    };
    match election.text("why") {
        "start" => has("started") && past.settled_at().is_none(),
        "coordinator_lost" => past.last.get("peer_down").is_some_and(|lost| {
            let (peer, incarnation) = (lost.number("peer"), lost.number("peer_incarnation"));
            // Of one that was never met no life is known, and it has coordinated all the same.
            won_before(&|life| life.0 == peer && (life.1 == incarnation || incarnation == 0))
        }),
        "preemption" => won_before(&|(node, _)| node < election.node()),
        "challenged" => {
            let lower = run
                .log
                .named("election_started")
                .filter(|other| other.node() < election.node() && other.at() <= election.at());
            lower.count() >= past.challenged
        }
        "handed_over" => {
            let mut slow = run.log.named("file_call_slow");
            slow.any(|slow| slow.node() != election.node() && slow.at() <= election.at())
        }
        "no_victory" => past.at("election_started") > past.settled_at(),
        "gap" => has("gap") && past.at("stepped_down") > past.at("election_won"),
        "isolated" => has("peer_down") && past.at("stepped_down") > past.at("election_won"),
        // It may have promised since to somebody who died before it was followed.
        "no_coordinator" => past.settled_at().is_none_or(|settled| {
            fates.anybody_away(election.life(), settled, election.at())
                || past.at("stepped_down") > Some(settled)
        }),
        _ => false,
    }
}
