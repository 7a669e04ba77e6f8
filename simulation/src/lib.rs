//! A whole cluster in one thread, with virtual time, driven by one seed.
//!
//! The same `Node` as in production runs here, and the same link machine with its codec. Modelled is what
//! surrounds them: sockets, threads, the supervisor, the jobs directory, and all that can happen to them. See [`cluster`] for how it goes round, [`scenario`] for what a seed
//! decides, [`checkers`] for what must hold.

mod agenda;
mod arithmetic;
pub mod batch;
pub mod chance;
pub mod checkers;
pub mod cli;
pub mod cluster;
pub mod directory;
pub mod event_log;
pub mod fact;
mod file_thread;
pub mod job;
pub mod model;
mod network;
mod process;
pub mod reached;
pub mod record;
pub mod run;
pub mod scenario;
mod supervisor;
mod wire;
