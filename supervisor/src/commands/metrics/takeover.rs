//! How long the cluster was without an acting coordinator, event by event.

use std::collections::BTreeMap;
use std::time::Duration;

use laboratory::log::{Event, Life};
use strum::{IntoStaticStr, VariantArray};

/// What the cluster was without a coordinator for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(super) enum After {
    /// None had acted before.
    Start,
    /// Its process ended.
    Exit,
    /// Its process was stopped.
    Stop,
    /// It gave way: to a higher node, or since it stood still or was cut off.
    StepDown,
    /// Its process was there, and its peers heard nothing of it.
    Silence,
}

impl After {
    pub(super) fn word(self) -> &'static str {
        self.into()
    }
}

/// A takeover that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Takeover {
    pub(super) after: After,
    pub(super) took: Duration,
}

/// Follows who acts. The clock starts with the first event that tells of the loss of the acting
/// coordinator: its end or its stop, as the supervisor writes it, its stepping down, or what its
/// peers saw, which may be on record before the supervisor has reaped it; or else with the first
/// election. It ends with the next `acting`.
#[derive(Debug, Default)]
pub(super) struct Takeovers {
    /// Who acts, and in which term.
    acting: Option<(Life, u64)>,
    /// What became of the one that acts, and when. Forgotten if it is followed again.
    loss: Option<(After, u64)>,
    /// Whether the process of the one that acts is stopped.
    is_stopped: bool,
    /// Since when nodes hold elections. One that ends with the same coordinator is forgotten.
    elections: BTreeMap<u64, u64>,
}

impl Takeovers {
    /// Takes in the next event; the takeover that it ends, if it does.
    pub(super) fn follow(&mut self, event: &Event) -> Option<Takeover> {
        let of_acting = self.is_acting(event.life());
        match event.name() {
            "acting" => return Some(self.act(event)),
            "election_started" => {
                self.elections.entry(event.node()).or_insert(event.at());
            }
            "following" => {
                self.elections.remove(&event.node());
                if self.is_followed_again(event) {
                    self.loss = None;
                }
            }
            "node_exited" => {
                self.elections.remove(&event.node());
                if of_acting {
                    self.lose(After::Exit, event.at());
                }
            }
            "node_stopped" if of_acting => {
                self.is_stopped = true;
                self.lose(After::Stop, event.at());
            }
            "stepped_down" if of_acting => self.lose(After::StepDown, event.at()),
            "node_continued" if of_acting => {
                self.is_stopped = false;
                if self.is_unnoticed_stop() {
                    self.loss = None;
                }
            }
            "peer_down" => {
                let peer = (event.number("peer"), event.number("peer_incarnation"));
                if self.is_acting(peer) {
                    let after = if event.text("by") == "link" {
                        After::Exit
                    } else {
                        After::Silence
                    };
                    self.lose(after, event.at());
                }
            }
            _ => {}
        }
        None
    }

    /// The supervisor's word on why counts for more than that of the peers; the first time counts.
    fn lose(&mut self, after: After, at: u64) {
        self.loss = Some(match self.loss {
            None => (after, at),
            Some((After::Silence, earlier)) => (after, earlier.min(at)),
            Some((known, earlier)) => (known, earlier.min(at)),
        });
    }

    fn is_acting(&self, life: Life) -> bool {
        self.acting.is_some_and(|(acting, _)| acting == life)
    }

    /// Whether a loss has come to nothing: who missed the coordinator follows the same
    /// coordinatorship again. Not so that of one that is dead, or has given it up: there a late
    /// follower has only not heard of it.
    fn is_followed_again(&self, following: &Event) -> bool {
        let (coordinator, term) = (following.number("coordinator"), following.term());
        self.acting
            .is_some_and(|(life, acting)| (life.0, acting) == (coordinator, term))
            && self.elections.is_empty()
            && !self.is_stopped
            && matches!(self.loss, Some((After::Stop | After::Silence, _)))
    }

    fn is_unnoticed_stop(&self) -> bool {
        self.elections.is_empty() && matches!(self.loss, Some((After::Stop, _)))
    }

