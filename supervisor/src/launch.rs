//! How a node's process is started: this executable again, in its second role.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use ipc::control::SupervisorEnd;
use nix::unistd::Pid;
use node::args::LogFormat;
use node::faults::FaultConfig;
use protocol::config::Config;
use protocol::id::{Incarnation, NodeId, Term};

use crate::cli;

/// This executable, even if its file was replaced or removed meanwhile.
const SELF: &str = "/proc/self/exe";
/// The name in front of a node's arguments, as `ps` shows them.
const NAME: &str = "bullpen";

/// What all nodes of a cluster are started with.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The cluster's settings.
    pub(crate) config: Config,
    /// Folder of the sockets and the event log.
    pub(crate) run_dir: PathBuf,
    /// The jobs directory.
    pub(crate) jobs: PathBuf,
    /// Watches the jobs directory, for whichever node coordinates; none if nobody does.
    ///
    /// One instance that all processes share: the kernel takes some 15 ms to dismantle the last
    /// reference to one, before it closes the other files of a dead process, and so long its peers
    /// would not learn of the death.
    pub(crate) inbox: Option<OwnedFd>,
    /// How the nodes' messages on standard error look.
    pub(crate) log_format: LogFormat,
    /// The faults that nodes inject into themselves, and those of them that have fired.
    pub(crate) faults: Option<FaultConfig>,
}

/// A node's process just after its start.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// Its process ID.
    pub(crate) pid: Pid,
    /// The supervisor's end of its control link.
    pub(crate) link: SupervisorEnd,
}

impl Launch {
    /// Starts a node. Its standard input is empty, its standard error ours, and so is its
    /// standard output where results are logged to it. It leads a process group of its own and
    /// dies with this process.
    ///
    /// # Errors
    ///
    /// What fork, exec or one of the calls between them says.
    pub(crate) fn spawn(
        &self,
        id: NodeId,
        incarnation: Incarnation,
        term: Term,
    ) -> io::Result<Spawned> {
        let (link, control) = ipc::control::pair()?;
        let mut command = Command::new(SELF);
        command
            .arg0(NAME)
            .args(self.arguments(id, incarnation, term, &control)?)
            .process_group(0)
            .stdin(Stdio::null());
        if !self.config.log_results {
            command.stdout(Stdio::null());
        }
        let inherited = [Some(&control), self.inbox.as_ref()].map(|fd| fd.map(AsRawFd::as_raw_fd));
        let supervisor = own_pid();
        // SAFETY: the closure runs in the child between fork and exec. `prepare_child` allocates
        // nothing, takes no lock, and makes async-signal-safe calls on copied numbers only.
        unsafe { command.pre_exec(move || prepare_child(supervisor, inherited)) };
        // The handle may go: children are reaped by their pids.
        let child = command.spawn()?;
        let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Spawned {
            pid: Pid::from_raw(pid),
            link,
        })
    }

    /// An injected fault has fired: unless it is meant to repeat, later lives do not have it.
    pub(crate) fn fault_fired(&mut self, spec: usize) {
        if let Some(faults) = &mut self.faults
            && faults.specs.get(spec).is_some_and(|spec| !spec.repeats())
        {
            faults.spent.insert(spec);
        }
    }

    /// The command line that [`node::args::NodeArgs`] describes.
    fn arguments(
        &self,
        id: NodeId,
        incarnation: Incarnation,
        term: Term,
        control: &OwnedFd,
    ) -> io::Result<Vec<OsString>> {
        let config = serde_json::to_string(&self.config)?;
        let format = self.log_format.to_possible_value().unwrap_or_default();
        let mut arguments: Vec<OsString> = vec![
            cli::NODE.into(),
            "--id".into(),
            id.to_string().into(),
            "--incarnation".into(),
            incarnation.to_string().into(),
            "--term".into(),
            term.to_string().into(),
            "--control-fd".into(),
            control.as_raw_fd().to_string().into(),
            "--supervisor".into(),
            own_pid().to_string().into(),
            "--run-dir".into(),
            self.run_dir.clone().into(),
            "--jobs".into(),
            self.jobs.clone().into(),
            "--log-format".into(),
            format.get_name().into(),
            "--config".into(),
            config.into(),
        ];
        if let Some(inbox) = &self.inbox {
            arguments.extend(["--inbox-fd".into(), inbox.as_raw_fd().to_string().into()]);
        }
        if let Some(faults) = &self.faults {
            arguments.extend(["--faults".into(), serde_json::to_string(faults)?.into()]);
        }
        Ok(arguments)
    }
}

fn own_pid() -> libc::pid_t {
    nix::unistd::getpid().as_raw()
}

/// Makes the child die with its parent, and inherit nothing but the standard streams and what it
/// is given. Must stay async-signal-safe.
fn prepare_child(supervisor: libc::pid_t, inherited: [Option<RawFd>; 2]) -> io::Result<()> {
    /// Linux knows signals 1 to 64.
    const LAST_SIGNAL: libc::c_int = 64;

    for signal in 1..=LAST_SIGNAL {
        // Ignored signals would stay ignored. Fails for SIGKILL, SIGSTOP and the two of the C
        // library, which need no reset.
        // SAFETY: `signal` is async-signal-safe and SIG_DFL is no function of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // A parent that died before the prctl sends no signal any more.
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::getppid() } != supervisor {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // What we were started with may lack close-on-exec. Kernels before 5.11 refuse; then a stray
    // descriptor of our own parent passes on, but none of a sibling's.
    // SAFETY: takes numbers only, and marks descriptors without closing any.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    for fd in inherited.into_iter().flatten() {
        // In the child alone: in the parent the mark keeps a link from later siblings.
        // SAFETY: takes numbers only; `fd` is open, for the parent holds it across the fork.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
