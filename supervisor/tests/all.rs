//! The built binary, used as people use it and broken as machines break, in one binary of tests: most of them
//! wait, and wait side by side.
//!
//! `cargo test -p supervisor --test all elections::` runs those of one file.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod all_signals;
mod bad_starts;
#[path = "../../laboratory/tests/both/mod.rs"]
mod both;
mod chance;
mod collected_results;
mod colours;
mod commands;
mod completions;
mod damping;
mod deadly_jobs;
mod doctored_runs;
mod dropped_files;
mod elections;
mod ends_by_signals;
mod environment;
mod experiment;
mod faults;
mod faults_files;
mod fuse_mounts;
mod hard_starts;
mod harness;
mod inbox_watch;
mod job_files;
mod keepers;
mod limits_of_files;
mod log_rotation;
mod lost_run_dir;
mod main_job;
mod man;
mod metrics;
mod no_space;
mod ownership;
mod printable_output;
mod private_files;
mod reopened_files;
mod root_terminal;
mod shared_jobs_folder;
mod silence_and_noise;
mod slow_files;
mod slow_readers;
mod stale_coordinators;
mod storms;
mod strange_run_dirs;
mod stuck_nodes;
mod submit;
mod submit_among_others;
mod supervision;
mod surroundings;
mod suspensions;
mod timeline;
mod top;
mod trial;
mod under_way;
mod unfinished_files;
mod unread_terminals;
mod unwritten_events;
mod user_namespace;
mod verdict;
mod waits;
mod watchdog;
