//! S3: a node that knows a higher epoch than its own starts no assignment, checkpoint or file call. Each
//! event contains the highest term that its node knew, and events of an acting coordinator must
//! carry the term in which it acts.
//!
//! It relies only on the order in which one incarnation wrote its lines. A file call that was in
//! progress when its coordinatorship ended is logged whenever it ends, if it won a commit or gave a text
//! its name: one call of each job, since the next would have begun later. A call that takes longer than
//! three seconds is logged as slow, by `file_call_slow`; or the process was suspended, which it logs
//! as `gap`, or the supervisor as a stop. That uses the clock of the supervisor, and one stop
//! anywhere near excuses, so it does not matter which came first.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::charges::{Charge, Lack, Missing, place};
use super::ends::is_numbered;
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "S3";
/// A file call that lasts for three seconds is logged, by a loop that checks four times a second; and as much
/// again for a busy machine.
const LONGEST_CALL_NS: u64 = 3_750_000_000;
/// A node that was suspended for this long starts over measuring how long its calls last.
const LONG_GAP_NS: u64 = 750_000_000;
/// The supervisor logs a stop a little later, and a short one perhaps only after its end.
const TOLD_NS: u64 = 1_000_000_000;

/// Who coordinates.
#[derive(Clone, Debug, Default)]
pub(super) struct Fencing {
    reigns: BTreeMap<Life, Reign>,
    /// When an incarnation was stopped or continued, by the clock of the supervisor.
    stops: BTreeMap<Life, Vec<u64>>,
    charges: Vec<Charge>,
    late: Vec<Late>,
}

/// The state of an incarnation, by its last lines.
#[derive(Clone, Debug, Default)]
struct Reign {
    acting: Option<Event>,
    /// The position of the last line that shows that it does not coordinate, if any.
    idle: (usize, u64),
    ended: Option<Ended>,
    /// A call was logged as slow, and none has ended since.
    is_slow: bool,
    /// The jobs that it took.
    taken: BTreeSet<String>,
}

/// A coordinatorship that is over.
#[derive(Clone, Debug)]
struct Ended {
    by: Event,
    /// Since when a call in progress at that time may have lasted unnoticed.
    since: u64,
    /// Jobs with a call logged since.
    told: BTreeSet<String>,
}

/// A call that ended long after its coordinatorship, unless the process was stopped.
#[derive(Clone, Debug)]
struct Late {
    life: Life,
    since: u64,
    until: u64,
    charge: Charge,
}

impl Fencing {
    pub(super) fn take(&mut self, event: &Event) {
        let Writer::Node(life) = event.writer() else {
            if matches!(event.name(), "node_stopped" | "node_continued") {
                self.stops.entry(event.life()).or_default().push(event.at());
            }
            return;
        };
        let reign = self.reigns.entry(life).or_default();
        self.charges.extend(reign.taken(event));
        match event.name() {
            "acting" => {
                reign.acting = Some(event.clone());
                reign.ended = None;
            }
            "stepped_down" | "following" | "election_started" | "election_won" | "started" => {
                reign.idle = place(event);
                if reign.acting.take().is_some() {
                    reign.ended = Some(Ended {
                        by: event.clone(),
                        since: event.at(),
                        told: BTreeSet::new(),
                    });
                }
            }
            "file_call_slow" => reign.is_slow = true,
            "gap" => reign.stood_still(event),
            "result_published" | "job_done" if reign.is_over() => self.file_call(life, event),
            name if is_authority(name) => self.charges.extend(reign.authority(event)),
            _ => {}
        }
    }

    pub(super) fn check(&self, missing: &Missing) -> Vec<Violation> {
        let mut charges = self.charges.clone();
        for late in &self.late {
            let meant = late.since.saturating_sub(TOLD_NS)..=late.until.saturating_add(TOLD_NS);
            let mut stops = self.stops.get(&late.life).into_iter().flatten();
            if !stops.any(|at| meant.contains(at)) {
                charges.push(late.charge.clone());
            }
        }
        missing.sustain(charges)
    }

