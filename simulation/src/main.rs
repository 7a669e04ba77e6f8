//! The simulation of a whole cluster in one thread. Not built yet.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "the simulation is not built yet; the protocol's own tests run with `cargo test --workspace`"
    );
    ExitCode::from(3)
}
