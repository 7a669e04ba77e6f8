//! How long a cluster was without a coordinator: from what took one to the first act of the next.

use std::collections::BTreeMap;
use std::fmt;

use crate::log::{Event, Life, Log};

/// A coordinator was taken, and another acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Failover {
    /// What took it.
    pub cause: Cause,
    /// Whether the node did it to itself, as it was asked to.
    pub injected: bool,
    /// Who coordinated.
    pub node: u64,
    /// Which life of that node.
    pub incarnation: u64,
    /// When it was taken, by the first event that tells: `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// Who acted next.
    pub successor: u64,
    /// From `at_ns` to the successor's `acting`, in milliseconds.
    pub ms: f64,
}

/// What takes a coordinator. Displays as a signal's name, where it is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It died of this signal, such as `SIGKILL`.
    Killed(String),
    /// It was stopped, by `SIGSTOP` or one like it.
    Stopped,
    /// It answered nothing for a while, as it was asked to.
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

impl Failover {
    /// Every failover of a run, in the order of time.
    ///
    /// A hand-over is none: the incumbent lives, and promises to its successor. Nor is a stop or a
    /// stall that nobody noticed, and after which the same process went on.
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
}

/// A death may be seen by its links, and a successor act, before the supervisor has reaped it.
const REAPING_NS: u64 = 1_000_000_000;

/// What the log tells of the processes, and of what others saw of them.
#[derive(Debug, Default)]
struct Fates<'a> {
    own: BTreeMap<Life, Vec<&'a Event>>,
    /// The `peer_down` of others.
    losses: BTreeMap<Life, Vec<&'a Event>>,
}

