//! The watched folder: it may be replaced, go and come back, and its mount may tell little.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use glob::Pattern;
use ipc::control::{WatchMode, WatchReport};
use node::jobs_folder::is_local_path;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use protocol::job::{is_ignored, is_job};

/// How often to look whether the path still leads to the folder that is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often to look for the folder while it is missing.
const SEEK_EVERY: Duration = Duration::from_millis(100);
/// How often to hint where events cannot be relied on.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// When to ask for events again after they were refused.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// After so many events that ask for nothing within [`FLOOD`], the next ones are let pile up for
/// [`REST`]: the system then makes one of those that are alike.
const FLOOD_EVENTS: u32 = 64;
const FLOOD: Duration = Duration::from_millis(50);
const REST: Duration = Duration::from_millis(2);

/// A folder, and what is known of it.
pub(super) struct Watched {
    path: PathBuf,
    accept: Vec<Pattern>,
    by_events: bool,
    happened: SyncSender<()>,
    watcher: Option<RecommendedWatcher>,
    /// Device and inode of what is watched; none while it is missing.
    identity: Option<(u64, u64)>,
    /// When events were asked for.
    asked: Instant,
    report: WatchReport,
}

impl Watched {
    /// A folder that is not watched yet. What matters fills `happened`.
    pub(super) fn new(
        path: PathBuf,
        accept: Vec<Pattern>,
        by_events: bool,
        happened: SyncSender<()>,
    ) -> Watched {
        Watched {
            path,
            accept,
            by_events,
            happened,
            watcher: None,
            identity: None,
            asked: Instant::now(),
            report: POLLED,
        }
    }

    /// How it is watched now.
    pub(super) fn report(&self) -> &WatchReport {
        &self.report
    }

    /// When to look at the latest.
    pub(super) fn look_after(&self) -> Duration {
        match self.report.mode {
            _ if self.identity.is_none() => SEEK_EVERY,
            WatchMode::Notify => LOOK_EVERY,
            WatchMode::Poll => POLL_EVERY,
        }
    }

    /// Whether passing time is a hint by itself.
    pub(super) fn hints_by_clock(&self) -> bool {
        self.report.mode == WatchMode::Poll && self.identity.is_some()
    }

    /// Watches what is at the path, if that is another folder than before, or if there may be events at
    /// last. True if it does from now on: what was dropped meanwhile gave none.
    pub(super) fn look(&mut self) -> bool {
        let found = identity(&self.path);
        let refused = self.by_events && self.watcher.is_none();
        let retries = refused && self.asked.elapsed() >= RETRY_AFTER;
        if found == self.identity && !retries {
            return false;
        }
        self.identity = found;
        // Its events are those of the other folder.
        self.watcher = None;
        self.report = POLLED;
        if found.is_some() && self.by_events {
            self.begin();
        }
        found.is_some()
    }

    fn begin(&mut self) {
        self.asked = Instant::now();
        let folder = self.path.display();
        match self.watch() {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                if is_local_path(&self.path).unwrap_or(true) {
                    self.report.mode = WatchMode::Notify;
                } else {
                    self.report.why = Some(format!(
                        "the mount of {folder} may not tell of all that is dropped there, so it is looked at \
                         every {POLL_EVERY:?}"
                    ));
                }
            }
            Err(error) => {
                // Without the path, which it names in words of its own.
                let error = notify::Error {
                    paths: Vec::new(),
                    ..error
                };
                self.report.why = Some(format!(
                    "cannot watch {folder}, so it is looked at every {POLL_EVERY:?}: {error}"
                ));
            }
        }
    }

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let (folder, accept) = (self.path.clone(), self.accept.clone());
        let happened = self.happened.clone();
        let mut calm = Calm::new();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !matters(&event, &folder, &accept)) {
                calm.keep();
            } else {
                // If it is full, the same has been said.
                let _ = happened.try_send(());
            }
        })?;
        watcher.watch(&self.path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}

/// Without events.
const POLLED: WatchReport = WatchReport {
    mode: WatchMode::Poll,
    why: None,
};

/// Keeps a flood of events that ask for nothing, such as each byte that somebody writes, from costing
/// much.
struct Calm {
    events: u32,
    since: Instant,
}

impl Calm {
    fn new() -> Calm {
        Calm {
            events: 0,
            since: Instant::now(),
        }
    }

    /// Counts an event that asks for nothing.
    fn keep(&mut self) {
        self.events += 1;
        if self.events >= FLOOD_EVENTS {
            if self.since.elapsed() < FLOOD {
                thread::sleep(REST);
            }
            *self = Calm::new();
        }
    }
}

/// Whether an event may be that of a dropped job, or that of the folder itself. To open, read or take away
/// a job is neither: what the coordinator does there must not call it again.
fn matters(event: &Event, folder: &Path, accept: &[Pattern]) -> bool {
    if event.need_rescan() {
        return true;
    }
    let names_job = |path: &PathBuf| {
        let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        !is_ignored(name) && is_job(name, accept)
    };
    match event.kind {
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            event.paths.iter().any(|path| path == folder)
        }
        EventKind::Create(_)
        | EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Name(RenameMode::To)) => {
            event.paths.iter().any(names_job)
        }
        _ => false,
    }
}

/// Device and inode of a folder; none of anything else, and of nothing.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    found.is_dir().then(|| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind};

    use super::*;

    const FOLDER: &str = "/jobs";

    fn asks(kind: EventKind, path: &str) -> bool {
        let event = Event::new(kind).add_path(path.into());
        let accept = [Pattern::new("*.txt").unwrap()];
        matters(&event, Path::new(FOLDER), &accept)
    }

    #[test]
    fn what_may_be_a_drop_asks_for_a_look_and_nothing_else_does() {
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
        let drops = [
            EventKind::Create(CreateKind::File),
            renamed(RenameMode::To),
            closed,
            EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
        ];
        for kind in drops {
            assert!(asks(kind, "/jobs/ten.JOB"), "{kind:?}");
            assert!(asks(kind, "/jobs/ten.txt"), "{kind:?}");
            for other in ["/jobs/.ten.job", "/jobs/ten.job~", "/jobs/notes", FOLDER] {
                assert!(!asks(kind, other), "{kind:?} of {other}");
            }
        }
        // What the coordinator and a slow writer do.
        for kind in [
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            renamed(RenameMode::From),
            EventKind::Remove(RemoveKind::File),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
        ] {
            assert!(!asks(kind, "/jobs/ten.job"), "{kind:?}");
        }
    }

    #[test]
    fn the_end_of_the_folder_and_lost_events_ask_for_a_look() {
        assert!(asks(EventKind::Remove(RemoveKind::Folder), FOLDER));
        let moved = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        assert!(asks(moved, FOLDER));
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(matters(&lost, Path::new(FOLDER), &[]));
    }
}
