//! A process that outlives its node by a moment, so that the node's memory does not delay its death.
//!
//! Of a killed process the kernel frees the memory first, 0.1 ms a megabyte, and only then closes the
//! sockets, by which peers learn of the death, and tells the parent. Memory that another process
//! shares is left to that one. So each node has a keeper: a process with the node's memory and nothing
//! else of it but the end of a pipe. When the last thread of the node has closed its files, the pipe
//! ends, and with it the keeper, and then the memory goes.

use std::ffi::{CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};
use protocol::id::NodeId;

/// How far it steps back behind those that elect a successor, while it frees the memory. As far as the
/// arithmetic: any further, and a busy machine would hold the memory for long.
const NICENESS: c_int = 5;
/// Bytes of its stack; it calls four functions of the C library.
const STACK: usize = 16 << 10;
/// Stacks begin at multiples of it.
const ALIGNMENT: usize = 16;

/// What the keeper is given.
struct Plan {
    /// Ends when the node does.
    pipe: RawFd,
    name: CString,
}

/// Starts the keeper of this process. To be called before it opens anything but what it inherits: until
/// the keeper runs, it has open what this process had.
///
/// # Errors
///
/// The system refuses what it takes. A node without a keeper dies slowly, and that is all.
pub(crate) fn start(id: NodeId) -> io::Result<()> {
    provide_close_range()?;
    // Nobody waits for it if it ends before the node.
    // SAFETY: no handler is installed that could run in the middle of anything.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // Both have to last as long as the keeper.
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    let plan = Box::leak(Box::new(Plan {
        pipe: ours.as_raw_fd(),
        name: CString::new(format!("keeper-{id}"))?,
    }));
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top as usize % ALIGNMENT);
    // No handler of ours may run in the keeper, and none of its calls is to be interrupted.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: `keep` returns to nobody; its stack and its plan are never freed. It shares the thread-local
    // storage of this thread, of which it uses nothing: of the C library it makes system calls alone,
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
    // Closed when this process has ended, and not before.
    let _ = theirs.into_raw_fd();
    // SAFETY: takes numbers only; if it is refused, the keeper has the priority of its node.
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

/// What the keeper does. It has the memory of a node whose threads run meanwhile, so it must not allocate,
/// nor take a lock.
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
