//! The words that all parts of a node speak, among themselves and to its driver.

pub mod config;
pub mod deaths;
pub mod decimal;
pub mod event;
pub mod file;
pub mod id;
pub mod message;
pub(crate) mod operation;
pub mod packed;
pub mod printable;
pub(crate) mod shape;
pub mod status;
pub mod supervision;
pub mod time;
pub mod timer;
pub mod trace;
