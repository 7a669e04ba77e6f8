//! Access control lists, as far as they decide who may read a text. If a file has one, the group bits of its mode
//! are the mask, the most that anybody in the list has, and not the group's rights.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";

/// Whether a file has an access control list. If the file system cannot say, it has none.
pub(crate) fn has_any(file: impl AsFd) -> bool {
    // SAFETY: the name is a C string, and with a size of zero nothing is written.
    let size = unsafe {
        libc::fgetxattr(
            file.as_fd().as_raw_fd(),
            ACCESS.as_ptr(),
            ptr::null_mut(),
            0,
        )
    };
    size > 0
}

/// Removes the default list of a folder, which files created in it would inherit, if there is one.
pub(crate) fn remove_default(folder: BorrowedFd<'_>) {
    // SAFETY: the name is a C string. It is fine if there is none, or if the file system has none.
    unsafe { libc::fremovexattr(folder.as_raw_fd(), DEFAULT.as_ptr()) };
}
