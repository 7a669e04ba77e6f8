//! The command line of a node process.

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::ValueEnum;
use protocol::config::Config;
use serde::de::DeserializeOwned;

use crate::faults::FaultConfig;

/// The arguments of `bullpen node`, which the supervisor alone calls.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// Static ID of this node.
    #[arg(long)]
    pub id: u8,
    /// Its incarnation: the supervisor's spawn counter.
    #[arg(long)]
    pub incarnation: u64,
    /// The highest term that any node had reported before this one was started.
    #[arg(long)]
    pub term: u64,
    /// How many consecutive incarnations of this node have crashed, each soon after the one before.
    #[arg(long, default_value_t = 0)]
    pub crashes: u32,
    /// The inherited descriptor of the control link.
    #[arg(long)]
    pub control_fd: RawFd,
    /// Process ID of the supervisor: a node with another parent exits.
    #[arg(long)]
    pub supervisor: i32,
    /// Lets only root trace this process or read its memory, since root has started the supervisor,
    /// which has become another user.
    #[arg(long)]
    pub not_dumpable: bool,
    /// Folder of the sockets and the event log.
    #[arg(long)]
    pub run_dir: PathBuf,
    /// The jobs directory.
    #[arg(long)]
    pub jobs: PathBuf,
    /// Format of its messages on standard error.
    #[arg(long, default_value = "text")]
    pub log_format: LogFormat,
    /// The cluster's settings, as JSON.
    #[arg(long, value_parser = parse::<Config>)]
    pub config: Config,
    /// The faults to inject, as JSON.
    #[arg(long, value_parser = parse::<FaultConfig>)]
    pub faults: Option<FaultConfig>,
}

/// The format of messages on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// As it stands on a command line.
impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().unwrap_or_default();
        f.write_str(value.get_name())
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}
