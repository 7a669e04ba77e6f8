//! The options that inject faults.

use std::time::Duration;

use clap::Args;
use node::faults::{FaultConfig, FaultSpec};

/// Faults that the nodes inject into themselves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Injected faults")]
pub(crate) struct FaultArgs {
    /// Probability that a node kills itself at each point that an operation passes; 0 to 1
    ///
    /// The points: before the operation is computed, sent and checkpointed, in the middle of its
    /// checkpoint, before and after a commit, and in each election.
    #[arg(long, value_name = "P", env = "BULLPEN_CRASH_PROBABILITY", default_value_t = 0.0,
          value_parser = probability)]
    crash_probability: f64,
    /// Probability that a node stalls (does not answer for a while) at each of these points; 0 to 1
    #[arg(long, value_name = "P", env = "BULLPEN_STALL_PROBABILITY", default_value_t = 0.0,
          value_parser = probability)]
    stall_probability: f64,
    /// How long a stalled node does not answer
    #[arg(long, value_name = "D", env = "BULLPEN_STALL", default_value = "2s", hide_short_help = true,
          value_parser = humantime::parse_duration)]
    stall: Duration,
    /// A fault at one exact point, such as node=5,at=mid-checkpoint,after=100,do=kill
    ///
    /// at=POINT,do=kill|stop|stall is required; node=ID|any, after=PASSES, n=, level= and index= are
    /// optional. The level of steps and parts of prime powers is their bit.
    /// POINT is before-compute, before-send, before-checkpoint, mid-checkpoint, before-commit,
    /// after-commit or in-election. A fault fires once; a fault for any node that selects an operation
    /// fires in every process that reaches that operation. May be given several times.
    #[arg(
        long = "fault",
        value_name = "SPEC",
        env = "BULLPEN_FAULT",
        value_delimiter = ';'
    )]
    faults: Vec<FaultSpec>,
    /// Seed that makes the random faults of a run repeatable [default: random, printed]
    #[arg(long, value_name = "S", env = "BULLPEN_SEED")]
    seed: Option<u64>,
}

impl FaultArgs {
    /// What to inject; none if nothing was asked for.
    pub(crate) fn config(&self) -> Option<FaultConfig> {
        let wanted =
            self.crash_probability > 0.0 || self.stall_probability > 0.0 || !self.faults.is_empty();
        wanted.then(|| FaultConfig {
            seed: self.seed.unwrap_or_else(rand::random),
            crash_probability: self.crash_probability,
            stall_probability: self.stall_probability,
            stall: self.stall,
            specs: self.faults.clone(),
            ..FaultConfig::default()
        })
    }

    /// The seed, if it was given.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The first fault that is meant for a node that does not exist.
    pub(crate) fn astray(&self, nodes: u8) -> Option<u8> {
        let wanted = self.faults.iter().filter_map(|fault| fault.node);
        wanted.map(|node| node.0).find(|&id| id >= nodes)
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(chance) if (0.0..=1.0).contains(&chance) => Ok(chance),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}
