//! The laws that one pass over the log judges. Their memory grows with processes, epochs and
//! factorials, and by a few bytes per operation, but not with events.
//!
//! The events of one writer come in the order in which it wrote them, that of the file. The relative order of
//! several writers does not matter.

use std::borrow::Cow;

use super::Violation;
use super::charges::Missing;
use super::computing::Computing;
use super::epochs::Epochs;
use super::fencing::Fencing;
use super::obedience::Obedience;
use super::plan::Plans;
use super::processes::Processes;
use super::work::Work;
use crate::log::{Event, Log};

/// What the laws have seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    epochs: Epochs,
    obedience: Obedience,
    fencing: Fencing,
    plans: Plans,
    computing: Computing,
    processes: Processes,
    pub(super) work: Work,
}

impl Course {
    /// Everything that a log contained, including discarded lines.
    pub(super) fn of(log: &Log) -> Cow<'_, Course> {
        if let Some(let_go) = &log.let_go {
            return Cow::Borrowed(&let_go.course);
        }
        let mut course = Course::default();
        for event in log.in_order_of_lines() {
            course.take(event);
        }
        Cow::Owned(course)
    }

    pub(crate) fn take(&mut self, event: &Event) {
        self.epochs.take(event);
        self.obedience.take(event);
        self.fencing.take(event);
        self.plans.take(event);
        self.computing.take(event);
        self.processes.take(event);
        self.work.take(event);
    }

    /// All violations.
    pub(super) fn check(&self, missing: &Missing) -> Vec<Violation> {
        let mut violations = self.epochs.check(missing);
        violations.extend(self.obedience.check());
        violations.extend(self.fencing.check(missing));
        violations.extend(self.plans.check(&self.work, missing));
        violations.extend(self.computing.check(missing));
        violations.extend(self.processes.check(missing));
        violations
    }
}
