//! How long a cluster was without a coordinator: from the loss of one to the first act of the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::log::{Event, Life, Log};

/// A coordinator was lost, and another acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Failover {
    /// What ended it.
    pub cause: Cause,
    /// Whether it was an injected fault.
    pub injected: bool,
    /// The lost coordinator.
    pub node: u64,
    /// Its incarnation.
    pub incarnation: u64,
    /// When it was lost, by the first event that shows it: `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// The successor.
    pub successor: u64,
    /// From `at_ns` to the successor's `acting`, in milliseconds.
    pub ms: f64,
}

/// What ends a coordinator. Displays as a signal's name, if it is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It died of this signal, such as `SIGKILL`.
    Killed(String),
    /// It was stopped, by `SIGSTOP` or one like it.
    Stopped,
    /// It stalled, by an injected fault.
    Stalled,
    /// It exited with this code.
    Exited(u64),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Killed(signal) => f.write_str(signal),
            Cause::Stopped => f.write_str("SIGSTOP"),
            Cause::Stalled => f.write_str("stall"),
            Cause::Exited(code) => write!(f, "exit code {code}"),
        }
    }
}

impl Cause {
    fn is_death(&self) -> bool {
        matches!(self, Cause::Killed(_) | Cause::Exited(_))
    }
}

impl Failover {
    /// Every failover of a run, in time order.
    ///
    /// A hand-over does not count: the incumbent is alive, and promises to its successor. Nor does a stop or a
    /// stall that nobody noticed, or after which all followed the same coordinatorship again.
    pub fn all(log: &Log) -> Vec<Failover> {
        let fates = Fates::of(log);
        let acting: Vec<&Event> = log.named("acting").collect();
        let mut failovers = Vec::new();
        for pair in acting.windows(2) {
            let (incumbent, successor) = (pair[0], pair[1]);
            if incumbent.life() != successor.life() {
                failovers.extend(fates.end_of(incumbent, successor));
            }
        }
        failovers
    }

    /// Whether a fault hit the lost coordinator between its loss and its replacement.
    fn covers(&self, event: &Event) -> bool {
        let end = self.at_ns.saturating_add((self.ms * 1e6) as u64);
        event.life() == (self.node, self.incarnation) && (self.at_ns..=end).contains(&event.at())
    }
}

