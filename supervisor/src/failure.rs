//! How a command can fail, and with which exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use protocol::config::ConfigError;
use protocol::id::NodeId;

use crate::cli::environment::VariableError;
use crate::control::Answer;
use crate::control::client::ControlError;
use crate::experiment::ExperimentError;
use crate::jobs_dir::JobsDirError;
use crate::memory::MemoryError;
use crate::metrics::MetricsError;
use crate::operands::OperandsError;
use crate::owner::OwnerError;
use crate::private_folder::FolderError;
use crate::results::ResultsError;
use crate::run_dir::RunDirError;
use crate::start;
use crate::start::StartError;
use crate::submit::SubmitError;
use crate::supervise::SuperviseError;
use crate::timeline::TimelineError;
use crate::verdict::VerdictError;

/// Why a command did not do what it was asked for. Displays as one sentence that says what is
/// wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A setting from the environment cannot be read.
    #[error(transparent)]
    Variable(#[from] VariableError),
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
    /// The system lacks what every cluster needs.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The cluster cannot work as the user that it should.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The signals cannot be handled.
    #[error("cannot install the signal handlers: {0}{advice}", advice = start::advice(.0))]
    Signals(std::io::Error),
    /// What the supervisor starts was started by somebody else.
    #[error("what watches the jobs directory is started by `bullpen up`, not by hand")]
    ByHand,
    /// The cluster cannot be started or watched.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// The memory is too small for what was asked for.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A command that makes its own cluster has no place for it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// An experiment cannot be made, or found something.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// `submit` cannot hand in its job, or was not told its end.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Results or answers do not reach the user.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The metrics cannot be made or served.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The terminal of `top`.
    #[error("cannot use the terminal: {0}; where there is none, try: bullpen top | cat")]
    Terminal(std::io::Error),
    /// `timeline` has nothing to tell, or nowhere to write it.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// A run was not sound, or nobody can tell.
    #[error(transparent)]
    Verdict(#[from] VerdictError),
    /// No running cluster answers.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// An answer that fits no question.
    #[error("the supervisor gave an answer that does not fit: {0}; is it of another version?")]
    Unexpected(String),
    /// A status cannot be written as JSON.
    #[error("cannot write the status as JSON: {0}")]
    Encode(serde_json::Error),
    /// `status --check` in the middle of an election, or with every node stopped.
    #[error(
        "no node coordinates now; see bullpen status, and continue stopped nodes with: bullpen kill all --signal CONT"
    )]
    NoCoordinator,
    /// `status --check` while nodes live that their peers cannot reach.
    #[error(
        "no peer can reach these nodes, though they live, since their sockets are not in the run directory: {0}; \
         the messages of bullpen up say why, and they come back by themselves when that is over"
    )]
    Unreachable(String),
    /// `status --check` while the coordinator waits for the file system.
    #[error(
        "node {node} coordinates, and the file system of the jobs directory has not answered it for {seconds} s: \
         jobs wait; see whether its disk, or what it is mounted from, is well"
    )]
    FilesHang {
        /// The coordinator.
        node: NodeId,
        /// For how long.
        seconds: u64,
    },
    /// Nobody got the signal; one sentence tells why.
    #[error("{0}")]
    NothingToKill(String),
    /// The cluster gave the job up.
    #[error("the cluster gave the job up:\n{reasons}")]
    Rejected {
        /// The reasons, a line each.
        reasons: String,
    },
    /// The results of `compute` find no room on their way here.
    #[error(
        "there is no room for the results in {}: free some, or name a folder on another file system with TMPDIR",
        folder.display()
    )]
    NoRoom {
        /// Where they were to be written.
        folder: PathBuf,
    },
    /// A signal ended the command before it was done.
    #[error("interrupted; the cluster was stopped and nothing was printed")]
    Interrupted,
}

impl Failure {
    /// A supervisor's answer to another question than the one that was asked.
    pub(crate) fn unexpected(answer: &Answer) -> Failure {
        Failure::Unexpected(match answer {
            Answer::Nothing(sentence) | Answer::Refused(sentence) => sentence.clone(),
            other => format!("{other:?}"),
        })
    }

    /// 1 a job failed, its results could not be written, there was nothing to kill, no node coordinates,
    /// one cannot be reached, or the one that coordinates hangs; 2 usage; 3 could not start or go on, or no
    /// cluster is there; 5 a process that would not end was left; 130 interrupted.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = match self {
            Failure::Rejected { .. }
            | Failure::Results(_)
            | Failure::NoRoom { .. }
            | Failure::NoCoordinator
            | Failure::Unreachable(_)
            | Failure::FilesHang { .. }
            | Failure::NothingToKill(_) => 1,
            Failure::Variable(_) | Failure::Config(_) | Failure::Operands(_) => 2,
            Failure::Submit(error) => error.exit_code(),
            Failure::Experiment(error) => error.exit_code(),
            Failure::Timeline(error) => error.exit_code(),
            Failure::Verdict(error) => error.exit_code(),
            Failure::Supervise(error) => error.exit_code(),
            Failure::RunDir(_)
            | Failure::JobsDir(_)
            | Failure::Owner(_)
            | Failure::Start(_)
            | Failure::Signals(_)
            | Failure::ByHand
            | Failure::Memory(_)
            | Failure::Metrics(_)
            | Failure::Terminal(_)
            | Failure::Control(_)
            | Failure::Unexpected(_)
            | Failure::Encode(_)
            | Failure::Folder(_) => 3,
            Failure::Interrupted => INTERRUPTED,
        };
        ExitCode::from(code)
    }
}

/// The exit code of a command that a signal ended.
pub(crate) const INTERRUPTED: u8 = 130;
