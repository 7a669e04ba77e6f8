//! A run in numbers.

mod reached;
mod spread;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::reached::Reached;
pub use self::spread::Spread;
use crate::failovers::{Failover, unreplaced};
use crate::log::Event;
use crate::verdict::Run;

/// Counted from the events of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Faults of nodes: deaths by a signal or a failure, stops and stalls, by name.
    pub faults: BTreeMap<String, usize>,
    /// How long it was without a coordinator, by what ended the last one.
    pub failovers: BTreeMap<String, Spread>,
    /// How often a coordinator was stopped or stalled, and continued before a takeover.
    pub unreplaced: BTreeMap<String, usize>,
    /// Processes beyond the first of each node.
    pub restarts: usize,
    /// Elections that were held, and those that were won.
    pub elections: Elections,
    /// Number of completed computations.
    pub operations: usize,
    /// Number of different operations among them.
    pub different_operations: usize,
    /// How often an operation was completed again although a job had needed it all the time; by cause, see
    /// [`Repetition::why`](crate::verdict::Repetition::why).
    pub computed_again: BTreeMap<String, usize>,
    /// How often one was taken from a worker, by cause: work that was lost if it had begun.
    pub reassigned: BTreeMap<String, usize>,
    /// Products that arrived when their operation was already done.
    pub duplicates: usize,
    /// Stale messages that were rejected.
    pub stale_refused: BTreeMap<String, usize>,
    /// Situations that it has covered.
    pub reached: Reached,
}

/// How many elections there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Elections {
    /// Begun, by any node.
    pub started: usize,
    /// Won: coordinatorships.
    pub won: usize,
}

impl Figures {
    /// Those of a traced run, up to its end; `failovers` are its failovers.
    pub fn of(run: &Run, failovers: &[Failover]) -> Figures {
        let count = |name| until_the_end(run, name).count();
        let mut seen = BTreeSet::new();
        let spawned = until_the_end(run, "node_spawned");
        let mut computed_again = BTreeMap::new();
        let repetitions = run.repetitions().into_iter();
        for again in repetitions.filter(|again| again.second.at() <= run.end_ns) {
            let why = again.why().to_owned();
            *computed_again.entry(why).or_default() += 1;
        }
        Figures {
            faults: faults(run),
            failovers: spreads(failovers),
            unreplaced: unreplaced(&run.log, failovers, run.end_ns),
            restarts: spawned.filter(|event| !seen.insert(event.node())).count(),
            elections: Elections {
                started: count("election_started"),
                won: count("election_won"),
            },
            operations: count("completed"),
            different_operations: until_the_end(run, "completed")
                .filter_map(Event::op)
                .collect::<BTreeSet<_>>()
                .len(),
            computed_again,
            reassigned: by_text(run, "operation_reassigned", "why"),
            duplicates: count("operation_recomputed"),
            stale_refused: by_text(run, "stale_refused", "what"),
            reached: Reached::of(run),
        }
    }

    /// As rows of a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let row = |name: &str, value: String| (name.to_owned(), value);
        let mut rows: Vec<(String, String)> = self
            .failovers
            .iter()
            .map(|(cause, spread)| row(&format!("failover after {cause}"), spread.to_string()))
            .collect();
        rows.extend([
            row("ended before a takeover", detailed(&self.unreplaced)),
            row("restarts", self.restarts.to_string()),
            row(
                "elections",
                format!(
                    "{} held, {} won",
                    self.elections.started, self.elections.won
                ),
            ),
            row("operations computed", self.operations.to_string()),
            row("taken from a worker", detailed(&self.reassigned)),
            row("computed again", detailed(&self.computed_again)),
            row("duplicate products", self.duplicates.to_string()),
            row("stale acts refused", detailed(&self.stale_refused)),
        ]);
        rows.extend(self.reached.rows());
        rows
    }
}

/// The total, and the number of each: `3 (deadline 1, worker_died 2)`.
pub(crate) fn detailed(all: &BTreeMap<String, usize>) -> String {
    let parts: Vec<String> = all.iter().map(|(why, n)| format!("{why} {n}")).collect();
    match parts.as_slice() {
        [] => "0".to_owned(),
        _ => format!("{} ({})", all.values().sum::<usize>(), parts.join(", ")),
    }
}

fn faults(run: &Run) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let events = run.log.events.iter();
    for event in events.take_while(|event| event.at() <= run.end_ns) {
        let name = match event.name() {
            "node_exited" => match (event.text("signal"), event.fields["code"].as_u64()) {
                ("", Some(code)) if code > 0 => format!("exit code {code}"),
                ("", _) => continue,
                (signal, _) => signal.to_owned(),
            },
            "node_stopped" => "SIGSTOP".to_owned(),
            _ if event.is_stall() => "stall".to_owned(),
            _ => continue,
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn until_the_end<'a>(run: &'a Run, name: &str) -> impl Iterator<Item = &'a Event> {
    let end = run.end_ns;
    run.log.named(name).filter(move |event| event.at() <= end)
}

fn by_text(run: &Run, name: &str, field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in until_the_end(run, name) {
        *counts.entry(event.text(field).to_owned()).or_default() += 1;
    }
    counts
}

fn spreads(failovers: &[Failover]) -> BTreeMap<String, Spread> {
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for failover in failovers {
        let cause = failover.cause.to_string();
        times.entry(cause).or_default().push(failover.ms);
    }
    let spreads = times.into_iter();
    spreads
        .filter_map(|(cause, times)| Some((cause, Spread::of(times)?)))
        .collect()
}

#[cfg(test)]
mod tests;
