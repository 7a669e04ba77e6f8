//! The descriptors that the supervisor passes to a node, under numbers on its command line.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::NodeError;

/// The last of the standard streams, which are never passed so.
const STDERR: RawFd = 2;

/// What a person who starts a node by hand is told about.
pub(crate) const CONTROL: &str = "the control link";
const INBOX: &str = "the watch on the inbox";

/// What a node has got from the supervisor; each descriptor has one owner from here on.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// The node's end of the control link.
    pub(crate) control: OwnedFd,
    /// The inotify instance that watches the jobs directory.
    pub(crate) inbox: Option<OwnedFd>,
}

impl Inherited {
    /// Takes the descriptors, in a process that has opened nothing yet: what is open is inherited
    /// then. To be called once.
    ///
    /// # Errors
    ///
    /// A number is that of no open descriptor, of a standard stream, or of both.
    pub(crate) fn take(control: RawFd, inbox: Option<RawFd>) -> Result<Inherited, NodeError> {
        let control = (control, CONTROL);
        let inbox = inbox.map(|fd| (fd, INBOX));
        for (fd, what) in [Some(control), inbox].into_iter().flatten() {
            if !is_passed(fd) {
                return Err(NodeError::NotInherited { what, fd });
            }
        }
        if let Some((fd, what)) = inbox.filter(|inbox| inbox.0 == control.0) {
            return Err(NodeError::NotInherited { what, fd });
        }
        // SAFETY: the numbers are those of two open descriptors, neither a standard stream. Nothing
        // else in this process owns them: it has not opened anything, and they are taken once.
        let own = |(fd, _)| unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Inherited {
            control: own(control),
            inbox: inbox.map(own),
        })
    }
}

/// Whether a number is an open descriptor and no standard stream.
fn is_passed(fd: RawFd) -> bool {
    // SAFETY: takes a number, of which it tells whether it is open, and changes nothing.
    fd > STDERR && unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1
}
