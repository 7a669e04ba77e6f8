//! The binary `bullpen`.
fn main() {}
