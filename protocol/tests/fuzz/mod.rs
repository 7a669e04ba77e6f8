//! Input that nobody thought of: a node is told anything, in any order, and a job file holds
//! anything.
//!
//! Some hundred cases each; `PROPTEST_CASES` asks for more, as `just fuzz` does.

mod anything;
mod found;
mod invariants;
mod jobs;
mod stimulus;

use proptest::collection::vec;
use proptest::prelude::*;

use stimulus::{config, run, stimulus};

proptest! {
    #[test]
    fn a_node_that_is_told_anything_keeps_its_promises(
        config in config(),
        id in 0..4_u8,
        stimuli in vec(stimulus(), 1..150),
    ) {
        run(&config, id, &stimuli)?;
    }
}