/// The stops and stalls of a coordinator that ended, or were forgotten, before a takeover, by cause.
/// `failovers` are those of the log.
pub fn unreplaced(log: &Log, failovers: &[Failover], until: u64) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut acting: Option<&Event> = None;
    for event in log.events.iter().take_while(|event| event.at() <= until) {
        match event.name() {
            "acting" => acting = Some(event),
            "stepped_down" => acting = acting.filter(|acting| acting.life() != event.life()),
            // Whoever sent the signal, it is logged again once the process has stopped.
            "node_signalled" => {}
            _ if acting.is_some_and(|acting| acting.life() == event.life()) => {
                let suspended = cause(event).filter(|cause| !cause.is_death());
                let is_replaced = failovers.iter().any(|failover| failover.covers(event));
                if let Some(cause) = suspended.filter(|_| !is_replaced) {
                    *counts.entry(cause.to_string()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    counts
}

/// A death may be seen by its links, and a successor act, before the supervisor has reaped it.
const REAPING_NS: u64 = 1_000_000_000;

/// What the log says about the processes, and about what others saw of them.
#[derive(Debug, Default)]
struct Fates<'a> {
    /// Faults of processes, and whom nodes follow, in order.
    course: Vec<&'a Event>,
    /// The `peer_down` of others.
    losses: BTreeMap<Life, Vec<&'a Event>>,
}

impl<'a> Fates<'a> {
    fn of(log: &'a Log) -> Fates<'a> {
        let mut fates = Fates::default();
        for event in &log.events {
            match event.name() {
                "node_signalled" | "node_exited" | "node_stopped" | "node_continued"
                | "fault_injected" | "stepped_down" | "election_started" | "following" => {
                    fates.course.push(event);
                }
                "peer_down" => {
                    let peer = (event.number("peer"), event.number("peer_incarnation"));
                    fates.losses.entry(peer).or_default().push(event);
                }
                _ => {}
            }
        }
        fates
    }

    /// The failover between two consecutive coordinatorships; none if the first was handed over.
    fn end_of(&self, incumbent: &Event, successor: &Event) -> Option<Failover> {
        let (from, to) = (incumbent.at(), successor.at());
        let life = incumbent.life();
        let losses = self.losses.get(&life).map_or(&[][..], Vec::as_slice);
        let noticed = |since: u64, until: u64| {
            let until = until.min(to);
            losses
                .iter()
                .any(|loss| (since..=until).contains(&loss.at()))
        };

        let reign = from..to.saturating_add(REAPING_NS);
        let begin = self.course.partition_point(|event| event.at() < from);
        let course = self.course[begin..].iter().copied();
        let mut taken: Option<(&Event, Cause)> = None;
        let mut following = Following::default();
        for event in course.take_while(|event| reign.contains(&event.at())) {
            following.take(event, incumbent);
            if event.at() <= to && following.is_again(event, incumbent) {
                taken = taken.filter(|(_, cause)| cause.is_death());
            }
            if event.life() != life {
                continue;
            }
            let since = taken.as_ref().map(|(fault, _)| fault.at());
            let in_secret = since.is_some_and(|since| !noticed(since, event.at()));
            match event.name() {
                "stepped_down" if taken.is_none() && event.at() <= to => return None,
                "node_continued" if in_secret => taken = None,
                // No event shows the end of a stall, except another fault.
                _ if taken.is_none() || (in_secret && is_stall(&taken)) => {
                    taken = cause(event).map(|cause| (event, cause)).or(taken);
                }
                _ => {}
            }
        }

        let (fault, cause) = taken?;
        let is_death = cause.is_death();
        let broken = losses
            .iter()
            .find(|loss| loss.text("by") == "link" && reign.contains(&loss.at()));
        // The links of a dead process may end before it is reaped.
        let at_ns = match broken {
            Some(broken) if is_death => fault.at().min(broken.at()),
            _ => fault.at(),
        };
        let is_proved = is_death || noticed(at_ns, to);
        Some(Failover {
            cause,
            injected: fault.name() == "fault_injected",
            node: life.0,
            incarnation: life.1,
            at_ns,
            successor: successor.node(),
            ms: to.checked_sub(at_ns).filter(|_| is_proved)? as f64 / 1e6,
        })
    }
}

/// Which nodes miss a coordinator, and whether it runs.
#[derive(Debug, Default)]
struct Following {
    /// Nodes that hold elections.
    elections: BTreeSet<u64>,
    is_stopped: bool,
}

impl Following {
    fn take(&mut self, event: &Event, incumbent: &Event) {
        match event.name() {
            "election_started" => {
                self.elections.insert(event.node());
            }
            "following" | "node_exited" => {
                self.elections.remove(&event.node());
            }
            _ => {}
        }
        if event.life() == incumbent.life() {
            self.is_stopped = match event.name() {
                "node_continued" => false,
                _ => self.is_stopped || cause(event) == Some(Cause::Stopped),
            };
        }
    }

    /// Whether nobody misses a possibly lost coordinator any more: all nodes that did follow the
    /// same coordinatorship again. A node that follows while it is stopped does not know that yet.
    fn is_again(&self, event: &Event, incumbent: &Event) -> bool {
        event.name() == "following"
            && (event.number("coordinator"), event.term()) == (incumbent.node(), incumbent.term())
            && self.elections.is_empty()
            && !self.is_stopped
    }
}

fn is_stall(taken: &Option<(&Event, Cause)>) -> bool {
    matches!(taken, Some((_, Cause::Stalled)))
}

/// The end of its node that an event shows, if any.
fn cause(event: &Event) -> Option<Cause> {
    match (event.name(), event.text("do")) {
        ("node_signalled", _) => match event.text("signal") {
            "SIGSTOP" => Some(Cause::Stopped),
            "SIGKILL" => Some(Cause::Killed("SIGKILL".to_owned())),
            // Whether it has an effect shows later.
            _ => None,
        },
        ("node_exited", _) => Some(match event.fields["code"].as_u64() {
            Some(code) => Cause::Exited(code),
            None => Cause::Killed(event.text("signal").to_owned()),
        }),
        ("fault_injected", "kill") => Some(Cause::Killed("SIGKILL".to_owned())),
        ("node_stopped", _) | ("fault_injected", "stop") => Some(Cause::Stopped),
        ("fault_injected", "stall") => Some(Cause::Stalled),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
