//! How a command can fail, and with which exit code.

use std::process::ExitCode;

use protocol::config::ConfigError;

use crate::compute::ComputeError;
use crate::jobs_dir::JobsDirError;
use crate::operands::OperandsError;
use crate::run_dir::RunDirError;
use crate::supervise::SuperviseError;

/// Why a command did not do what it was asked for. Displays as one sentence that says what is
/// wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The settings cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The factorials cannot be asked for.
    #[error(transparent)]
    Operands(#[from] OperandsError),
    /// The run directory cannot be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The jobs directory cannot be used.
    #[error(transparent)]
    JobsDir(#[from] JobsDirError),
    /// The signals cannot be handled.
    #[error("cannot install the signal handlers: {0}")]
    Signals(std::io::Error),
    /// The cluster cannot be started or watched.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// `compute` cannot hand in its job or hand out its results.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The cluster gave the job up.
    #[error("the cluster gave the job up:\n{reasons}")]
    Rejected {
        /// The reasons, a line each.
        reasons: String,
    },
    /// A signal ended the command before it was done.
    #[error("interrupted; the cluster was stopped and nothing was printed")]
    Interrupted,
}

impl Failure {
    /// 1 a job failed, or its results could not be written; 2 usage; 3 could not start; 130
    /// interrupted.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = match self {
            Failure::Rejected { .. } | Failure::Compute(ComputeError::Print(_)) => 1,
            Failure::Config(_) | Failure::Operands(_) => 2,
            Failure::RunDir(_)
            | Failure::JobsDir(_)
            | Failure::Signals(_)
            | Failure::Supervise(_)
            | Failure::Compute(_) => 3,
            Failure::Interrupted => INTERRUPTED,
        };
        ExitCode::from(code)
    }
}

/// The exit code of a command that a signal ended.
pub(crate) const INTERRUPTED: u8 = 130;
