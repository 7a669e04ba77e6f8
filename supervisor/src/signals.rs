//! Signals as something that poll(2) can wait for.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::failure::INTERRUPTED;

/// The signals that a supervisor acts on: SIGCHLD, and those that ask it to stop: SIGTERM, SIGINT
/// and SIGHUP. Ready to read when one has arrived.
#[derive(Debug)]
pub(crate) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// From then on a signal that asks to stop ends the process on the spot.
    exit_at_once: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers, and clears whatever signal mask this process was started with.
    /// A SIGHUP that was ignored, as under `nohup`, stays so.
    ///
    /// # Errors
    ///
    /// What the system calls say.
    pub(crate) fn install() -> io::Result<Signals> {
        let mut stop = vec![SIGTERM, SIGINT];
        if !is_ignored(SIGHUP)? {
            stop.push(SIGHUP);
        }
        let exit_at_once = Arc::new(AtomicBool::new(false));
        for signal in &stop {
            signal_hook::flag::register_conditional_shutdown(
                *signal,
                c_int::from(INTERRUPTED),
                Arc::clone(&exit_at_once),
            )?;
        }
        let (read, write) = UnixStream::pair()?;
        let all = stop.iter().chain(&[SIGCHLD]);
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, all)?;
        SigSet::empty().thread_set_mask()?;
        Ok(Signals {
            delivery,
            exit_at_once,
        })
    }

    /// Takes what has arrived, and says how many different signals asked to stop.
    pub(crate) fn drain(&mut self) -> usize {
        self.delivery
            .pending()
            .filter(|signal| *signal != SIGCHLD)
            .count()
    }

    /// For the time when nothing is left to clean up: the next signal that asks to stop ends the
    /// process with [`INTERRUPTED`]. True if one has arrived already.
    pub(crate) fn exit_at_once(&mut self) -> bool {
        self.exit_at_once.store(true, Ordering::SeqCst);
        self.drain() > 0
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }
}

fn is_ignored(signal: c_int) -> io::Result<bool> {
    // SAFETY: `sigaction` is a plain C struct for which all zeroes is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given, and `action` is valid for writes for the whole call.
    if unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(action.sa_sigaction == libc::SIG_IGN)
}
