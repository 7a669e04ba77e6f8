//! The names of operations. What they mean is the [plan](crate::plan)'s.

use serde::{Deserialize, Serialize};

/// At most this many values go into one operation.
pub const ARITY: u32 = 4;

/// A large step is done in so many parts.
pub const PARTS: u32 = 2;

/// One computation on at most four values, named. Products belong to a factorial, not to a job,
/// and are keyed by this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId {
    /// Of n!.
    pub n: u32,
    /// What is done.
    pub kind: Kind,
    /// Of a multiplication, its level in its tree; leaves are level 0. Of a step or a part, the bit of
    /// the exponents.
    pub level: u8,
    /// Of a multiplication, its position among those of its level in all trees, from 0. Of a part, which
    /// one it is.
    pub index: u32,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Multiply what is below it in a tree.
    Multiply,
    /// A step of the chain: F_b = F · (F · P_b), where F is the one before; or put its parts together.
    Step,
    /// A part of a step.
    Part,
}
