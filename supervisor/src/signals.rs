//! Signals as something that poll(2) can wait for.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use nix::unistd::{Pid, getpid};
use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2,
    SIGVTALRM, SIGXCPU,
};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::start;

/// What people and their terminals send to end a process.
const ASKING: [c_int; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];
/// What else ends a process that does nothing about it, and does not come of a fault of its own. Those
/// from the first real-time one on do, too.
const ENDING: [c_int; 9] = [
    SIGUSR1,
    SIGUSR2,
    SIGALRM,
    SIGVTALRM,
    SIGPROF,
    SIGXCPU,
    SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
];
/// Signals that ask to stop are only noted.
const NOT_AT_ONCE: i32 = -1;

/// The signals cannot be handled. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the signal handlers: {0}{advice}", advice = start::advice(.0))]
pub struct SignalsError(#[from] io::Error);

/// The signals that a command acts on: SIGCHLD, those that ask it to stop, and where it says so those
/// that suspend it. Whatever would end a process by default asks to stop, so that it ends in good order.
/// Ready to read when one has arrived.
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// The exit code with which a signal that asks to stop ends the process on the spot.
    at_once: Arc<AtomicI32>,
    suspension_asked: bool,
    /// What asked to stop when this process had been suspended, until somebody asks for that.
    early_stops: usize,
    /// For how long this process was suspended in all.
    suspended: Duration,
}

/// What every process of ours does first: a limit on the size of files is an error of the call that meets
/// it, no signal that it was started to block stays blocked, and if it `acts` on signals, none is lost
/// from now on.
pub fn begin(acts: bool) -> Result<Option<Signals>, SignalsError> {
    ignore(Signal::SIGXFSZ)?;
    let signals = acts.then(Signals::install).transpose();
    SigSet::empty().thread_set_mask().map_err(io::Error::from)?;
    signals
}

impl Signals {
    /// Installs the handlers. What was ignored, as SIGHUP is under `nohup`, stays so, but for SIGTERM; and
    /// process 1, which no signal ends by default, acts on those alone that ask.
    ///
    /// # Errors
    ///
    /// What the system calls say.
    pub fn install() -> Result<Signals, SignalsError> {
        let mut stop = Vec::from(ASKING);
        if getpid() != Pid::from_raw(1) {
            stop.extend(ENDING);
            stop.extend(libc::SIGRTMIN()..=libc::SIGRTMAX());
        }
        let mut heeded = Vec::new();
        for signal in stop {
            // SIGTERM is how everybody ends a service, whoever started it.
            if signal == SIGTERM || !is_ignored(signal)? {
                heeded.push(signal);
            }
        }
        let (read, write) = UnixStream::pair()?;
        let all = heeded.iter().chain(&[SIGCHLD]);
        // First: what a handler sees that does not write there is lost.
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, all)?;
        let at_once = Arc::new(AtomicI32::new(NOT_AT_ONCE));
        for signal in heeded {
            let code = Arc::clone(&at_once);
            let end = move || match code.load(Ordering::SeqCst) {
                NOT_AT_ONCE => {}
                code => signal_hook::low_level::exit(code),
            };
            // SAFETY: the action is async-signal-safe: it loads an atomic number, and exits by `_exit`.
            unsafe { signal_hook::low_level::register(signal, end) }?;
        }
        Ok(Signals {
            delivery,
            at_once,
            suspension_asked: false,
            early_stops: 0,
            suspended: Duration::ZERO,
        })
    }

    /// For a command with processes of its own: what it writes to a terminal does not stop it, and Ctrl-Z
    /// stops it when it says so ([`Signals::suspend`]). Process 1 cannot be stopped.
    ///
    /// # Errors
    ///
    /// What the system calls say.
    pub fn handle_stops(&mut self) -> Result<(), SignalsError> {
        ignore(Signal::SIGTTOU)?;
        if getpid() != Pid::from_raw(1) && !is_ignored(SIGTSTP)? {
            self.delivery.handle().add_signal(SIGTSTP)?;
        }
        Ok(())
    }

    /// Takes what has arrived, and says how many different signals asked to stop.
    pub fn drain(&mut self) -> usize {
        let mut stops = std::mem::take(&mut self.early_stops);
        for signal in self.delivery.pending() {
            match signal {
                SIGCHLD => {}
                SIGTSTP => self.suspension_asked = true,
                _ => stops += 1,
            }
        }
        stops
    }

    /// Whether Ctrl-Z has arrived since the last call. Its caller stops its processes, then itself.
    pub fn take_suspension(&mut self) -> bool {
        std::mem::take(&mut self.suspension_asked)
    }

    /// Stops this process as SIGTSTP does by default: not where nobody could continue it. Returns when
    /// it was continued.
    ///
    /// # Errors
    ///
    /// What the system calls say.
    pub fn suspend(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no function of ours becomes a handler.
        let ours = unsafe { sigaction(Signal::SIGTSTP, &default) }?;
        let raised = raise(Signal::SIGTSTP);
        // SAFETY: gives back what stood there before.
        unsafe { sigaction(Signal::SIGTSTP, &ours) }?;
        self.suspended += begun.elapsed();
        // Who pressed it twice meant one stop.
        self.early_stops = self.drain();
        self.suspension_asked = false;
        Ok(raised?)
    }

    /// The time on a clock that stands still while this process is suspended.
    pub fn now(&self) -> Instant {
        let now = Instant::now();
        now.checked_sub(self.suspended).unwrap_or(now)
    }

    /// For the time when nothing is to be cleaned up: the next signal that asks to stop ends the process
    /// with this exit code. True if one has arrived already.
    pub fn exit_at_once(&mut self, code: u8) -> bool {
        self.at_once.store(code.into(), Ordering::SeqCst);
        self.drain() > 0
    }

    /// As [`Signals::exit_at_once`], for a command that has nothing to say about its end.
    pub fn end_at_once(&mut self, code: u8) {
        if self.exit_at_once(code) {
            std::process::exit(code.into());
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }
}

fn ignore(signal: Signal) -> io::Result<()> {
    let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no function of ours becomes a handler.
    unsafe { sigaction(signal, &ignored) }?;
    Ok(())
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
