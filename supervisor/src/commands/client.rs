//! A command's side of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::Uid;
use supervisor::control::{Answer, ClusterStatus, Request, SOCKET};
use supervisor::run_dir::RunDirError;

use crate::commands::failure::Fatal;
use crate::commands::visit::{Visited, visit};

/// How long a supervisor may take for each step of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Why no answer was had. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Nobody listens there.
    #[error(
        "no bullpen runs with the run directory {0}; start one with: bullpen up --run-dir {0}, or name the \
         run directory of the one you mean with --run-dir",
        run_dir.display()
    )]
    NoCluster {
        /// The run directory.
        run_dir: PathBuf,
    },
    /// Somebody else's.
    #[error(
        "the bullpen of the run directory {} belongs to another user; run this command as that user, or name \
         another run directory with --run-dir",
        run_dir.display()
    )]
    NotAllowed {
        /// The run directory.
        run_dir: PathBuf,
    },
    /// It is there and says nothing.
    #[error(
        "the bullpen of the run directory {} does not answer; see whether its process is stopped, and continue \
         it with: pkill -CONT -x bullpen",
        run_dir.display()
    )]
    Silent {
        /// The run directory.
        run_dir: PathBuf,
    },
    /// Something stands there that is not to be asked.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// It is not the owner's.
    #[error(
        "whoever answers in the run directory {} is user {server}, and the directory belongs to user {owner}; \
         name another run directory with --run-dir",
        run_dir.display()
    )]
    Impostor {
        /// The run directory.
        run_dir: PathBuf,
        /// As whom the server runs.
        server: Uid,
        /// Whom the directory belongs to.
        owner: Uid,
    },
    /// Something else.
    #[error(
        "cannot ask the bullpen of the run directory {}: {error}; name the run directory of another with --run-dir",
        run_dir.display()
    )]
    Io {
        /// The run directory.
        run_dir: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// An answer that fits no question.
    #[error("the supervisor gave an answer that does not fit: {0}; is it of another version?")]
    Unexpected(String),
    /// It is of another version.
    #[error(
        "the bullpen of the run directory {} is of another version than this command, which it does not \
         understand: {reason}; use the version that runs there",
        run_dir.display()
    )]
    Foreign {
        /// The run directory.
        run_dir: PathBuf,
        /// What is not understood.
        reason: String,
    },
}

impl ControlError {
    /// A supervisor's answer to another question than the one that was asked.
    pub(crate) fn unexpected(answer: &Answer) -> ControlError {
        ControlError::Unexpected(match answer {
            Answer::Nothing(sentence) | Answer::Refused(sentence) => sentence.clone(),
            other => format!("{other:?}"),
        })
    }
}

impl Fatal for ControlError {}

/// Asks the supervisor of a run directory how its cluster is.
///
/// # Errors
///
/// As [`ask`].
pub(crate) fn status(run_dir: &Path) -> Result<ClusterStatus, ControlError> {
    match ask(run_dir, &Request::Status)? {
        Answer::Status(status) => Ok(status),
        other => Err(ControlError::unexpected(&other)),
    }
}

/// Asks the supervisor of a run directory; root asks as the owner of it. Never returns [`Answer::Refused`].
///
/// # Errors
///
/// Nobody is there, or somebody who is not the owner, or does not answer within seconds, or is not
/// understood.
pub(crate) fn ask(run_dir: &Path, request: &Request) -> Result<Answer, ControlError> {
    let foreign = |reason: String| ControlError::Foreign {
        run_dir: run_dir.to_owned(),
        reason,
    };
    let failed = |error| classify(run_dir, error);
    let Some(visited) = visit(run_dir)? else {
        return Err(failed(Errno::ENOENT.into()));
    };
    visited.act_as_owner();
    let stream = open(&run_dir.join(SOCKET)).map_err(failed)?;
    check_server(&stream, &visited)?;
    let line = exchange(stream, request).map_err(failed)?;
    match serde_json::from_slice(&line) {
        Ok(Answer::Refused(reason)) => Err(foreign(reason)),
        Ok(answer) => Ok(answer),
        // It was stopped or killed between the request and the answer.
        Err(_) if !line.ends_with(b"\n") => Err(ControlError::Silent {
            run_dir: run_dir.to_owned(),
        }),
        Err(error) => Err(foreign(error.to_string())),
    }
}

/// Who listens is known from the system, and not from what it says.
fn check_server(stream: &UnixStream, visited: &Visited) -> Result<(), ControlError> {
    let run_dir = visited.path();
    let server = getsockopt(stream, sockopt::PeerCredentials)
        .map_err(|error| classify(run_dir, error.into()))?;
    let (server, owner) = (Uid::from_raw(server.uid()), visited.owner());
    if server == owner {
        return Ok(());
    }
    Err(ControlError::Impostor {
        run_dir: run_dir.to_owned(),
        server,
        owner,
    })
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_until(b'\n', &mut answer)?;
    Ok(answer)
}

/// Not `UnixStream::connect`: it waits without end for a stopped supervisor with a full backlog.
fn open(path: &Path) -> io::Result<UnixStream> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let patience = TimeVal::new(PATIENCE.as_secs().try_into().unwrap_or(1), 0);
    setsockopt(&fd, sockopt::SendTimeout, &patience)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}

fn classify(run_dir: &Path, error: io::Error) -> ControlError {
    let run_dir = run_dir.to_owned();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR) => {
            ControlError::NoCluster { run_dir }
        }
        Some(Errno::EACCES | Errno::EPERM) => ControlError::NotAllowed { run_dir },
        Some(Errno::EAGAIN | Errno::ECONNRESET | Errno::EPIPE) => ControlError::Silent { run_dir },
        _ => ControlError::Io { run_dir, error },
    }
}
