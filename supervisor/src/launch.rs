//! How a process is started: this executable again, as a node or as what watches the jobs directory.

mod inheritance;

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::iter;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;
use std::time::Duration;

use ipc::control::{SupervisorEnd, WatchMode, WatchedEnd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{ForkResult, Pid};
use node::args::LogFormat;
use node::faults::FaultConfig;
use protocol::config::Config;
use protocol::id::{Incarnation, NodeId, Term};

/// This executable, even if its file was replaced or removed meanwhile.
pub const SELF: &str = "/proc/self/exe";
/// The command that makes this executable a node.
pub const NODE: &str = "node";
/// The command that makes it what watches the jobs directory.
pub const WATCH: &str = "watch";
/// The name in front of the arguments, as `ps` shows them.
const NAME: &str = "bullpen";
/// Exit code of a child that could not execute it, as of shells for what they cannot execute.
const NOT_STARTED: libc::c_int = 127;
const STDIN: RawFd = 0;
const STDOUT: RawFd = 1;

/// What all nodes of a cluster are started with.
#[derive(Debug)]
pub struct Launch {
    /// The cluster's settings.
    pub config: Config,
    /// Folder of the sockets and the event log.
    pub run_dir: PathBuf,
    /// The jobs directory.
    pub jobs: PathBuf,
    /// How a process of its own watches the jobs directory; none if nobody does.
    ///
    /// Never a node: the kernel takes some 15 ms to dismantle the last reference to an inotify instance,
    /// before it closes the other files of a dead process, and so long its peers would not learn of the
    /// death.
    pub watch: Option<WatchMode>,
    /// How the nodes' messages on standard error look.
    pub log_format: LogFormat,
    /// The faults that nodes inject into themselves, and those of them that have fired.
    pub faults: Option<FaultConfig>,
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
    /// Starts a node whose last lives have crashed, so many of them.
    ///
    /// # Errors
    ///
    /// As [`start`].
    pub(crate) fn spawn(
        &self,
        id: NodeId,
        incarnation: Incarnation,
        term: Term,
        crashes: u32,
    ) -> io::Result<Spawned> {
        let (link, control) = ipc::control::pair()?;
        let mut arguments = self.arguments(id, incarnation, term, &control)?;
        if crashes > 0 {
            arguments.push(format!("--crashes={crashes}").into());
        }
        Ok(Spawned {
            pid: start(arguments, &control, self.config.log_results)?,
            link,
        })
    }

    /// Starts the process that watches the jobs directory.
    ///
    /// # Errors
    ///
    /// As [`start`].
    pub(crate) fn spawn_watch(&self, how: WatchMode) -> io::Result<(Pid, WatchedEnd)> {
        let (link, control) = ipc::control::pair()?;
        let mut arguments = vec![
            WATCH.into(),
            "--control-fd".into(),
            control.as_raw_fd().to_string().into(),
            "--supervisor".into(),
            nix::unistd::getpid().to_string().into(),
            "--jobs".into(),
            self.jobs.clone().into(),
        ];
        let accept = self.config.accept.iter();
        arguments.extend(accept.map(|pattern| format!("--accept={pattern}").into()));
        if how == WatchMode::Poll {
            arguments.push("--poll".into());
        }
        arguments.extend(not_dumpable()?);
        Ok((start(arguments, &control, false)?, link))
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
        let mut arguments: Vec<OsString> = vec![
            NODE.into(),
            "--id".into(),
            id.to_string().into(),
            "--incarnation".into(),
            incarnation.to_string().into(),
            "--term".into(),
            term.to_string().into(),
            "--control-fd".into(),
            control.as_raw_fd().to_string().into(),
            "--supervisor".into(),
            nix::unistd::getpid().to_string().into(),
            "--run-dir".into(),
            self.run_dir.clone().into(),
            "--jobs".into(),
            self.jobs.clone().into(),
            "--log-format".into(),
            self.log_format.to_string().into(),
            "--config".into(),
            config.into(),
        ];
        arguments.extend(not_dumpable()?);
        if let Some(faults) = &self.faults {
            arguments.extend(["--faults".into(), serde_json::to_string(faults)?.into()]);
        }
        Ok(arguments)
    }
}

/// When a process is started again, as the end of a sentence.
pub(crate) fn when(wait: Duration) -> String {
    if wait.is_zero() {
        "at once".to_owned()
    } else {
        format!("in {} ms", wait.as_millis())
    }
}

/// A supervisor that has become another user is not dumpable: then what it starts must not be either.
fn not_dumpable() -> io::Result<Option<OsString>> {
    let dumpable = nix::sys::prctl::get_dumpable()?;
    Ok((!dumpable).then(|| "--not-dumpable".into()))
}

/// Starts this executable with these arguments. Its standard input is empty, its standard error ours,
/// and so is its standard output if it `logs`. It leads a session of its own, so it has no terminal to
/// type into, has nothing of our environment but what it needs, inherits its end of the `control` link
/// alone, and dies with this process.
///
/// # Errors
///
/// What the calls up to the fork say. What fails after it is told on the link, and ends the child with
/// [`NOT_STARTED`].
fn start(arguments: Vec<OsString>, control: &OwnedFd, logs: bool) -> io::Result<Pid> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let output = if logs { STDOUT } else { null.as_raw_fd() };
    // What we were started with may lack it.
    inheritance::close_all_on_exec()?;
    fork(&ChildPlan {
        program: CString::new(SELF)?,
        arguments: Strings::new(iter::once(NAME.into()).chain(arguments))?,
        environment: Strings::new(inheritance::environment())?,
        standard: [null.as_raw_fd(), output],
        control: control.as_raw_fd(),
        supervisor: nix::unistd::getpid(),
    })
}

