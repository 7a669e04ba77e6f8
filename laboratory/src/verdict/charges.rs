//! Charges: violations unless a line is missing; and which lines may be missing.
//!
//! A torn line can excuse the absence of one event, of the incarnation that it was about, at its position
//! among that incarnation's lines. `events_lost` excuses the given number of events of its node from before
//! it was written; and a log whose first files are gone excuses the absence of events that may have been
//! there. Each excuses as many violations as it could have contained events, and no more: what several
//! incarnations say about one event counts once for each.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::log::{Event, Life, Log, Torn};

/// A violation, unless lines are missing.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) violation: Violation,
    pub(super) lack: Lack,
    /// The event in the missing line, if it may also explain what other incarnations say; and whose it is.
    pub(super) shared: Option<(Meant, Life)>,
}

/// The event in a missing line: its kind, and which one.
pub(super) type Meant = (&'static str, u64, u64);

impl Charge {
    /// A charge that only its own missing lines could excuse.
    pub(super) fn new(violation: Violation, lack: Lack) -> Charge {
        Charge {
            violation,
            lack,
            shared: None,
        }
    }
}

/// Which lines would have to be missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lack {
    /// About which node; none if it may be any.
    node: Option<u64>,
    incarnation: Option<u64>,
    /// Position and timestamp of the last line before them; 0 if there is none in the log.
    after: (usize, u64),
    /// Position of the next line.
    before: usize,
    /// How many.
    count: usize,
}

/// Position and timestamp of a line.
pub(super) fn place(event: &Event) -> (usize, u64) {
    (event.line, event.at())
}

impl Lack {
    /// One line of, or about, an incarnation between two of its own.
    pub(super) fn of(life: Life, after: (usize, u64), before: usize) -> Lack {
        Lack {
            node: Some(life.0),
            incarnation: Some(life.1),
            after,
            before,
            count: 1,
        }
    }

    /// One line about any incarnation of a node, anywhere.
    pub(super) fn about(node: u64) -> Lack {
        Lack::after(node, (0, 0))
    }

    /// One line about any incarnation of a node, after another line.
    pub(super) fn after(node: u64, after: (usize, u64)) -> Lack {
        Lack {
            node: Some(node),
            after,
            ..Lack::anywhere()
        }
    }

    /// One line about any node, anywhere.
    pub(super) fn anywhere() -> Lack {
        Lack {
            node: None,
            incarnation: None,
            after: (0, 0),
            before: usize::MAX,
            count: 1,
        }
    }

    /// A charge that no missing line can excuse.
    pub(super) fn nothing() -> Lack {
        Lack {
            after: (usize::MAX, u64::MAX),
            ..Lack::anywhere()
        }
    }

    /// Not before the first remaining line.
    pub(super) fn within_the_log(self) -> Lack {
        Lack {
            after: (self.after.0.max(1), self.after.1),
            ..self
        }
    }

    /// This many of them.
    pub(super) fn times(self, count: usize) -> Lack {
        Lack { count, ..self }
    }

    fn is_torn(&self, torn: &Torn) -> bool {
        let is_it = |meant: Option<u64>, told: Option<u64>| {
            meant.is_none_or(|meant| told.is_none_or(|told| told == meant))
        };
        // The line itself may contain the beginning of another.
        (self.after.0 < torn.line && torn.line <= self.before)
            && is_it(self.node, torn.node)
            && is_it(self.incarnation, torn.incarnation)
    }
}

/// What is known to be missing from a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    torn: Vec<Torn>,
    lost: Vec<Lost>,
    pub(super) is_cut: bool,
}

/// Events that could not be written.
#[derive(Clone, Copy, Debug)]
struct Lost {
    node: Option<u64>,
    count: u64,
    /// Position of the line that reports them.
    until: u64,
}

impl Missing {
    pub(super) fn of(log: &Log) -> Missing {
        let told = log.named("events_lost").map(|lost| Lost {
            node: Some(lost.node()),
            count: lost.number("count"),
            until: lost.at(),
        });
        let mut lost: Vec<Lost> = told.collect();
        let told = lost.iter().map(|lost| lost.count);
        let told = told.fold(0, u64::saturating_add);
        // These are known to be missing from another source, and no more.
        lost.push(Lost {
            node: None,
            count: log.lost.saturating_sub(told),
            until: u64::MAX,
        });
        Missing {
            torn: log.torn.clone(),
            lost,
            is_cut: log.is_cut,
        }
    }

    /// The charges of one law that no missing line excuses.
    pub(super) fn sustain(&self, mut charges: Vec<Charge>) -> Vec<Violation> {
        // The charge that ends first takes the first possible line: no other choice excuses more of them.
        charges.sort_by_key(|charge| charge.lack.before);
        let mut left = self.clone();
        let mut granted: BTreeMap<Meant, BTreeSet<Life>> = BTreeMap::new();
        charges.retain(|charge| {
            let Some((meant, life)) = charge.shared else {
                return !left.excuses(&charge.lack);
            };
            let mut lives = granted.get_mut(&meant);
            if lives.as_mut().is_some_and(|lives| lives.insert(life)) {
                return false;
            }
            let is_excused = left.excuses(&charge.lack);
            if is_excused {
                granted.insert(meant, BTreeSet::from([life]));
            }
            !is_excused
        });
        charges.into_iter().map(|charge| charge.violation).collect()
    }

    /// Whether these lines may be missing; if so, they excuse nothing else.
    pub(super) fn excuses(&mut self, lack: &Lack) -> bool {
        if self.is_cut && lack.after.0 == 0 {
            return true;
        }
        let torn = self.torn.iter().enumerate();
        let mut torn: Vec<usize> = torn
            .filter(|(_, torn)| lack.is_torn(torn))
            .map(|(index, _)| index)
            .collect();
        let is_known = |&index: &usize| self.torn[index].node.is_none();
        torn.sort_by_key(is_known);
        torn.truncate(lack.count);
        let of_it = |lost: &&mut Lost| {
            let is_its = lack
                .node
                .is_none_or(|node| lost.node.is_none_or(|of| of == node));
            is_its && lack.after.1 <= lost.until && lack.after.0 < usize::MAX
        };
        let mut needed = (lack.count - torn.len()) as u64;
        let lost = self.lost.iter_mut().filter(of_it);
        let lost: Vec<&mut Lost> = lost.collect();
        let there = lost.iter().map(|lost| lost.count);
        if there.fold(0, u64::saturating_add) < needed {
            return false;
        }
        for lost in lost {
            let taken = needed.min(lost.count);
            lost.count -= taken;
            needed -= taken;
        }
        torn.sort_unstable();
        for index in torn.into_iter().rev() {
            self.torn.remove(index);
        }
        true
    }
}
