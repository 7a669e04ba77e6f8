//! What the event log shows while it grows.

use std::io;
use std::path::Path;
use std::time::Instant;

use laboratory::log::{Event, now_ns};
use laboratory::tail::{Found, Tail};
use laboratory::verdict::Beliefs;

/// The state of a cluster, as far as its event log has told.
#[derive(Debug)]
pub(super) struct View {
    log: Tail,
    /// What is older is of another run, in a run directory that was used before.
    begun: u64,
    /// Who believes in which coordinator.
    pub(super) beliefs: Beliefs,
    /// What happened to coordinators and processes, in the order of the log.
    turns: Vec<Event>,
    /// How many jobs are done.
    pub(super) done: usize,
    /// When it was last seen that some work was finished, on the clock that `refresh` is told.
    pub(super) worked_at: Instant,
}

impl View {
    /// The view of a cluster that is about to be started.
    pub(super) fn new(log: &Path) -> View {
        View {
            log: Tail::whole(log),
            begun: now_ns(),
            beliefs: Beliefs::default(),
            turns: Vec::new(),
            done: 0,
            worked_at: Instant::now(),
        }
    }

    /// Takes in what has happened since. It is `now`.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub(super) fn refresh(&mut self, now: Instant) -> io::Result<()> {
        let mut events = Vec::new();
        self.log.read(|found| {
            if let Found::Event(event) = found {
                events.push(event);
            }
        })?;
        events.retain(|event| event.at() >= self.begun);
        for event in events {
            self.beliefs.take(&event);
            match event.name() {
                "job_done" => {
                    self.done += 1;
                    self.worked_at = now;
                }
                "checkpointed" | "result_published" => self.worked_at = now,
                "acting" | "node_exited" | "node_stopped" | "node_continued" => {
                    self.turns.push(event);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The first turn since a moment that is meant.
    pub(super) fn turn_since(
        &self,
        since: u64,
        is_meant: impl Fn(&Event) -> bool,
    ) -> Option<&Event> {
        // Lines of different processes may change places, by less than any wait.
        let recent = self.turns.iter().filter(|event| event.at() >= since);
        recent.into_iter().find(|&event| is_meant(event))
    }
}
