//! Communication between the processes of a cluster: MessagePack over Unix sockets.
//!
//! ```text
//!   node 2                                                    node 5
//!   Mesh ── outbound link ── Hello, frames ────────────────▶ Mesh   (inbound link there)
//!        ◀─────────────────── Hello ───────────────────────
//!        ◀────────────────── Hello, frames ── outbound link ──      (inbound link here)
//!        ─────────────────── Hello ───────────────────────▶
//!     │                                                        │
//!     └── ControlLink ──────── supervisor ──────── ControlLink ┘
//! ```
//!
//! [`codec`] is pure: frames out of bytes and back. So is [`mesh`], the link machine, which holds all links
//! of one node over whatever carries their bytes. [`unix`] is what carries them here, and does its input and
//! output while the node waits for events; there are no tasks and no channels in it. [`control`] is the link
//! between the supervisor and each node. [`bind_private`] creates the sockets of both, private to their user.

pub mod codec;
pub mod control;
pub mod mesh;
mod private_socket;
pub mod unix;

pub use private_socket::{UNFINISHED, bind_private};
