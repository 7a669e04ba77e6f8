//! The time of a picture: microseconds from the first event of the run.

use crate::log::Log;

/// When a run began and ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

impl Clock {
    pub(super) fn of(log: &Log) -> Clock {
        let at = |event: Option<&crate::log::Event>| event.map_or(0, crate::log::Event::at);
        Clock {
            start_ns: at(log.events.first()),
            end_ns: at(log.events.last()),
        }
    }

    /// Microseconds from the start to a time of the log.
    pub(super) fn us(self, at_ns: u64) -> u64 {
        at_ns
            .clamp(self.start_ns, self.end_ns)
            .abs_diff(self.start_ns)
            / 1_000
    }

    /// How long the run was, in microseconds.
    pub(super) fn length_us(self) -> u64 {
        self.us(self.end_ns)
    }
}