impl<'a> Fates<'a> {
    fn of(log: &'a Log) -> Fates<'a> {
        let mut fates = Fates::default();
        for event in &log.events {
            match event.name() {
                "node_signalled" | "node_exited" | "node_stopped" | "node_continued"
                | "fault_injected" | "stepped_down" => {
                    fates.own.entry(event.life()).or_default().push(event)
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

    /// The failover between two coordinatorships that follow each other; none if the first was
    /// handed over.
    fn end_of(&self, incumbent: &Event, successor: &Event) -> Option<Failover> {
        let (from, to) = (incumbent.at(), successor.at());
        let life = incumbent.life();
        let own = self.own.get(&life).map_or(&[][..], Vec::as_slice);
        let losses = self.losses.get(&life).map_or(&[][..], Vec::as_slice);
        let noticed = |since: u64, until: u64| {
            let until = until.min(to);
            losses
                .iter()
                .any(|loss| (since..=until).contains(&loss.at()))
        };

        let reign = from..to.saturating_add(REAPING_NS);
        let mut taken: Option<(&Event, Cause)> = None;
        for event in own.iter().filter(|event| reign.contains(&event.at())) {
            let since = taken.as_ref().map(|(fault, _)| fault.at());
            let in_secret = since.is_some_and(|since| !noticed(since, event.at()));
            match event.name() {
                "stepped_down" if taken.is_none() && event.at() <= to => return None,
                "node_continued" if in_secret => taken = None,
                // Nothing tells of the end of a stall, but another fault does.
                _ if taken.is_none() || (in_secret && is_stall(&taken)) => {
                    taken = cause(event).map(|cause| (*event, cause)).or(taken);
                }
                _ => {}
            }
        }

        let (fault, cause) = taken?;
        let is_death = matches!(cause, Cause::Killed(_) | Cause::Exited(_));
        let broken = losses
            .iter()
            .find(|loss| loss.text("by") == "link" && reign.contains(&loss.at()));
        // The links of a dead one may end before it is reaped.
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

fn is_stall(taken: &Option<(&Event, Cause)>) -> bool {
    matches!(taken, Some((_, Cause::Stalled)))
}

/// What an event does to its node, if it takes it.
fn cause(event: &Event) -> Option<Cause> {
    match (event.name(), event.text("do")) {
        ("node_signalled", _) => match event.text("signal") {
            "SIGSTOP" => Some(Cause::Stopped),
            "SIGKILL" => Some(Cause::Killed("SIGKILL".to_owned())),
            // Whether it does anything shows later.
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
mod tests {
    use serde_json::json;

    use super::*;

    /// A log of `(ms, node, incarnation, event, fields)`.
    fn log(events: &[(u64, u64, u64, &str, serde_json::Value)]) -> Log {
        let lines = events.iter().map(|(ms, node, incarnation, name, fields)| {
            let mut line = json!({
                "mono_ns": ms * 1_000_000, "node": node, "incarnation": incarnation, "event": name,
            });
            for (field, value) in fields.as_object().unwrap() {
                line[field] = value.clone();
            }
            format!("{line}\n")
        });
        Log::parse(lines.collect::<String>().as_bytes())
    }

    fn lost(ms: u64, by: &str) -> (u64, u64, u64, &'static str, serde_json::Value) {
        let fields = json!({"peer": 5, "peer_incarnation": 6, "by": by});
        (ms, 4, 5, "peer_down", fields)
    }

    #[test]
    fn a_death_counts_from_what_tells_of_it_first() {
        let failovers = Failover::all(&log(&[
            (0, 5, 6, "acting", json!({})),
            (100, 5, 6, "node_exited", json!({"signal": "SIGKILL"})),
            lost(101, "link"),
            (107, 4, 5, "acting", json!({})),
        ]));
        assert_eq!(
            failovers,
            [Failover {
                cause: Cause::Killed("SIGKILL".to_owned()),
                injected: false,
                node: 5,
                incarnation: 6,
                at_ns: 100_000_000,
                successor: 4,
                ms: 7.0,
            }]
        );

        let reaped_late = Failover::all(&log(&[
            (0, 5, 6, "acting", json!({})),
            lost(100, "link"),
            (103, 4, 5, "acting", json!({})),
            (104, 5, 6, "node_exited", json!({"signal": "SIGSEGV"})),
        ]));
        assert_eq!(reaped_late[0].ms, 3.0);
        assert_eq!(reaped_late[0].cause.to_string(), "SIGSEGV");
    }

    #[test]
    fn what_is_signalled_on_demand_counts_from_the_signal() {
        let failovers = Failover::all(&log(&[
            (0, 5, 6, "acting", json!({})),
            (90, 5, 6, "node_signalled", json!({"signal": "SIGCONT"})),
            (97, 5, 6, "node_signalled", json!({"signal": "SIGSTOP"})),
            (99, 5, 6, "node_stopped", json!({})),
            lost(100, "hint"),
            (104, 4, 5, "acting", json!({})),
            (110, 4, 5, "node_signalled", json!({"signal": "SIGKILL"})),
            (112, 4, 5, "node_exited", json!({"signal": "SIGKILL"})),
            (120, 3, 4, "acting", json!({})),
        ]));
        let times: Vec<(String, f64)> = failovers
            .iter()
            .map(|failover| (failover.cause.to_string(), failover.ms))
            .collect();
        assert_eq!(
            times,
            [("SIGSTOP".to_owned(), 7.0), ("SIGKILL".to_owned(), 10.0)]
        );
    }

    #[test]
    fn a_stop_counts_if_somebody_noticed_it() {
        let hand_over = (300, 5, 6, "stepped_down", json!({"why": "promised"}));
        let unnoticed = Failover::all(&log(&[
            (0, 5, 6, "acting", json!({})),
            (100, 5, 6, "node_stopped", json!({})),
            (101, 5, 6, "node_continued", json!({})),
            hand_over.clone(),
            (301, 4, 5, "acting", json!({})),
        ]));
        assert_eq!(unnoticed, []);

        let noticed = Failover::all(&log(&[
            (0, 5, 6, "acting", json!({})),
            (100, 5, 6, "node_stopped", json!({})),
            lost(102, "hint"),
            (104, 4, 5, "acting", json!({})),
            (200, 5, 6, "node_continued", json!({})),
            hand_over,
        ]));
        assert_eq!(noticed[0].ms, 4.0);
        assert_eq!(noticed[0].cause, Cause::Stopped);
    }

    #[test]
    fn an_injected_fault_is_the_cause_of_the_death_that_follows() {
        let fault = json!({"at": "mid-checkpoint", "do": "kill"});
        let failovers = Failover::all(&log(&[
            (0, 5, 6, "acting", json!({})),
            (
                50,
                5,
                6,
                "fault_injected",
                json!({"at": "before-commit", "do": "stall"}),
            ),
            (100, 5, 6, "fault_injected", fault),
            (102, 5, 6, "node_exited", json!({"signal": "SIGKILL"})),
            (110, 4, 5, "acting", json!({})),
        ]));
        assert_eq!(failovers.len(), 1);
        assert!(failovers[0].injected);
        assert_eq!(failovers[0].ms, 10.0);
    }

    #[test]
    fn a_hand_over_is_no_failover() {
        let failovers = Failover::all(&log(&[
            (0, 4, 5, "acting", json!({})),
            (10, 4, 5, "stepped_down", json!({"why": "promised"})),
            (11, 4, 5, "node_exited", json!({"signal": "SIGKILL"})),
            (12, 5, 6, "acting", json!({})),
            (20, 5, 6, "acting", json!({})),
        ]));
        assert_eq!(failovers, []);
    }
}