    fn act(&mut self, event: &Event) -> Takeover {
        let election = self.elections.values().min().copied();
        let (after, begin) = match (self.acting, self.loss) {
            (None, _) => (After::Start, election),
            (Some(_), Some((after, at))) => (after, Some(at)),
            (Some(_), None) => (After::Silence, election),
        };
        self.acting = Some((event.life(), event.term()));
        self.loss = None;
        self.is_stopped = false;
        self.elections.clear();
        let begin = begin.unwrap_or(event.at());
        Takeover {
            after,
            took: Duration::from_nanos(event.at().saturating_sub(begin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use laboratory::log::Log;
    use serde_json::{Value, json};

    use super::*;

    fn follow(events: &[(u64, u64, u64, &str, Value)]) -> Vec<(&'static str, u64)> {
        let mut text = String::new();
        for (ms, node, incarnation, name, fields) in events {
            let mut line = json!({"mono_ns": ms * 1_000_000, "node": node,
                "incarnation": incarnation, "event": name});
            let own = fields.as_object().unwrap().clone();
            line.as_object_mut().unwrap().extend(own);
            text.push_str(&format!("{line}\n"));
        }
        let mut takeovers = Takeovers::default();
        let events = Log::parse(text.as_bytes()).events;
        let taken = events.iter().filter_map(|event| takeovers.follow(event));
        taken
            .map(|one| {
                (
                    one.after.word(),
                    u64::try_from(one.took.as_millis()).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn the_first_begins_with_the_election_and_the_next_with_the_death() {
        let none = || json!({});
        let taken = follow(&[
            (10, 5, 6, "election_started", none()),
            (14, 5, 6, "acting", none()),
            (90, 4, 5, "node_exited", none()),
            (100, 5, 6, "node_exited", none()),
            (101, 4, 7, "election_started", none()),
            (103, 4, 7, "acting", none()),
        ]);
        assert_eq!(taken, [("start", 4), ("exit", 3)]);
    }

    #[test]
    fn what_the_peers_saw_first_counts_and_the_supervisor_says_why() {
        let none = || json!({});
        let lost = |by: &str| json!({"peer": 5, "peer_incarnation": 6, "by": by});
        let taken = follow(&[
            (0, 5, 6, "acting", none()),
            (100, 4, 5, "peer_down", lost("link")),
            (101, 4, 5, "election_started", none()),
            (102, 5, 6, "node_exited", none()),
            (107, 4, 5, "acting", none()),
        ]);
        assert_eq!(taken[1..], [("exit", 7)]);
        let taken = follow(&[
            (0, 5, 6, "acting", none()),
            (600, 4, 5, "peer_down", lost("silence")),
            (605, 4, 5, "acting", none()),
            (900, 5, 6, "stepped_down", none()),
        ]);
        assert_eq!(taken[1..], [("silence", 5)]);
    }

    #[test]
    fn an_election_that_changed_nothing_and_a_short_stop_are_no_takeover() {
        let none = || json!({});
        let taken = follow(&[
            (0, 5, 6, "acting", none()),
            (10, 4, 5, "election_started", none()),
            (11, 4, 5, "following", none()),
            (20, 5, 6, "node_stopped", none()),
            (30, 5, 6, "node_continued", none()),
            (100, 5, 6, "stepped_down", none()),
            (104, 5, 6, "acting", none()),
        ]);
        assert_eq!(taken[1..], [("step_down", 4)]);
    }

    #[test]
    fn a_loss_that_came_to_nothing_is_forgotten() {
        let none = || json!({});
        let hinted = || json!({"peer": 5, "peer_incarnation": 6, "by": "hint"});
        let follows = || json!({"coordinator": 5});
        // It is stopped while the one that would replace it is started again.
        let begin = [
            (0, 5, 6, "acting", none()),
            (100, 5, 6, "node_stopped", none()),
            (101, 3, 4, "peer_down", hinted()),
            (101, 3, 4, "election_started", none()),
        ];
        let after = |middle: &[(u64, u64, u64, &'static str, Value)]| {
            let end = [
                (9_000, 5, 6, "node_exited", none()),
                (9_003, 4, 7, "acting", none()),
            ];
            follow(&[&begin[..], middle, &end[..]].concat())[1]
        };
        let continued = (110, 5, 6, "node_continued", none());
        let again = after(&[continued.clone(), (115, 3, 4, "following", follows())]);
        assert_eq!(again, ("exit", 3));
        // A stall, of which no event tells the end.
        let stalled = follow(&[
            begin[0].clone(),
            begin[2].clone(),
            begin[3].clone(),
            (115, 3, 4, "following", follows()),
            (9_000, 5, 6, "stepped_down", none()),
            (9_002, 4, 7, "acting", none()),
        ]);
        assert_eq!(stalled[1..], [("step_down", 2)]);
        // It is stopped still, or somebody else misses it: whoever follows has not heard of it.
        let late = after(&[(105, 3, 4, "following", follows())]);
        assert_eq!(late, ("stop", 8_903));
        let other = (105, 2, 3, "election_started", none());
        let contested = after(&[other, continued, (115, 3, 4, "following", follows())]);
        assert_eq!(contested, ("stop", 8_903));
    }
}
