//! Notices changes of the jobs directory. What it says is a hint; the scan is the truth.

use std::path::Path;
use std::sync::Arc;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches a directory while it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Notifies `changed` whenever a file may have been dropped into `directory`, or was closed by
    /// its writer.
    ///
    /// # Errors
    ///
    /// The system refuses to watch, for example because there are too many watchers.
    pub(crate) fn start(directory: &Path, changed: Arc<Notify>) -> notify::Result<Watch> {
        let mut watcher = notify::recommended_watcher(
            move |event: notify::Result<notify::Event>| {
                // An error may be an overflow of the queue: then anything may have happened.
                if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(access) if !is_close_write(access))) {
                return;
            }
                changed.notify_one();
            },
        )?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Watch { _watcher: watcher })
    }
}

fn is_close_write(access: notify::event::AccessKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    access == AccessKind::Close(AccessMode::Write)
}
