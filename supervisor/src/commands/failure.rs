//! What ends a command that did not do what it was asked for: a sentence and an exit code. What can go wrong
//! is known where it does.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use protocol::config::ConfigError;
use supervisor::jobs_dir::JobsDirError;
use supervisor::owner::OwnerError;
use supervisor::run_dir::RunDirError;
use supervisor::signals::SignalsError;
use supervisor::start::StartError;
use supervisor::supervise::SuperviseError;

/// The exit code of a command that found the answer to be no: a job failed, nobody coordinates, there was nothing
/// to kill, or its results could not be written.
pub(crate) const NO: u8 = 1;
/// Of one that was asked for something that makes no sense.
pub(crate) const USAGE: u8 = 2;
/// Of one that could not start or go on, or found no cluster.
pub(crate) const CANNOT: u8 = 3;
/// Of one that judges a run, where nobody can tell whether it was sound.
pub(crate) const CANNOT_TELL: u8 = 4;
/// Of one that a signal ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked for. Displays as one sentence that says what is wrong and what
/// to do.
#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    code: u8,
}

/// An error that ends a command. Displays as the sentence.
pub(crate) trait Fatal: Error {
    /// The exit code.
    fn exit_code(&self) -> u8 {
        CANNOT
    }
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(code: u8, sentence: impl Into<String>) -> Failure {
        let sentence = sentence.into();
        Failure { sentence, code }
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl<E: Fatal> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(error.exit_code(), error.to_string())
    }
}

impl Fatal for ConfigError {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

impl Fatal for SuperviseError {
    fn exit_code(&self) -> u8 {
        SuperviseError::exit_code(self)
    }
}

impl Fatal for JobsDirError {}
impl Fatal for OwnerError {}
impl Fatal for RunDirError {}
impl Fatal for SignalsError {}
impl Fatal for StartError {}
