//! The pure state machine of a bullpen node.
//!
//! ```text
//!            events: message, link up/down, hint, computed, file done, timeout
//!                                        │
//!   ┌───────── driver ──────────┐        ▼         ┌─────────── protocol ───────────┐
//!   │ the node process, tokio,  │   Node::step     │ gate: refuse epochs that are   │
//!   │ or the simulation, with   │ ───────────────▶ │ over; then election, takeover, │
//!   │ virtual time              │ ◀─────────────── │ coordinator or worker          │
//!   └───────────────────────────┘     actions      └────────────────────────────────┘
//!            actions: send, compute, one file call, log, trace
//! ```
//!
//! Nothing in here knows a clock, a socket, a file or chance; time comes in with every event.
//! So the driver of real processes and the simulation run one and the same machine.
//!
//! Each room knows those before it and no other: words, plan, checkpoint, desk, core, worker, coordinator,
//! node.

mod checkpoint;
mod coordinator;
mod core;
mod desk;
pub mod node;
pub mod plan;
mod words;
mod worker;

pub use desk::job;
pub use words::{
    config, deaths, decimal, event, file, id, message, packed, printable, status, supervision,
    time, timer, trace,
};
