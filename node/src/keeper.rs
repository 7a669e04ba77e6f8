//! A process that briefly outlives its node, so that freeing the node's memory does not delay its death.
//!
//! The kernel first frees the memory of a killed process, 0.1 ms a megabyte, and only then closes the
//! sockets, by which peers learn of the death, and notifies the parent. It does not free memory that another
//! process shares. So each node has a keeper: a process that shares the node's memory and nothing else but
//! the end of a pipe. When the last thread of the node has closed its files, the pipe ends, so the keeper
//! exits, and the memory is freed.

use std::ffi::{CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};
use protocol::id::NodeId;

/// Its niceness, so that processes that elect a successor go first while it frees the memory. The same as that of
/// the arithmetic: with a higher one, a busy machine would hold the memory for long.
const NICENESS: c_int = 5;
/// Bytes of its stack; it calls four functions of the C library.
const STACK: usize = 16 << 10;
/// Alignment of stacks.
const ALIGNMENT: usize = 16;

/// The keeper's input.
struct Plan {
    /// Ends when the node does.
    pipe: RawFd,
    name: CString,
}

/// Starts the keeper of this process. Must be called before the process opens anything: until
/// the keeper runs, it shares all open descriptors.
///
/// # Errors
///
/// The system refuses a resource. A node without a keeper only dies more slowly.
pub(crate) fn start(id: NodeId) -> io::Result<()> {
    provide_close_range()?;
    // Nobody reaps it if it ends before the node.
    // SAFETY: no handler is installed that could run in the middle of anything.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Both must live as long as the keeper.
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    let plan = Box::leak(Box::new(Plan {
        pipe: ours.as_raw_fd(),
        name: CString::new(format!("keeper-{id}"))?,
    }));
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top as usize % ALIGNMENT);
    // No handler of this process may run in the keeper, and none of its calls may be interrupted.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: `keep` never returns; its stack and its plan are never freed. It shares the thread-local
    // storage of this thread, but uses none of it: it uses the C library only for system calls,
    // none of which fails here, so none writes `errno`.
    let pid = unsafe {
        libc::clone(
            keep,
            top.cast(),
            libc::CLONE_VM | libc::SIGCHLD,
            (&raw mut *plan).cast(),
        )
    };
    let error = io::Error::last_os_error();
    mask.thread_set_mask()?;
    if pid == -1 {
        return Err(error);
    }
    // Closed only when this process has ended.
    let _ = theirs.into_raw_fd();
    // SAFETY: takes numbers only; if it is refused, the keeper keeps the priority of its node.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, pid.cast_unsigned(), NICENESS) };
    Ok(())
}

/// Kernels before 5.9 do not have it, and some containers forbid it.
fn provide_close_range() -> io::Result<()> {
    let none = libc::c_uint::MAX;
    // SAFETY: takes numbers only; no descriptor is that high.
    match unsafe { libc::syscall(libc::SYS_close_range, none, none, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The main function of the keeper. It shares the memory of a node whose threads are running, so it must not
/// allocate or take a lock.
extern "C" fn keep(plan: *mut c_void) -> c_int {
    let mut byte = 0_u8;
    // SAFETY: the plan is never freed nor changed. The calls take numbers, a string that is terminated,
    // and a byte that is valid for writes.
    unsafe {
        let Plan { pipe, name } = &*plan.cast::<Plan>();
        libc::syscall(libc::SYS_close_range, 0, pipe - 1, 0);
        libc::syscall(libc::SYS_close_range, pipe + 1, libc::c_uint::MAX, 0);
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        libc::syscall(libc::SYS_read, *pipe, &raw mut byte, 1);
        libc::_exit(0)
    }
}
