//! A run in a few sentences and numbers.

use std::fmt::Write as _;

use super::clock::Clock;
use super::jobs::Job;
use super::reigns::{Reigns, told};
use crate::failovers::Failover;
use crate::figures::{Figures, detailed};
use crate::log::{Event, Log};

/// The most important numbers: name and value.
pub(super) fn cards(
    log: &Log,
    figures: &Figures,
    clock: Clock,
    reigns: &Reigns,
    jobs: &[Job],
    failovers: &[Failover],
) -> Vec<(String, String)> {
    let done = jobs.iter().filter(|job| job.done.is_some()).count();
    let rejected = jobs.iter().filter(|job| job.rejected.is_some()).count();
    let mut cards = vec![
        ("length", seconds(clock.length_us())),
        ("nodes", nodes(log).to_string()),
        ("faults", detailed(&figures.faults)),
        ("failovers", failovers.len().to_string()),
        ("ended before a takeover", detailed(&figures.unreplaced)),
        ("longest failover", longest(failovers)),
        ("time coordinated", share(clock, reigns)),
        ("handed over", times(figures.reached.hand_overs)),
        (
            "stale acts refused",
            figures.reached.stale_refused.to_string(),
        ),
        ("jobs", job_words(jobs.len(), done, rejected)),
    ];
    if figures.operations > 0 {
        cards.push(("operations computed", computed_words(figures)));
    } else if figures.duplicates > 0 {
        cards.push(("duplicate products", figures.duplicates.to_string()));
    }
    cards
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The content of the picture in words, as alternative text.
pub(super) fn description(
    clock: Clock,
    reigns: &Reigns,
    failovers: &[Failover],
    jobs: &[Job],
) -> String {
    let mut text = format!("In {} ", seconds(clock.length_us()));
    match worst(failovers) {
        // Writing to a string cannot fail.
        Some(only) if failovers.len() == 1 => {
            let _ = write!(
                text,
                "the coordinator was lost once and replaced after {} ({}).",
                milliseconds(only.ms),
                told(only)
            );
        }
        Some(worst) => {
            let _ = write!(
                text,
                "the coordinator was lost {} and replaced each time, after at most {} ({}).",
                times(failovers.len()),
                milliseconds(worst.ms),
                told(worst)
            );
        }
        None if reigns.reigns.is_empty() => text.push_str("no node came to coordinate."),
        None => text.push_str("no coordinator was lost and replaced."),
    }
    let over = jobs.iter().filter(|job| {
        let lost = |failover: &Failover| {
            let (from, at) = (job.accepted.first(), clock.us(failover.at_ns));
            from.is_some_and(|&from| from <= at) && job.done.is_some_and(|done| at < done)
        };
        failovers.iter().any(lost)
    });
    let open = jobs.iter().filter(|job| job.done.is_none()).count();
    match over.count() {
        0 => {}
        1 => text.push_str(" One job went on through that and was finished."),
        over => {
            let _ = write!(text, " {over} jobs went on through that and were finished.");
        }
    }
    if open > 0 {
        let _ = write!(text, " Not done when the log ends: {open}.");
    }
    text
}

/// Milliseconds as a person reads them.
pub(super) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{:.0} µs", ms * 1_000.0),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1_000.0),
    }
}

/// Microseconds as a person reads the length of a run.
pub(super) fn seconds(us: u64) -> String {
    let seconds = us as f64 / 1e6;
    if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = us / 1_000_000;
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// The numbers of computations and of different operations: one that was lost, or that a later job needs, is
/// computed again.
fn computed_words(figures: &Figures) -> String {
    match (figures.operations, figures.different_operations) {
        (all, different) if all == different => format!("{all}, each once"),
        (all, different) => format!("{all}, of {different} different ones"),
    }
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

fn worst(failovers: &[Failover]) -> Option<&Failover> {
    failovers.iter().max_by(|a, b| a.ms.total_cmp(&b.ms))
}

fn longest(failovers: &[Failover]) -> String {
    worst(failovers).map_or_else(|| "-".to_owned(), |worst| milliseconds(worst.ms))
}

/// The share of time with a coordinator, since the first one.
fn share(clock: Clock, reigns: &Reigns) -> String {
    let Some(first) = reigns.reigns.first() else {
        return "never".to_owned();
    };
    let last = reigns.reigns.last().map_or(0, |reign| reign[1]);
    let whole = last.max(first[0]) - first[0];
    let absent: u64 = reigns
        .absences
        .iter()
        .filter(|one| one.from >= first[0] && one.from < last)
        .map(|one| one.to - one.from)
        .sum();
    if whole == 0 || clock.length_us() == 0 {
        return "-".to_owned();
    }
    // Never rounded up to 100 %.
    let share = (10_000.0 * (1.0 - absent as f64 / whole as f64)).floor() / 100.0;
    format!("{share} %")
}

fn nodes(log: &Log) -> usize {
    let mut nodes: Vec<u64> = log.events.iter().map(Event::node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.len()
}

fn job_words(all: usize, done: usize, rejected: usize) -> String {
    if all == 0 {
        return "none".to_owned();
    }
    let mut words = format!("{} of {all} done", done.saturating_sub(rejected));
    if rejected > 0 {
        words.push_str(&format!(", {rejected} rejected"));
    }
    words
}