/// What a child does before it executes this file. Made before the fork, since the child may only
/// make async-signal-safe calls.
struct ChildPlan {
    program: CString,
    arguments: Strings,
    environment: Strings,
    /// What becomes standard input and standard output.
    standard: [RawFd; 2],
    /// What it inherits beside the standard streams.
    control: RawFd,
    supervisor: Pid,
}

/// A list of strings as execve(3) takes it.
struct Strings {
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(strings: impl IntoIterator<Item = OsString>) -> io::Result<Strings> {
        let strings = strings
            .into_iter()
            .map(|string| CString::new(string.into_vec()))
            .collect::<Result<Vec<CString>, _>>()?;
        let pointers = strings.iter().map(|string| string.as_ptr());
        let pointers = pointers.chain([ptr::null()]).collect();
        Ok(Strings {
            _strings: strings,
            pointers,
        })
    }
}

/// Forks, and does not wait until the child executes this file, as [`std::process::Command`] would:
/// on a busy machine that takes many milliseconds, in which nobody would be told of a death.
fn fork(plan: &ChildPlan) -> io::Result<Pid> {
    // A handler of ours that ran in the child would report the signal to this process.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the child calls nothing but `become_child`, which allocates nothing, takes no lock,
    // and makes async-signal-safe calls only.
    let forked = unsafe { nix::unistd::fork() };
    if let Ok(ForkResult::Child) = forked {
        let Err(error) = become_child(plan);
        tell(plan, &error);
        // SAFETY: async-signal-safe, and returns to nobody.
        unsafe { libc::_exit(NOT_STARTED) };
    }
    mask.thread_set_mask()?;
    match forked? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => unreachable!("the child has ended"),
    }
}

/// Makes the child die with its parent, lead a session, and inherit nothing but the standard streams
/// and its control link; then executes this file. Returns only what failed. Must stay
/// async-signal-safe.
fn become_child(plan: &ChildPlan) -> io::Result<Infallible> {
    /// Linux knows signals 1 to 64.
    const LAST_SIGNAL: libc::c_int = 64;

    // While it is in the parent's process group: whoever is suspended there with its parent, and the parent
    // then killed, the system continues.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // A parent that died before the prctl sends no signal any more.
    if nix::unistd::getppid() != plan.supervisor {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    for signal in 1..=LAST_SIGNAL {
        // Ignored signals would stay ignored. Fails for SIGKILL, SIGSTOP and the two of the C
        // library, which need no reset.
        // SAFETY: `signal` is async-signal-safe and SIG_DFL is no function of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    SigSet::empty().thread_set_mask()?;
    // Leaves the terminal, too: whoever got hold of a node could else type into it.
    nix::unistd::setsid()?;
    for (stream, &fd) in (STDIN..).zip(&plan.standard) {
        // SAFETY: takes numbers only; both are open in the parent across the fork.
        check(unsafe { libc::dup2(fd, stream) })?;
    }
    // In the child alone: in the parent the mark keeps a link from later siblings.
    // SAFETY: takes numbers only; it is open, for the parent holds it across the fork.
    check(unsafe { libc::fcntl(plan.control, libc::F_SETFD, 0) })?;
    let (arguments, environment) = (&plan.arguments.pointers, &plan.environment.pointers);
    // SAFETY: the path and every string of both lists are terminated, and so are the lists.
    unsafe {
        libc::execve(
            plan.program.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    Err(io::Error::last_os_error())
}

/// Tells the supervisor why the child is none, without waiting. Must stay async-signal-safe.
fn tell(plan: &ChildPlan, error: &io::Error) {
    let packet = ipc::control::not_executed(error.raw_os_error().unwrap_or_default());
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the packet is valid for reads of its length.
    unsafe { libc::send(plan.control, packet.as_ptr().cast(), packet.len(), flags) };
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
