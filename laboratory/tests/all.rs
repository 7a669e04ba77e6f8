//! All tests of the laboratory through its public face, in one binary.
//!
//! `cargo test -p laboratory --test all interleavings::` runs those of one file.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod both;
mod course;
mod doctored_authority;
mod doctored_causes;
mod doctored_folders;
mod doctored_logs;
mod doctored_plans;
mod doctored_products;
mod interleavings;
mod late_lines;
mod made;
mod missing_lines;
mod noise;
mod ordinary;
mod sound_products;
mod stories;
