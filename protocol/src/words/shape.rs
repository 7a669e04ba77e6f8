//! What shapes the plans of a cluster.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

/// From about this n on prime powers take less time than the tree of all numbers: at 16,000! a job of one
/// factorial takes 5 % less, and those of twenty a sixth.
const POWERS_FROM: u32 = 6_000;

/// What shapes the plans of a cluster. All nodes have the same, since it gives operations their
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// What is multiplied.
    pub method: Method,
    /// Operations travel in the largest blocks with which a factorial has at least so many blocks of
    /// leaves.
    pub least_blocks: u32,
    /// Steps whose products have at least so many digits are done in [`PARTS`](super::operation::PARTS).
    pub cut_from: u64,
}

/// What the product of a factorial is made of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Method {
    /// Of whichever takes less time for this n.
    #[default]
    Auto,
    /// Of all numbers up to n, by one tree.
    Tree,
    /// Of prime powers, by a tree for each bit of the exponents, and a chain.
    Powers,
}

impl Shape {
    /// Every operation travels by itself and none is cut; always by the tree.
    pub const SINGLE: Shape = Shape {
        method: Method::Tree,
        least_blocks: u32::MAX,
        cut_from: u64::MAX,
    };

    /// Whether n! is made of prime powers.
    pub fn uses_powers(self, n: u32) -> bool {
        match self.method {
            Method::Auto => n >= POWERS_FROM,
            Method::Tree => false,
            Method::Powers => true,
        }
    }
}

impl Default for Shape {
    /// Enough blocks that the usual five workers have some; and parts where their messages cost less than
    /// they save.
    fn default() -> Shape {
        Shape {
            method: Method::Auto,
            least_blocks: 8,
            cut_from: 100_000,
        }
    }
}
