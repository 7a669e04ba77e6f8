//! Reports to the supervisor that this process aborts by itself, as a node does that runs out of memory: only the
//! process can distinguish that from a SIGABRT that somebody sent.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

use ipc::control::{NodeEnd, ToSupervisor};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The control link, and what goes over it.
static LAST_WORD: OnceLock<(RawFd, Vec<u8>)> = OnceLock::new();

/// Installs a handler that reports an abort to the supervisor, over a link that stays open as long as this
/// process.
///
/// # Errors
///
/// What the system says.
pub(crate) fn report(control: &NodeEnd) -> io::Result<()> {
    let packet = NodeEnd::packet(&ToSupervisor::Aborting).map_err(io::Error::other)?;
    LAST_WORD.get_or_init(|| (control.as_raw_fd(), packet));
    // The default action stands again when the handler begins, so the process ends by the signal.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_RESETHAND;
    let action = SigAction::new(SigHandler::SigAction(on_abort), flags, SigSet::empty());
    // SAFETY: the handler makes async-signal-safe calls only, and takes no lock: what it reads was
    // written before it was installed.
    unsafe { sigaction(Signal::SIGABRT, &action) }?;
    Ok(())
}

extern "C" fn on_abort(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a valid one to a handler with SA_SIGINFO, and SIGABRT, however it was
    // sent, has a sender.
    let own = unsafe { (*info).si_code == libc::SI_TKILL && (*info).si_pid() == libc::getpid() };
    if own && let Some((link, packet)) = LAST_WORD.get() {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the packet is valid for reads; a link that is full or closed is an error, no more.
        unsafe { libc::send(*link, packet.as_ptr().cast(), packet.len(), flags) };
    }
    // Takes effect when this handler returns.
    // SAFETY: takes a number only.
    unsafe { libc::raise(signal) };
}
