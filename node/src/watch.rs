//! Notices changes of the inbox. What it says is a hint; the scan is the truth.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Listens, while it lives, to the inotify instance that all nodes of a cluster share.
#[derive(Debug)]
pub(crate) struct Watch {
    events: AsyncFd<Arc<File>>,
}

/// The inotify instance as it was inherited: nobody in this process listens to it.
#[derive(Clone, Debug)]
pub(crate) struct Inbox(Arc<File>);

impl Inbox {
    /// An inotify instance that does not block.
    pub(crate) fn new(inotify: OwnedFd) -> Inbox {
        Inbox(Arc::new(inotify.into()))
    }

    /// Begins to listen, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system refuses another descriptor to wait for.
    pub(crate) fn watch(&self) -> io::Result<Watch> {
        // SAFETY: the file owns its descriptor and gives the same one at every call, for as long as
        // it lives; nothing takes it out of the AsyncFd.
        let events =
            unsafe { AsyncFd::register_with_interest(Arc::clone(&self.0), Interest::READABLE) };
        Ok(Watch { events: events? })
    }
}

impl Watch {
    /// Waits until something may have been dropped. Cancel safe.
    pub(crate) async fn changed(&self) {
        match self.events.readable().await {
            Ok(mut ready) => {
                // Cleared before it is read until it is empty: what comes later wakes again.
                ready.clear_ready();
                drain(self.events.get_ref());
            }
            // The runtime ends.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Which names they carry does not matter: the directory is scanned anyhow.
fn drain(mut events: &File) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = events.read(&mut buffer) {}
}