    /// A commit was won, or a text got its name, after the coordinatorship.
    fn file_call(&mut self, life: Life, event: &Event) {
        let Some(reign) = self.reigns.get_mut(&life) else {
            return;
        };
        let was_slow = std::mem::take(&mut reign.is_slow);
        let Some(ended) = &mut reign.ended else {
            return;
        };
        // The missing line would have shown that it coordinates again.
        let lack = Lack::of(life, place(&ended.by), event.line);
        let charge =
            |message: String| Charge::new(Violation::new(NAME, message, &[&ended.by, event]), lack);
        let (node, name) = (event.node(), event.name());
        if !ended.told.insert(event.text("job").to_owned()) {
            let message = format!("node {node} does not coordinate and began what ends in {name}");
            self.charges.push(charge(message));
        } else if event.at().saturating_sub(ended.since) > LONGEST_CALL_NS && !was_slow {
            let message = format!("node {node} coordinates no more and has {name}, long after");
            self.late.push(Late {
                life,
                since: ended.since,
                until: event.at(),
                charge: charge(message),
            });
        }
    }
}

impl Reign {
    fn is_over(&self) -> bool {
        self.acting.is_none() && self.ended.is_some()
    }

    /// A node that publishes a job has logged before that it claimed it, under the name that it then had.
    fn taken(&mut self, event: &Event) -> Option<Charge> {
        let job = event.text("job");
        match event.name() {
            "job_accepted" | "job_rejected" => {
                self.taken.insert(job.to_owned());
                None
            }
            "result_published" => {
                let is_it = |taken: &&String| *taken == job || is_numbered(taken, job);
                if self.taken.iter().any(|taken| is_it(&taken)) {
                    return None;
                }
                let message = format!(
                    "node {} publishes job {job}, which it never claimed",
                    event.node()
                );
                let lack = Lack::of(event.life(), (0, 0), event.line);
                Some(Charge::new(Violation::new(NAME, message, &[event]), lack))
            }
            _ => None,
        }
    }

    /// Its calls may have stood still with it.
    fn stood_still(&mut self, gap: &Event) {
        if let Some(ended) = &mut self.ended {
            let length = gap.number("ms").saturating_mul(1_000_000);
            ended.since = match length {
                LONG_GAP_NS.. => gap.at(),
                _ => ended.since.saturating_add(length),
            };
        }
    }

    fn authority(&mut self, event: &Event) -> Option<Charge> {
        let is_call = matches!(event.name(), "result_published" | "job_done");
        self.is_slow &= !is_call;
        let (life, node, name) = (event.life(), event.node(), event.name());
        let charge = match &self.acting {
            Some(acting) if acting.term() == event.term() => return None,
            Some(acting) => {
                let message = format!("node {node} knows a higher term and {name}");
                // One line showed that its office was over; two more that there was another.
                let missing = if is_call { 1 } else { 3 };
                let lack = Lack::of(life, place(acting), event.line).times(missing);
                Charge::new(Violation::new(NAME, message, &[acting, event]), lack)
            }
            None => {
                let message = format!("node {node} does not coordinate and {name}");
                let lack = Lack::of(life, self.idle, event.line);
                Charge::new(Violation::new(NAME, message, &[event]), lack)
            }
        };
        // Those lines account for what follows as well.
        if is_call && self.acting.take().is_some() {
            self.ended = Some(Ended {
                by: event.clone(),
                since: event.at(),
                told: BTreeSet::from([event.text("job").to_owned()]),
            });
        } else {
            self.acting = Some(event.clone());
        }
        Some(charge)
    }
}

/// Whether only a coordinator causes events of this name.
fn is_authority(name: &str) -> bool {
    matches!(
        name,
        "assigned"
            | "checkpointed"
            | "operation_reassigned"
            | "operation_recomputed"
            | "job_accepted"
            | "job_rejected"
            | "job_waits"
            | "job_deleted"
            | "result_published"
            | "job_done"
            | "product_done"
    )
}
