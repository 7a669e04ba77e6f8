//! What shapes the plans of a cluster.

use serde::{Deserialize, Serialize};

use super::{ARITY, Plan};

/// Most levels that travel in blocks below the grain level. So a block has at most 256 operations,
/// some ten microseconds of work, and values of at most 256 numbers each, in a kilobyte.
const MAX_GRAIN: u8 = 4;

/// What shapes the plans of a cluster. All nodes have the same, since it gives operations their
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Operations travel in the largest blocks with which a factorial has at least so many blocks of
    /// leaves.
    pub least_blocks: u32,
    /// The conversion to decimal is split from this n on, if at all.
    pub split_from: Option<u32>,
}

impl Shape {
    /// Every operation travels by itself, and no conversion is split.
    pub const SINGLE: Shape = Shape {
        least_blocks: u32::MAX,
        split_from: None,
    };

    /// The plan of n!.
    pub fn plan(self, n: u32) -> Plan {
        Plan::shaped(
            n,
            self.split_from.is_some_and(|least| n >= least),
            |leaves| self.grain(leaves),
        )
    }

    fn grain(self, leaves: u32) -> u8 {
        let blocks = |grain: u8| leaves / ARITY.pow(u32::from(grain));
        (1..=MAX_GRAIN)
            .rev()
            .find(|&grain| blocks(grain) >= self.least_blocks.max(1))
            .unwrap_or(0)
    }
}

impl Default for Shape {
    /// Enough blocks that the usual five workers have some; and where the messages of a split conversion cost
    /// less than it saves.
    fn default() -> Shape {
        Shape {
            least_blocks: 8,
            split_from: Some(25_000),
        }
    }
}
