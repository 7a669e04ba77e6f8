//! The laws that one pass over the log judges. What they remember grows with processes, epochs and
//! factorials, and not with events.
//!
//! The events of one writer come in the order in which it wrote them: that of the file, and of the clocks,
//! which agree on it. In which order the events of several come does not matter.

use super::Violation;
use super::charges::Missing;
use super::computing::Computing;
use super::epochs::Epochs;
use super::fencing::Fencing;
use super::obedience::Obedience;
use super::plan::Plans;
use super::processes::Processes;
use crate::log::{Event, Log};

/// What the laws have seen so far.
#[derive(Debug, Default)]
pub(super) struct Course {
    epochs: Epochs,
    obedience: Obedience,
    fencing: Fencing,
    plans: Plans,
    computing: Computing,
    processes: Processes,
}

/// All that breaks them in a log.
pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut course = Course::default();
    for event in &log.events {
        course.take(event);
    }
    course.end(&Missing::of(log))
}

impl Course {
    pub(super) fn take(&mut self, event: &Event) {
        self.epochs.take(event);
        self.obedience.take(event);
        self.fencing.take(event);
        self.plans.take(event);
        self.computing.take(event);
        self.processes.take(event);
    }

    pub(super) fn end(self, missing: &Missing) -> Vec<Violation> {
        let mut violations = self.epochs.end(missing);
        violations.extend(self.obedience.end());
        violations.extend(self.fencing.end(missing));
        violations.extend(self.plans.end(missing));
        violations.extend(self.computing.end(missing));
        violations.extend(self.processes.end(missing));
        violations
    }
}
