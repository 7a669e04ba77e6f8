//! What is wrong unless a line is missing, and what may be.
//!
//! A torn line can excuse what could have stood in it: one event, of the life that it told of, where it
//! stands among the lines of that life. `events_lost` excuses so many events of its node, that were not
//! written before it was; and a log whose first files are gone, what lacks an event that may have stood
//! there. Each excuses as often as it could have held another event, and no more: of what several lives say
//! for one event, each one time.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::log::{Event, Life, Log, Torn};

/// A violation, unless lines are missing.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) violation: Violation,
    pub(super) lack: Lack,
    /// What the missing line would tell, if it may account for what other lives say as well; and whose this is.
    pub(super) shared: Option<(Meant, Life)>,
}

/// What a missing line would tell: a word for it, and which.
pub(super) type Meant = (&'static str, u64, u64);

impl Charge {
    /// One that only lines of its own could excuse.
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
    /// About whom; none where it may be anybody.
    node: Option<u64>,
    incarnation: Option<u64>,
    /// Where the last line before them stands, and its clock; 0 if there is none in the log.
    after: (usize, u64),
    /// Where the next one stands.
    before: usize,
    /// How many.
    count: usize,
}

/// Where a line stands, and its clock.
pub(super) fn place(event: &Event) -> (usize, u64) {
    (event.line, event.at())
}

impl Lack {
    /// One line of, or about, a life between two of its own.
    pub(super) fn of(life: Life, after: (usize, u64), before: usize) -> Lack {
        Lack {
            node: Some(life.0),
            incarnation: Some(life.1),
            after,
            before,
            count: 1,
        }
    }

    /// One line about some life of a node, anywhere.
    pub(super) fn about(node: u64) -> Lack {
        Lack::after(node, (0, 0))
    }

    /// One line about some life of a node, after another.
    pub(super) fn after(node: u64, after: (usize, u64)) -> Lack {
        Lack {
            node: Some(node),
            after,
            ..Lack::anywhere()
        }
    }

    /// One line of anybody, anywhere.
    pub(super) fn anywhere() -> Lack {
        Lack {
            node: None,
            incarnation: None,
            after: (0, 0),
            before: usize::MAX,
            count: 1,
        }
    }

    /// What no missing line can excuse.
    pub(super) fn nothing() -> Lack {
        Lack {
            after: (usize::MAX, u64::MAX),
            ..Lack::anywhere()
        }
    }

    /// Not before the first line that is left.
    pub(super) fn within_the_log(self) -> Lack {
        Lack {
            after: (self.after.0.max(1), self.after.1),
            ..self
        }
    }

    /// So many of them.
    pub(super) fn times(self, count: usize) -> Lack {
        Lack { count, ..self }
    }

    fn is_torn(&self, torn: &Torn) -> bool {
        let is_it = |meant: Option<u64>, told: Option<u64>| {
            meant.is_none_or(|meant| told.is_none_or(|told| told == meant))
        };
        // The line itself may hold the beginning of another.
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
    /// They are told of by then.
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
        // Of these is known from elsewhere that they are missing, and no more.
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
        // Who ends first takes the first line that it can: so no other could excuse more of them.
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
