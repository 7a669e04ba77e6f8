//! Detects, from the loop of the node, that file calls hang.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::event::Event;

/// Calls without progress for this long are reported.
const SLOW: Duration = Duration::from_secs(3);
/// Interval of the checks while calls are open.
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// After such a gap between two checks, the process itself was suspended, and its calls with it.
const GAP: Duration = Duration::from_secs(1);

/// The progress of one or more threads that make calls. Progress of any of them counts: on a slow disk some call
/// ends now and then, on one that hangs none does.
#[derive(Clone, Debug, Default)]
pub(super) struct CallProgress(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    /// Calls that are queued or in progress.
    open: usize,
    /// When the first of them was queued, or any made progress.
    last: Option<Instant>,
}

impl CallProgress {
    /// A call is queued.
    pub(super) fn queued(&self) {
        let mut calls = self.calls();
        if calls.open == 0 {
            calls.last = Some(Instant::now());
        }
        calls.open += 1;
    }

    /// A call begins or makes progress: a piece of a text is written, an entry of a folder is read.
    pub(super) fn advanced(&self) {
        self.calls().last = Some(Instant::now());
    }

    /// A call is done.
    pub(super) fn finished(&self) {
        let mut calls = self.calls();
        calls.open -= 1;
        calls.last = Some(Instant::now());
    }

    /// Since when no call has made progress, if any is open.
    fn stalled_since(&self) -> Option<Instant> {
        let calls = self.calls();
        calls.last.filter(|_| calls.open > 0)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the loop of the node knows of the calls.
#[derive(Debug)]
pub(super) struct HangDetector {
    threads: Vec<CallProgress>,
    /// Time of the last check, while calls are open.
    checked: Option<Instant>,
    /// Time before this does not count: the process was suspended.
    not_before: Instant,
    /// Since when the reported hang has lasted.
    reported: Option<Instant>,
}

impl HangDetector {
    pub(super) fn new(threads: Vec<CallProgress>, now: Instant) -> HangDetector {
        HangDetector {
            threads,
            checked: None,
            not_before: now,
            reported: None,
        }
    }

    /// When to check again, if any call is open.
    pub(super) fn due(&self) -> Option<Instant> {
        let checks = self.reported.is_some() || self.stalled_since().is_some();
        checks.then(|| {
            self.checked
                .map_or(self.not_before, |checked| checked + CHECK_EVERY)
        })
    }

    /// Checks, if it is time; returns an event if the calls begin or cease to hang.
    pub(super) fn check(&mut self, now: Instant) -> Option<Event> {
        let stands = self.stalled_since();
        if stands.is_none() && self.reported.is_none() {
            self.checked = None;
            return None;
        }
        match self.checked {
            Some(checked) if now < checked + CHECK_EVERY => return None,
            Some(checked) if now < checked + GAP => {}
            _ => self.not_before = now,
        }
        self.checked = Some(now);
        if let Some(reported) = self.reported {
            let goes_on = stands.is_none_or(|since| since > reported && now < since + SLOW);
            return goes_on.then(|| {
                self.reported = None;
                Event::FilesAnswer
            });
        }
        let lasts = now.saturating_duration_since(stands?.max(self.not_before));
        (lasts >= SLOW).then(|| {
            self.reported = stands;
            Event::FilesSlow { lasts }
        })
    }

    fn stalled_since(&self) -> Option<Instant> {
        self.threads
            .iter()
            .filter_map(CallProgress::stalled_since)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every 250 ms, this many times; returns the events, and when they came.
    fn looks(detector: &mut HangDetector, start: Instant, looks: u32) -> Vec<(u32, Event)> {
        let told = (0..looks).filter_map(|look| {
            let event = detector.check(start + CHECK_EVERY * look)?;
            Some((look, event))
        });
        told.collect()
    }

    fn fresh() -> (CallProgress, HangDetector, Instant) {
        let (progress, start) = (CallProgress::default(), Instant::now());
        let detector = HangDetector::new(vec![CallProgress::default(), progress.clone()], start);
        (progress, detector, start)
    }

    #[test]
    fn a_call_that_comes_no_further_for_three_seconds_is_told_of_once() {
        let (progress, mut seen, start) = fresh();
        progress.queued();
        let told = looks(&mut seen, start, 40);
        assert!(
            matches!(&told[..], [(12 | 13, Event::FilesSlow { lasts })] if *lasts >= SLOW),
            "{told:?}"
        );
        progress.finished();
        let end = start + CHECK_EVERY * 40;
        assert_eq!(seen.check(end), Some(Event::FilesAnswer));
        assert_eq!(seen.check(end + CHECK_EVERY), None);
        assert_eq!(seen.due(), None);
    }

    #[test]
    fn calls_that_come_further_are_no_hang_however_many_they_are_and_however_long_they_take() {
        let (progress, mut seen, start) = fresh();
        progress.queued();
        for look in 0..100 {
            // As if a piece had been written, or the next call had begun.
            progress.calls().last = Some(start + CHECK_EVERY * (look / 8 * 8));
            assert_eq!(seen.check(start + CHECK_EVERY * look), None);
        }
    }

    #[test]
    fn a_thread_that_takes_no_call_hangs_as_well() {
        let (progress, mut seen, start) = fresh();
        for _ in 0..5 {
            progress.queued();
        }
        assert_eq!(looks(&mut seen, start, 40).len(), 1);
    }

    #[test]
    fn time_in_which_the_process_itself_stood_still_does_not_count() {
        let (progress, mut seen, start) = fresh();
        progress.queued();
        assert_eq!(seen.check(start), None);
        for gap in 1..20 {
            assert_eq!(seen.check(start + Duration::from_secs(10) * gap), None);
        }
    }

    #[test]
    fn nothing_is_looked_at_while_no_call_is_open() {
        let (progress, mut seen, start) = fresh();
        assert_eq!(seen.due(), None);
        assert_eq!(seen.check(start + SLOW * 9), None);
        progress.queued();
        assert!(seen.due().is_some());
    }
}
