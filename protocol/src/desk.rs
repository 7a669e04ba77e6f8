//! The desk: a job file's whole life, from the inbox until its text has its name.

mod accept;
mod charge;
mod deaths;
mod hidden_text;
pub(crate) mod inbox;
pub mod job;
pub(crate) mod jobs;
mod memory;
mod publish;
mod recovery;
mod still;
pub(crate) mod trouble;
