//! S7: the cause that a coordinator gives for taking an operation from a worker has happened.
//!
//! A worker that misses the deadline of one operation loses all its operations at once. So of
//! those that one coordinator then takes for that cause, at least one was handed out that long
//! before; or was taken over, that long after the coordinator had begun to act.
//!
//! Order relied on: that of the coordinator's own lines, for the peers it had lost, what it had handed out
//! and when; that of messages, for what an earlier coordinator had handed out: its line came before it sent the
//! assignment, and that before anybody else knew of it, so its timestamp is earlier; and what
//! `fates` says about deaths and stops. The coordinator decides whether a peer was silent: L3 judges that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fates::Fates;
use super::lacking::{Claim, Place, proved};
use super::work::Work;
use super::{Run, Violation};
use crate::log::{Event, Life, Op};

const NAME: &str = "S7";
/// On a busy machine a line may be written later than its event; half of a short deadline is
/// proof enough.
const LATE_LINE: Duration = Duration::from_secs(1);

pub(super) fn check(run: &Run, fates: &Fates, work: &Work) -> Vec<Violation> {
    // Their proof may be in the missing files.
    if run.log.is_cut {
        return Vec::new();
    }
    let mut records = Records::default();
    let least = run.operation_deadline;
    let least = least.map(|deadline| deadline - LATE_LINE.min(deadline / 2));
    let mut unproved = Vec::new();
    // The moments in which coordinators took overdue operations.
    let mut overdue: BTreeSet<(Life, u64)> = BTreeSet::new();
    for event in &run.log.events {
        let is_proved = match event.name() {
            "operation_reassigned" => records.is_called_for(fates, work, event, least),
            "operation_recomputed" => records.was_reassigned(event),
            _ => true,
        };
        if !is_proved {
            unproved.push(event);
        } else if is_for_deadline(event) {
            overdue.insert((event.life(), event.at()));
        }
        records.take(event);
    }
    let by_another =
        |event: &Event| is_for_deadline(event) && overdue.contains(&(event.life(), event.at()));
    unproved.retain(|event| !by_another(event));
    proved(&run.log, claims(unproved))
}

/// One missing event explains everything that one coordinator took in one moment, for one cause; but only an
/// event of the same operation explains what it says about a single operation.
fn claims(unproved: Vec<&Event>) -> Vec<Claim> {
    let mut together: BTreeMap<_, Vec<Violation>> = BTreeMap::new();
    for event in unproved {
        let (name, why) = (event.name(), event.text("why"));
        let message = format!("{name} for a cause that no event proves: {why}");
        let is_alone = name == "operation_recomputed";
        let of_one = event.op().filter(|_| is_alone || why == "takeover");
        together
            .entry((event.life(), event.at(), name, why, of_one))
            .or_default()
            .push(Violation::new(NAME, message, &[event]));
    }
    let claims = together.into_values().map(|violations| Claim {
        violations,
        lacks: Some(Place::ANYWHERE),
    });
    claims.collect()
}

fn is_for_deadline(event: &Event) -> bool {
    event.name() == "operation_reassigned" && event.text("why") == "deadline"
}

/// The log so far.
#[derive(Debug, Default)]
struct Records<'a> {
    /// The last peer that each incarnation lost.
    lost: BTreeMap<Life, &'a Event>,
    /// The coordinators that handed out an operation, in which terms, and when last.
    known: BTreeMap<&'a Op, BTreeMap<(u64, Life), u64>>,
    /// When coordinatorships began to act.
    acting: BTreeMap<(u64, Life), u64>,
    reassigned: BTreeSet<(Life, &'a Op, &'a str)>,
}

impl<'a> Records<'a> {
    fn take(&mut self, event: &'a Event) {
        let life = event.life();
        match event.name() {
            "peer_down" => {
                self.lost.insert(life, event);
            }
            "acting" => {
                self.acting.insert((event.term(), life), event.at());
            }
            _ => {}
        }
        let Some(op) = event.op() else {
            return;
        };
        match event.name() {
            "assigned" => {
                let by = (event.term(), life);
                self.known.entry(op).or_default().insert(by, event.at());
            }
            "operation_reassigned" => {
                self.reassigned.insert((life, op, event.text("why")));
            }
            _ => {}
        }
    }

    /// `least` is the minimum age of an overdue operation, if known.
    fn is_called_for(
        &self,
        fates: &Fates,
        work: &Work,
        taken: &Event,
        least: Option<Duration>,
    ) -> bool {
        let lost = |is_so: &dyn Fn(Life, &Event) -> bool| {
            self.lost.get(&taken.life()).is_some_and(|lost| {
                let peer = (lost.number("peer"), lost.number("peer_incarnation"));
                is_so(peer, lost)
            })
        };
        let Some(op) = taken.op() else {
            return false;
        };
        let known = self.known.get(op);
        match taken.text("why") {
            "worker_died" => lost(&|peer, lost| fates.died_by(peer, lost.at())),
            "worker_stopped" => lost(&|peer, lost| fates.stopped_by(peer, lost.at())),
            "worker_silent" => lost(&|_, lost| lost.text("by") == "silence"),
            "deadline" => known
                .is_some_and(|by| least.is_none_or(|least| self.is_old(fates, by, taken, least))),
            // It, or one of its operands, was handed out in an earlier coordinatorship.
            "takeover" => {
                let now = (taken.term(), taken.life());
                let earlier = |by: &BTreeMap<(u64, Life), u64>| by.keys().any(|&by| by != now);
                match op.level {
                    0 if *op.kind == *"multiply" => known.is_some_and(earlier),
                    _ => work.was_assigned_by_another(op.n, taken),
                }
            }
            _ => false,
        }
    }

    /// Whether an operation handed out by these may have been overdue when it was taken.
    fn is_old(
        &self,
        fates: &Fates,
        by: &BTreeMap<(u64, Life), u64>,
        taken: &Event,
        least: Duration,
    ) -> bool {
        let now = (taken.term(), taken.life());
        let since = by.get(&now).or_else(|| self.acting.get(&now)).copied();
        let least = u64::try_from(least.as_nanos()).unwrap_or(u64::MAX);
        since.is_none_or(|since| {
            let lacking = least.saturating_sub(taken.at().saturating_sub(since));
            // It may have been suspended that long between the act and its line.
            lacking == 0 || fates.slept_until(taken.life(), since, lacking)
        })
    }

    fn was_reassigned(&self, again: &'a Event) -> bool {
        let op = again.op();
        op.is_some_and(|op| {
            self.reassigned
                .contains(&(again.life(), op, again.text("why")))
        })
    }
}
