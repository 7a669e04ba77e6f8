//! Injected faults: a node kills itself, stops itself, or does not answer for a while, at random or
//! at one exact point.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use protocol::id::{Incarnation, NodeId};
use protocol::plan::OperationId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Which faults a cluster injects into its nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultConfig {
    /// Makes the random faults of a run repeatable: they depend on the seed, the static ID and the incarnation.
    pub seed: u64,
    /// Probability of a SIGKILL at each point that an operation passes: 0 to 1.
    pub crash_probability: f64,
    /// Probability of a stall at each of these points: 0 to 1.
    pub stall_probability: f64,
    /// How long a stalled node does not answer.
    pub stall: Duration,
    /// Faults at exact points.
    pub specs: Vec<FaultSpec>,
    /// Positions in `specs` of the faults that have fired and do not fire again in this run.
    pub spent: BTreeSet<usize>,
}

/// A fault at one exact point: `node=5,at=mid-checkpoint,after=100,do=kill`.
///
/// It fires once in a run. A fault for any node that selects an operation fires in every process that
/// reaches that operation, which simulates an operation that kills its workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSpec {
    /// In which node; none for the first node that reaches the point.
    pub node: Option<NodeId>,
    /// At which point.
    pub at: Point,
    /// How many passes to let by before it fires.
    pub after: u64,
    /// What happens.
    pub fault: Fault,
    /// Only for operations of this factorial.
    pub n: Option<u32>,
    /// Only for operations of this level.
    pub level: Option<u8>,
    /// Only for operations at this position.
    pub index: Option<u32>,
}

/// The places at which a fault can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// A worker hands an operation to its arithmetic.
    BeforeCompute,
    /// A worker sends a product.
    BeforeSend,
    /// The coordinator sends a product to its peers.
    BeforeCheckpoint,
    /// The coordinator has sent the product to some peers, but not to all.
    MidCheckpoint,
    /// The coordinator commits a job by renaming its file.
    BeforeCommit,
    /// The coordinator has committed a job, whose text does not have its name yet.
    AfterCommit,
    /// A candidate has sent its first messages.
    InElection,
}

/// What an injected fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL to itself.
    Kill,
    /// SIGSTOP to itself; somebody must continue it.
    Stop,
    /// The node does not answer for a while.
    Stall,
}

/// An invalid fault specification; displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultSpecError {
    /// A part without an equals sign.
    #[error("\"{0}\" is not KEY=VALUE; an example is node=5,at=mid-checkpoint,after=100,do=kill")]
    NoValue(String),
    /// A key that does not exist.
    #[error(
        "\"{0}\" is not a key of a fault; the keys are node, at, after, do, n, level and index"
    )]
    UnknownKey(String),
    /// A value that cannot be one.
    #[error("{key}={value}: expected {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// The point or the fault is missing.
    #[error("a fault needs at=POINT and do=kill, do=stop or do=stall")]
    Incomplete,
}

const POINTS: &str = "before-compute, before-send, before-checkpoint, mid-checkpoint, before-commit, after-commit \
                      or in-election";

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<FaultSpec, FaultSpecError> {
        let (mut node, mut at, mut after, mut fault) = (None, None, 0, None);
        let (mut n, mut level, mut index) = (None, None, None);
        for part in text.split(',') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| FaultSpecError::NoValue(part.to_owned()))?;
            match key.trim() {
                "node" if value == "any" => node = None,
                "node" => node = Some(NodeId(read("node", value, "an ID, or any")?)),
                "at" => at = Some(word("at", value, POINTS)?),
                "after" => after = read("after", value, "a number of passes")?,
                "do" => fault = Some(word("do", value, "kill, stop or stall")?),
                "n" => n = Some(read("n", value, "the N of a factorial")?),
                "level" => level = Some(read("level", value, "a level of the plan")?),
                "index" => index = Some(read("index", value, "a position in its level")?),
                unknown => return Err(FaultSpecError::UnknownKey(unknown.to_owned())),
            }
        }
        let (Some(at), Some(fault)) = (at, fault) else {
            return Err(FaultSpecError::Incomplete);
        };
        Ok(FaultSpec {
            node,
            at,
            after,
            fault,
            n,
            level,
            index,
        })
    }
}

