//! What the absence of an event proves in an incomplete log: a torn line may have contained one event, and
//! excuses what one event would.
//!
//! So each claim that relies on an absence says between which lines the event that refutes it would be,
//! and each torn line, or lost event, refutes at most one claim. The remaining claims are proved: the missing
//! events cannot explain them all.

use std::ops::Range;

use super::Violation;
use crate::log::{Event, Life, Log, Torn};

/// Violations that one event would refute.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) violations: Vec<Violation>,
    /// Where the torn line with that event would be; none if no event can refute them.
    pub(super) lacks: Option<Place>,
}

/// Where an event may be missing.
#[derive(Clone, Debug)]
pub(super) struct Place {
    lines: Range<usize>,
    /// Its writer, if known.
    life: Option<Life>,
}

impl Place {
    /// Any line: the event would be one of another process, whose line may be late.
    pub(super) const ANYWHERE: Place = Place {
        lines: 0..usize::MAX,
        life: None,
    };

    /// Between two of one incarnation. A torn line and the complete event that follows it may be one line.
    pub(super) fn between(from: &Event, until: &Event) -> Place {
        Place {
            lines: from.line + 1..until.line + 1,
            life: Some(until.life()),
        }
    }

    /// Before one of the same incarnation.
    pub(super) fn before(event: &Event) -> Place {
        Place {
            lines: 0..event.line + 1,
            life: Some(event.life()),
        }
    }

    fn holds(&self, torn: &Torn) -> bool {
        self.lines.contains(&torn.line) && self.life.is_none_or(|life| torn.may_be_of(life))
    }
}

/// The violations that no torn line excuses. As many claims as possible are refuted: those whose lines
/// end first take the first torn line that they can.
pub(super) fn proved(log: &Log, claims: Vec<Claim>) -> Vec<Violation> {
    let mut lost = log.lost;
    let mut torn = log.torn.clone();
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&index| {
        claims[index]
            .lacks
            .as_ref()
            .map_or(0, |place| place.lines.end)
    });
    let mut refuted = vec![false; claims.len()];
    for index in order {
        let Some(place) = &claims[index].lacks else {
            continue;
        };
        let found = torn.iter().position(|torn| place.holds(torn));
        refuted[index] = match found {
            Some(found) => {
                torn.remove(found);
                true
            }
            None if lost > 0 => {
                lost -= 1;
                true
            }
            None => false,
        };
    }
    let left = claims.into_iter().zip(refuted);
    let left = left.filter(|(_, refuted)| !refuted);
    left.flat_map(|(claim, _)| claim.violations).collect()
}

/// Whether an event of an incarnation may be missing between two of its lines.
pub(super) fn may_lack(log: &Log, from: &Event, until: &Event) -> bool {
    let place = Place::between(from, until);
    log.lost > 0 || log.torn.iter().any(|torn| place.holds(torn))
}
