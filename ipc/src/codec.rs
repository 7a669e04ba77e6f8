//! Frames: what the bytes on a link mean.
//!
//! A frame is a length (four bytes, big-endian) and so many bytes of MessagePack, a [`Frame`].
//! A message whose frame would be longer than [`PIECE`] travels in pieces: the payload that the
//! frame would have had is cut, and each part is a frame of its own, so that a heartbeat can go
//! between two of them.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use serde::{Deserialize, Serialize};

pub use decoder::{Decoder, Incoming};
pub(crate) use encoder::next_piece;
pub use encoder::{Encoded, Encoder};

/// Version of what is said on links; peers of another version are refused.
pub const VERSION: u16 = 2;

/// Longest payload of a frame that is accepted, in bytes: 64 MiB.
pub const MAX_FRAME: usize = 64 << 20;

/// Longest payload that travels in one frame, and most bytes of a message in one piece: 1 MiB.
pub const PIECE: usize = 1 << 20;

/// Longest message, pieces joined, in bytes: 1 GiB.
///
/// The largest value that a cluster can be asked for, the digits of 100,000,000!, has 757 MB;
/// each value of a snapshot is a message of its own. Nothing is reserved ahead of what arrived,
/// so the limit bounds what a peer can make us hold, not what a link costs.
pub const MAX_MESSAGE: usize = 1 << 30;

/// Bytes of the length in front of each payload.
const LENGTH: usize = 4;

/// What a frame's payload holds; bytes behind it are ignored. Borrows the bytes of pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame<'a> {
    /// Who is there: the first frame of each direction of a link.
    Hello(Hello),
    /// A message.
    Message(Message),
    /// A part of a payload that is too long for one frame.
    Piece {
        /// Whether the payload is complete with it.
        last: bool,
        /// The part.
        #[serde(borrow, serialize_with = "as_bytes")]
        bytes: &'a [u8],
    },
}

fn as_bytes<S: serde::Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Who is at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's static ID.
    pub node: NodeId,
    /// The sender's life.
    pub incarnation: Incarnation,
    /// Number of the link among those that the dialling life has made, from 1; an answer
    /// repeats it.
    pub serial: u64,
    /// The sender's [`VERSION`].
    pub version: u16,
    /// The highest epoch that the sender has seen.
    pub highest: Epoch,
}

/// Bytes that are no frame, or a message that is too long for one. After an error from a
/// [`Decoder`] nothing on that link can be trusted: close it.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A length beyond what is accepted.
    #[error("a frame of {length} bytes is over the limit of {limit}")]
    FrameTooLong {
        /// The length that the frame claims.
        length: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// A message longer than [`MAX_MESSAGE`].
    #[error("a message of {length} bytes or more is over the limit of {MAX_MESSAGE}")]
    MessageTooLong {
        /// Its length, as far as it is known.
        length: usize,
    },
    /// A payload that is no frame.
    #[error("a frame cannot be decoded: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// Pieces that are no message when joined.
    #[error("joined pieces hold something else than a message")]
    NotAMessage,
    /// A message that cannot be encoded.
    #[error("a message cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}
