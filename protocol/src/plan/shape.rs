//! What shape a cluster's plans have.

use super::{ARITY, Plan, Shape, most_digits};

/// Most levels that travel in blocks below the grain level. So a block has at most 256 operations,
/// some ten microseconds of work, and values of at most 256 numbers each, in a kilobyte.
const MAX_GRAIN: u8 = 4;

impl Shape {
    /// The plan of n!.
    pub fn plan(self, n: u32) -> Plan {
        if self.uses_powers(n) {
            Plan::of_powers(n, self)
        } else {
            Plan::of_numbers(n, self)
        }
    }

    /// The grain level of trees that have so many leaves together.
    pub(super) fn grain(self, leaves: u32) -> u8 {
        let blocks = |grain: u8| leaves / ARITY.pow(u32::from(grain));
        (1..=MAX_GRAIN)
            .rev()
            .find(|&grain| blocks(grain) >= self.least_blocks.max(1))
            .unwrap_or(0)
    }

    /// Whether the step to a bit of the exponents is done in parts.
    pub(super) fn cuts(self, n: u32, bit: u8) -> bool {
        // Each step doubles the digits.
        most_digits(n) >> bit >= self.cut_from
    }
}
