//! Why supervision can fail.

use std::io;
use std::path::PathBuf;

use nix::unistd::geteuid;
use node::user_namespace;
use protocol::id::NodeId;

use crate::launch::SELF;
use crate::reap::Ending;
use crate::run_dir::RunDirError;

/// A cluster whose every node ended that often, before any could be reached, cannot start.
pub(super) const START_ATTEMPTS: u32 = 3;

/// Why a cluster cannot be started or watched. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The event log cannot be made.
    #[error("cannot open the event log in {}: {error}; choose another folder with --run-dir", run_dir.display())]
    EventLog {
        /// The run directory.
        run_dir: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The control socket cannot be made.
    #[error("cannot make the control socket in {}: {error}; choose another folder with --run-dir", run_dir.display())]
    Control {
        /// The run directory.
        run_dir: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No process can be started.
    #[error("cannot start node {id}: {error}; {}", how_to_start(error))]
    Spawn {
        /// The node.
        id: NodeId,
        /// What the system says.
        error: io::Error,
    },
    /// Processes can be started, but none gets ready.
    #[error(
        "the cluster cannot start: each node ended {START_ATTEMPTS} times before any was ready; node {id}, the \
         last one, {ending}, and what the nodes wrote above tells why"
    )]
    NeverReady {
        /// The node that ended last.
        id: NodeId,
        /// How it ended.
        ending: Ending,
    },
    /// The run directory was taken away for good.
    #[error("the run directory was taken away, and the nodes were stopped: {0}")]
    RunDirLost(RunDirError),
    /// Processes were killed, and live.
    #[error(
        "{} would not end though killed, and was left: {}; it ends when the system lets it go",
        match left.len() { 1 => "a process".to_owned(), many => format!("each of {many} processes") },
        left.join(", ")
    )]
    Left {
        /// What is left, and what each of them waits in.
        left: Vec<String>,
    },
    /// A system call of the loop failed.
    #[error("{call} failed: {error}; the nodes were stopped")]
    System {
        /// The system call.
        call: &'static str,
        /// What the system says.
        error: io::Error,
    },
}

impl SuperviseError {
    /// 5 a process that would not end was left, else 3.
    pub fn exit_code(&self) -> u8 {
        match self {
            SuperviseError::Left { .. } => LEFT,
            _ => 3,
        }
    }
}

/// The exit code of a supervisor that has left a process that would not end.
pub const LEFT: u8 = 5;
/// What a person can do about a process that cannot be started.
fn how_to_start(error: &io::Error) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| SELF.into());
    let program = program.display();
    match error.raw_os_error() {
        Some(libc::EACCES) => format!(
            "{program} is what {} has to execute: allow that with chmod a+rx, or put it elsewhere if it is on a \
             mount with noexec",
            user_namespace::words(geteuid())
        ),
        Some(libc::EAGAIN) => {
            "raise the limit of processes (ulimit -u; in a container: --pids-limit), or start \
                               fewer nodes with --nodes"
                .to_owned()
        }
        _ => format!("{program} is what every node executes"),
    }
}
