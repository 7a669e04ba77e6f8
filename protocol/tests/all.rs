//! All tests of the protocol through its public face, in one binary.
//!
//! `cargo test -p protocol --test all election::` runs those of one file.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the protocol is pure; its tests read its sources and print"
)]

mod cluster;
mod damping;
mod deaths;
mod election;
mod fuzz;
mod hangs;
mod intake;
mod jobs;
mod limits;
mod regressions;
mod rooms;
mod sentences;
mod setbacks;
mod settling;
mod sleepers;
mod solo;
mod stream;
mod takeover;
