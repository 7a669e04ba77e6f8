//! What a node process is told on its command line.

use std::os::fd::RawFd;
use std::path::PathBuf;

use protocol::config::Config;

/// The arguments of `bullpen node`, which the supervisor alone calls.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// Static ID of this node.
    #[arg(long)]
    pub id: u8,
    /// This life of it: the supervisor's spawn counter.
    #[arg(long)]
    pub incarnation: u64,
    /// The highest term that any node has reported before this one was started.
    #[arg(long)]
    pub term: u64,
    /// The inherited descriptor of the control link.
    #[arg(long)]
    pub control_fd: RawFd,
    /// Process ID of the supervisor: a node that has another parent ends.
    #[arg(long)]
    pub supervisor: i32,
    /// Folder of the sockets and the event log.
    #[arg(long)]
    pub run_dir: PathBuf,
    /// The jobs directory.
    #[arg(long)]
    pub jobs: PathBuf,
    /// The cluster's settings, as JSON.
    #[arg(long, value_parser = parse_config)]
    pub config: Config,
}

fn parse_config(text: &str) -> Result<Config, serde_json::Error> {
    serde_json::from_str(text)
}
