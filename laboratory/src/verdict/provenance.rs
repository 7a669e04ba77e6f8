//! S7 and S5: every computed operation was handed out by the owner of an epoch, and every product in the
//! checkpoint was computed by some node.
//!
//! Order relied on: that of messages. An assignment is sent after its line, and arrives before the worker's
//! line; a product is sent after the line of the worker that completed it, and arrives before the
//! coordinator's line that puts it into the checkpoint. So only an incomplete log excuses a line without the
//! one before it: a node that dies before its line is written has sent nothing. Within a worker, its own
//! lines.

use std::collections::BTreeMap;

use super::Violation;
use super::deeds::{Deed, Deeds, Epoch, epoch};
use super::lacking::{Claim, Place, proved};
use crate::log::order::happened_before;
use crate::log::{Event, Life, Log, Op};

pub(super) fn check(log: &Log, deeds: &Deeds<'_>) -> Vec<Violation> {
    // The lines may be in the missing files.
    if log.is_cut {
        return Vec::new();
    }
    let mut claims = Vec::new();
    let mut unowned: BTreeMap<Epoch, Vec<Violation>> = BTreeMap::new();
    for (op, deed) in &deeds.operations {
        claims.extend(assigned_by_nobody(deeds, op, deed, &mut unowned));
        claims.extend(begun_by_nobody(op, deed));
        claims.extend(completed_by_nobody(op, deed));
    }
    // One missing line may show that the epoch was won.
    claims.extend(unowned.into_values().map(|violations| Claim {
        violations,
        lacks: Some(Place::ANYWHERE),
    }));
    proved(log, claims)
}

/// One missing line explains everything that a node computes of an operation, unless there is an assignment
/// by a node that did not own its epoch: those are judged by epoch.
fn assigned_by_nobody(
    deeds: &Deeds<'_>,
    op: &Op,
    deed: &Deed<'_>,
    unowned: &mut BTreeMap<Epoch, Vec<Violation>>,
) -> Vec<Claim> {
    let mut claims: BTreeMap<u64, Claim> = BTreeMap::new();
    for computing in &deed.computing {
        let is_cause = |assigned: &&&Event| {
            assigned.number("worker") == computing.node()
                && assigned.term() <= computing.term()
                && !happened_before(computing, assigned)
        };
        let causes = deed.assigned.iter().filter(is_cause);
        let mut epochs: Vec<Epoch> = causes.map(|assigned| epoch(assigned)).collect();
        if epochs.iter().any(|epoch| deeds.reigns.contains_key(epoch)) {
            continue;
        }
        let message = format!(
            "{op} is computed by node {}, and nobody who owned an epoch had assigned it",
            computing.node()
        );
        let violation = Violation::new("S7", message, &[computing]);
        if let Some(epoch) = epochs.pop() {
            unowned.entry(epoch).or_default().push(violation);
        } else if let Some(claim) = claims.get_mut(&computing.node()) {
            claim.violations.push(violation);
        } else {
            claims.insert(computing.node(), claim(violation, Place::ANYWHERE));
        }
    }
    claims.into_values().collect()
}

fn begun_by_nobody(op: &Op, deed: &Deed<'_>) -> Vec<Claim> {
    let acts = deed.computing.iter().chain(&deed.completed);
    let mut acts: Vec<&Event> = acts.copied().collect();
    acts.sort_unstable_by_key(|event| event.line);
    let mut begun: BTreeMap<Life, usize> = BTreeMap::new();
    let mut claims = Vec::new();
    for act in acts {
        let begun = begun.entry(act.life()).or_default();
        if act.name() == "computing" {
            *begun += 1;
        } else if *begun > 0 {
            *begun -= 1;
        } else {
            let node = act.node();
            let message = format!("{op} is completed by node {node}, which had not begun it");
            let violation = Violation::new("S7", message, &[act]);
            claims.push(claim(violation, Place::before(act)));
        }
    }
    claims
}

fn completed_by_nobody(op: &Op, deed: &Deed<'_>) -> Option<Claim> {
    let without = deed.checkpointed.iter().filter(|kept| {
        let mut completed = deed.completed.iter();
        !completed.any(|completed| !happened_before(kept, completed))
    });
    let violation = |kept: &&Event| {
        let message = format!("{op} is put into the checkpoint, but nobody had completed it");
        Violation::new("S5", message, &[kept])
    };
    let violations: Vec<Violation> = without.map(violation).collect();
    (!violations.is_empty()).then_some(Claim {
        violations,
        lacks: Some(Place::ANYWHERE),
    })
}

fn claim(violation: Violation, lacks: Place) -> Claim {
    Claim {
        violations: vec![violation],
        lacks: Some(lacks),
    }
}
