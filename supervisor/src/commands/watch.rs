//! The process that watches the jobs directory, for the supervisor, which waits for no disk. What it says
//! is that something may have been dropped, and it reads nothing but the names in the system's events.

mod folder;

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use glob::Pattern;
use ipc::control::{Sent, WatchEnd};
use nix::sys::prctl;
use nix::unistd::{Pid, getppid};
use node::inherited;

use self::folder::Watched;
use crate::commands::failure::{CANNOT, Failure};

/// The name of its process.
const NAME: &std::ffi::CStr = c"bullpen-watch";
/// After a hint the next one waits so long, so that a flood of files is not a flood of hints.
const PAUSE: Duration = Duration::from_millis(1);

/// The arguments of `bullpen watch`, which the supervisor alone calls.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The inherited descriptor of the link to the supervisor.
    #[arg(long)]
    control_fd: RawFd,
    /// Process ID of the supervisor: without it this process ends.
    #[arg(long)]
    supervisor: i32,
    /// Nobody but root may trace this process or read its memory.
    #[arg(long)]
    not_dumpable: bool,
    /// The jobs directory.
    #[arg(long)]
    jobs: PathBuf,
    /// Names that are jobs beside those that end in .job.
    #[arg(long)]
    accept: Vec<Pattern>,
    /// Without events.
    #[arg(long)]
    poll: bool,
}

/// Watches until the supervisor is gone. To be called by a process that has opened nothing yet.
///
/// # Errors
///
/// It was not started by a supervisor.
pub(crate) fn run(args: &WatchArgs) -> Result<(), Failure> {
    inherited::die_of_signals();
    // Not called `bullpen`, which is the supervisor.
    let _ = prctl::set_name(NAME);
    if args.not_dumpable {
        // Refused by no kernel that can execute this.
        let _ = prctl::set_dumpable(false);
    }
    let link = inherited::take(args.control_fd).and_then(|fd| WatchEnd::from_fd(fd).ok());
    let link = link.filter(|_| getppid() == Pid::from_raw(args.supervisor));
    watch(args, &link.ok_or_else(by_hand)?);
    Ok(())
}

fn by_hand() -> Failure {
    let sentence = "what watches the jobs directory is started by `bullpen up`, not by hand";
    Failure::new(CANNOT, sentence)
}

/// Hints when something happens, and by the clock where events cannot be relied on.
fn watch(args: &WatchArgs, link: &WatchEnd) {
    // One place: that something happened counts, and not how often.
    let (happened, happenings) = sync_channel(1);
    let mut watched = Watched::new(args.jobs.clone(), args.accept.clone(), !args.poll, happened);
    watched.look();
    let mut hint_due = true;
    loop {
        if hint_due {
            match link.send(watched.report()) {
                Ok(sent) => hint_due = sent == Sent::WouldBlock,
                // The supervisor is gone.
                Err(_) => return,
            }
            thread::sleep(PAUSE);
        }
        hint_due |= match happenings.recv_timeout(watched.look_after()) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => watched.hints_by_clock(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        hint_due |= watched.look();
    }
}
