//! Frames: the encoding of the bytes on a link.
//!
//! A frame is a length (four bytes, big-endian) and that many bytes of MessagePack, a [`Frame`].
//!
//! A message of more than about [`LONG`] bytes travels in pieces, so that a heartbeat can go between
//! two of them: frames whose length has its highest bit set, and behind the length, in four bytes,
//! how much of the message follows the piece. The pieces, joined, are MessagePack of a pair: the
//! message, and the lengths of its products' values where these are long. The values then follow in
//! their order, and the message has empty ones. So nobody copies a long value: it is written from
//! where its sender holds it, and read to where its receiver keeps it.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::{Message, Product};
use serde::{Deserialize, Serialize};

pub use decoder::{Decoder, Incoming};
pub use encoder::{Encoded, Encoder};
pub(crate) use encoder::{Frames, Rest};

/// Version of the encoding; peers of another version are refused.
pub const VERSION: u16 = 3;

/// Longest payload of a frame that is accepted, in bytes: 1 MiB.
pub const MAX_FRAME: usize = 1 << 20;

/// A message of about this many bytes or more travels in pieces, unless [`Pieces`] says otherwise: 64 KiB.
pub const LONG: usize = 64 << 10;

/// How long messages travel.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    /// A message of about this many bytes or more travels in pieces.
    pub from: usize,
    /// Maximum number of bytes of a message in one piece, at most [`MAX_FRAME`].
    pub most: usize,
}

impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            from: LONG,
            most: MAX_FRAME,
        }
    }
}

/// Longest message, pieces joined, in bytes: 1 GiB.
///
/// The largest value that a cluster can be asked for, 100,000,000!, has 366 MB;
/// each value of a snapshot is a message of its own. The limit bounds what a peer can make us hold,
/// not what a link costs.
pub const MAX_MESSAGE: usize = 1 << 30;

/// Bytes of the length in front of each payload.
const LENGTH: usize = 4;

/// Bytes in front of a piece.
const PIECE_HEAD: usize = 2 * LENGTH;

/// The bit of a frame's length that marks a piece.
const PIECE_BIT: u32 = 1 << 31;

/// The payload of a frame that is not a piece; bytes after it are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Introduces the sender: the first frame of each direction of a link.
    Hello(Hello),
    /// A message.
    Message(Message),
}

/// The sender at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's static ID.
    pub node: NodeId,
    /// The sender's incarnation.
    pub incarnation: Incarnation,
    /// Number of the link among those that the dialling incarnation has made, from 1; an answer
    /// repeats it.
    pub serial: u64,
    /// The sender's [`VERSION`].
    pub version: u16,
    /// The highest epoch that the sender has seen.
    pub highest: Epoch,
}

/// Bytes that are not a frame, or a message that is too long for one. After an error from a
/// [`Decoder`] nothing on that link can be trusted: close it.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A length over the limit.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    FrameTooLong {
        /// The length that the frame claims.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A message longer than [`MAX_MESSAGE`].
    #[error("a message of {length} bytes or more is over the limit of {MAX_MESSAGE}")]
    MessageTooLong {
        /// Its length, as far as it is known.
        length: usize,
    },
    /// A payload that is not a frame.
    #[error("a frame cannot be decoded: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// A long message whose values differ from what it announces.
    #[error("the values of a long message are not as announced")]
    OtherValues,
    /// A message that cannot be encoded.
    #[error("a message cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// The products that a message carries.
fn products(message: &Message) -> &[Product] {
    match message {
        Message::Products { products } => products,
        Message::Checkpoint { update, .. } => &update.products,
        _ => &[],
    }
}

fn products_mut(message: &mut Message) -> &mut [Product] {
    match message {
        Message::Products { products } => products,
        Message::Checkpoint { update, .. } => &mut update.products,
        _ => &mut [],
    }
}
