//! The process of a node: drives [`protocol`] with tokio, threads and files.

pub mod args;
