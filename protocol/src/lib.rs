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

mod admission;
mod checkpoint;
pub mod config;
mod coordinator;
mod core;
mod damping;
pub mod deaths;
pub mod decimal;
mod election;
pub mod event;
pub mod file;
mod hang;
mod hidden_text;
pub mod id;
mod inbox;
pub mod job;
mod jobs;
mod links;
pub mod message;
pub mod node;
pub mod packed;
mod peer;
pub mod plan;
mod pool;
pub mod printable;
mod products;
mod publish;
mod recovery;
pub mod status;
mod still;
mod takeover;
pub mod time;
pub mod timer;
pub mod trace;
mod trouble;
mod work;
mod worker;
