//! How long the file system has not answered: whether calls come further, seen from the loop of the node.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::event::Event;

/// A call that has come no further for so long is told of.
const SLOW: Duration = Duration::from_secs(3);
/// How often to look while calls are on their way.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After so long a gap between two looks this process stood still itself, and its calls with it.
const GAP: Duration = Duration::from_secs(1);

/// One or more threads that make calls. Theirs is the progress of any of them: on a slow disk some call
/// ends from time to time, and where it hangs none does.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    /// Asked for and not done.
    open: usize,
    /// When the first of them was asked for, or any came further.
    last: Option<Instant>,
}

impl Progress {
    /// A call is asked for.
    pub(super) fn asked(&self) {
        let mut calls = self.calls();
        if calls.open == 0 {
            calls.last = Some(Instant::now());
        }
        calls.open += 1;
    }

    /// A call begins, or has come further: a piece of a text is written, an entry of a folder read.
    pub(super) fn moved(&self) {
        self.calls().last = Some(Instant::now());
    }

    /// A call is done.
    pub(super) fn done(&self) {
        let mut calls = self.calls();
        calls.open -= 1;
        calls.last = Some(Instant::now());
    }

    /// Since when no call comes further, if any is open.
    fn stands_since(&self) -> Option<Instant> {
        let calls = self.calls();
        calls.last.filter(|_| calls.open > 0)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the loop of the node has seen of the calls.
#[derive(Debug)]
pub(super) struct Watch {
    threads: Vec<Progress>,
    /// When it has looked last, while calls are on their way.
    looked: Option<Instant>,
    /// What was before this process stood still does not count.
    not_before: Instant,
    /// Since when the call stands that was told of.
    told: Option<Instant>,
}

impl Watch {
    pub(super) fn new(threads: Vec<Progress>, now: Instant) -> Watch {
        Watch {
            threads,
            looked: None,
            not_before: now,
            told: None,
        }
    }

    /// When to look again, if any call is open.
    pub(super) fn due(&self) -> Option<Instant> {
        let looks = self.told.is_some() || self.stands_since().is_some();
        looks.then(|| {
            self.looked
                .map_or(self.not_before, |looked| looked + LOOK_EVERY)
        })
    }

    /// Looks, if it is time; what the protocol is to be told.
    pub(super) fn look(&mut self, now: Instant) -> Option<Event> {
        let stands = self.stands_since();
        if stands.is_none() && self.told.is_none() {
            self.looked = None;
            return None;
        }
        match self.looked {
            Some(looked) if now < looked + LOOK_EVERY => return None,
            Some(looked) if now < looked + GAP => {}
            _ => self.not_before = now,
        }
        self.looked = Some(now);
        if let Some(told) = self.told {
            let goes_on = stands.is_none_or(|since| since > told && now < since + SLOW);
            return goes_on.then(|| {
                self.told = None;
                Event::FilesAnswer
            });
        }
        let lasts = now.saturating_duration_since(stands?.max(self.not_before));
        (lasts >= SLOW).then(|| {
            self.told = stands;
            Event::FilesSlow { lasts }
        })
    }

    fn stands_since(&self) -> Option<Instant> {
        self.threads.iter().filter_map(Progress::stands_since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 250 ms for so long; what was told, and when.
    fn looks(watch: &mut Watch, start: Instant, looks: u32) -> Vec<(u32, Event)> {
        let told = (0..looks).filter_map(|look| {
            let event = watch.look(start + LOOK_EVERY * look)?;
            Some((look, event))
        });
        told.collect()
    }

    fn fresh() -> (Progress, Watch, Instant) {
        let (progress, start) = (Progress::default(), Instant::now());
        let watch = Watch::new(vec![Progress::default(), progress.clone()], start);
        (progress, watch, start)
    }

    #[test]
    fn a_call_that_comes_no_further_for_three_seconds_is_told_of_once() {
        let (progress, mut seen, start) = fresh();
        progress.asked();
        let told = looks(&mut seen, start, 40);
        assert!(
            matches!(&told[..], [(12 | 13, Event::FilesSlow { lasts })] if *lasts >= SLOW),
            "{told:?}"
        );
        progress.done();
        let end = start + LOOK_EVERY * 40;
        assert_eq!(seen.look(end), Some(Event::FilesAnswer));
        assert_eq!(seen.look(end + LOOK_EVERY), None);
        assert_eq!(seen.due(), None);
    }

    #[test]
    fn calls_that_come_further_are_no_hang_however_many_they_are_and_however_long_they_take() {
        let (progress, mut seen, start) = fresh();
        progress.asked();
        for look in 0..100 {
            // As if a piece had been written, or the next call had begun.
            progress.calls().last = Some(start + LOOK_EVERY * (look / 8 * 8));
            assert_eq!(seen.look(start + LOOK_EVERY * look), None);
        }
    }

    #[test]
    fn a_thread_that_takes_no_call_hangs_as_well() {
        let (progress, mut seen, start) = fresh();
        for _ in 0..5 {
            progress.asked();
        }
        assert_eq!(looks(&mut seen, start, 40).len(), 1);
    }

    #[test]
    fn time_in_which_the_process_itself_stood_still_does_not_count() {
        let (progress, mut seen, start) = fresh();
        progress.asked();
        assert_eq!(seen.look(start), None);
        for gap in 1..20 {
            assert_eq!(seen.look(start + Duration::from_secs(10) * gap), None);
        }
    }

    #[test]
    fn nothing_is_looked_at_while_no_call_is_open() {
        let (progress, mut seen, start) = fresh();
        assert_eq!(seen.due(), None);
        assert_eq!(seen.look(start + SLOW * 9), None);
        progress.asked();
        assert!(seen.due().is_some());
    }
}