fn read<T: FromStr>(
    key: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, FaultSpecError> {
    let bad = |_| FaultSpecError::BadValue {
        key,
        value: value.to_owned(),
        expected,
    };
    value.trim().parse().map_err(bad)
}

/// Reads a word as serde knows it, so that there is one list of them.
fn word<T: for<'a> Deserialize<'a>>(
    key: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, FaultSpecError> {
    let bad = |_| FaultSpecError::BadValue {
        key,
        value: value.to_owned(),
        expected,
    };
    serde_json::from_value(value.trim().into()).map_err(bad)
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FaultSpec {
    /// Whether it fires in every process that reaches its operation, rather than once in a run.
    pub fn repeats(&self) -> bool {
        self.node.is_none() && self.selects_operation()
    }

    fn selects_operation(&self) -> bool {
        self.n.is_some() || self.level.is_some() || self.index.is_some()
    }

    fn selects(&self, node: NodeId, at: Point, operation: Option<OperationId>) -> bool {
        let is_it = |operation: OperationId| {
            self.n.is_none_or(|n| n == operation.n)
                && self.level.is_none_or(|level| level == operation.level)
                && self.index.is_none_or(|index| index == operation.index)
        };
        self.at == at
            && self.node.is_none_or(|wanted| wanted == node)
            && operation.map_or(!self.selects_operation(), is_it)
    }
}

/// The faults of one process.
#[derive(Debug)]
pub(crate) struct Faults {
    config: FaultConfig,
    id: NodeId,
    seed: u64,
    /// Made when it is first needed, which it rarely is.
    rng: Option<StdRng>,
    /// How often the point of each specification was passed.
    passes: Vec<u64>,
}

/// A fault that is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) fault: Fault,
    /// The specification that requested it; none if it was drawn at random.
    pub(crate) spec: Option<usize>,
}

impl Faults {
    pub(crate) fn new(config: FaultConfig, id: NodeId, incarnation: Incarnation) -> Faults {
        // Mixed into the seed, so that neighbouring IDs and incarnations draw different numbers.
        let seed = config.seed
            ^ u64::from(id.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ incarnation.0.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Faults {
            seed,
            rng: None,
            passes: vec![0; config.specs.len()],
            id,
            config,
        }
    }

    /// Whether no fault can ever fire here.
    pub(crate) fn none(&self) -> bool {
        self.config.specs.is_empty()
            && self.config.crash_probability == 0.0
            && self.config.stall_probability == 0.0
    }

    /// How long a stall lasts.
    pub(crate) fn stall(&self) -> Duration {
        self.config.stall
    }

    /// The node passes a point, with an operation where there is one.
    pub(crate) fn pass(&mut self, at: Point, operation: Option<OperationId>) -> Option<Due> {
        for (index, spec) in self.config.specs.iter().enumerate() {
            if spec.selects(self.id, at, operation) && !self.config.spent.contains(&index) {
                self.passes[index] += 1;
                if self.passes[index] == spec.after + 1 {
                    return Some(Due {
                        fault: spec.fault,
                        spec: Some(index),
                    });
                }
            }
        }
        // Both are drawn each time, so that the draws of one do not depend on the other.
        let make = || StdRng::seed_from_u64(self.seed);
        let rng = self.rng.get_or_insert_with(make);
        let crash = rng.random_bool(self.config.crash_probability);
        let stall = rng.random_bool(self.config.stall_probability);
        let fault = if crash {
            Some(Fault::Kill)
        } else {
            stall.then_some(Fault::Stall)
        };
        fault.map(|fault| Due { fault, spec: None })
    }
}

#[cfg(test)]
mod tests {
    use protocol::plan::Plan;

    use super::*;

    fn spec(text: &str) -> FaultSpec {
        text.parse().unwrap()
    }

    fn faults(specs: &[&str], id: u8) -> Faults {
        let specs = specs.iter().map(|text| spec(text)).collect();
        Faults::new(
            FaultConfig {
                specs,
                ..FaultConfig::default()
            },
            NodeId(id),
            Incarnation(1),
        )
    }

    #[test]
    fn a_specification_is_read_whole() {
        let read = spec("node=5,at=mid-checkpoint,after=100,do=kill");
        assert_eq!(
            (read.node, read.at, read.after, read.fault),
            (Some(NodeId(5)), Point::MidCheckpoint, 100, Fault::Kill)
        );
        let read = spec("node=any,at=before-compute,n=13,level=1,index=0,do=stall");
        assert_eq!(
            (read.node, read.n, read.level, read.index),
            (None, Some(13), Some(1), Some(0))
        );
        assert!(read.repeats() && !spec("at=in-election,do=stop").repeats());
    }

    #[test]
    fn an_error_says_what_is_wrong_with_a_specification() {
        let error = |text: &str| text.parse::<FaultSpec>().unwrap_err().to_string();
        assert!(error("node").contains("KEY=VALUE"));
        assert!(error("when=now").contains("\"when\" is not a key"));
        assert!(error("at=lunch,do=kill").contains("in-election"));
        assert!(error("at=in-election,do=laugh").contains("kill, stop or stall"));
        assert!(error("at=in-election").contains("needs"));
        assert!(error("node=-1,at=in-election,do=kill").contains("an ID"));
    }

    #[test]
    fn it_fires_once_after_so_many_passes_at_its_place_in_its_node() {
        let mut here = faults(&["node=2,at=before-send,after=2,do=kill"], 2);
        let fired: Vec<bool> = (0..5)
            .map(|_| here.pass(Point::BeforeSend, None).is_some())
            .collect();
        assert_eq!(fired, [false, false, true, false, false]);
        assert_eq!(here.pass(Point::BeforeCompute, None), None);
        assert_eq!(
            faults(&["node=2,at=before-send,do=kill"], 3).pass(Point::BeforeSend, None),
            None
        );
    }

    #[test]
    fn one_that_has_fired_in_this_run_does_not_fire_again() {
        let specs = vec![spec("node=2,at=before-send,do=kill")];
        let config = FaultConfig {
            specs,
            spent: BTreeSet::from([0]),
            ..FaultConfig::default()
        };
        let mut later_life = Faults::new(config, NodeId(2), Incarnation(9));
        assert_eq!(later_life.pass(Point::BeforeSend, None), None);
    }

    #[test]
    fn it_selects_an_operation() {
        let plan = Plan::new(13);
        let mut faults = faults(&["at=before-compute,n=13,level=1,do=kill"], 0);
        assert_eq!(faults.pass(Point::BeforeCompute, Some(plan.leaf(0))), None);
        assert_eq!(
            faults.pass(Point::BeforeCompute, Some(Plan::new(14).last())),
            None
        );
        assert!(
            faults
                .pass(Point::BeforeCompute, Some(plan.last()))
                .is_some()
        );
    }

    #[test]
    fn chance_is_repeatable_by_seed_id_and_incarnation() {
        let config = FaultConfig {
            seed: 7,
            crash_probability: 0.1,
            stall_probability: 0.1,
            ..FaultConfig::default()
        };
        let draws = |id, incarnation| {
            let mut faults = Faults::new(config.clone(), NodeId(id), Incarnation(incarnation));
            (0..200)
                .map(|_| faults.pass(Point::BeforeSend, None))
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 1), draws(1, 1));
        assert_ne!(draws(1, 1), draws(2, 1));
        assert_ne!(draws(1, 1), draws(1, 2));
        let fired = draws(1, 1).into_iter().flatten().count();
        assert!((10..80).contains(&fired), "{fired} of 200 at about a fifth");
    }
}
