//! Access control lists, as far as they have to do with who may read a text. Where a file has one, the
//! group's rights in its mode are the most that anybody in the list has, and not the group's.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";

/// Whether a file has one. Where the file system cannot say, it has none.
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

/// Takes away what files that are made in a folder would inherit, if there is anything.
pub(crate) fn remove_default(folder: BorrowedFd<'_>) {
    // SAFETY: the name is a C string. That there is none, or that the file system knows none, is as
    // good as that it is gone.
    unsafe { libc::fremovexattr(folder.as_raw_fd(), DEFAULT.as_ptr()) };
}
