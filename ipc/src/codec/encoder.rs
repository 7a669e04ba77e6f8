//! From messages to bytes.

use bytes::{BufMut, Bytes, BytesMut};
use protocol::message::{Message, Product};
use serde::Serialize;

use super::{CodecError, Hello, LENGTH, MAX_MESSAGE, PIECE};

/// Bytes that are reserved at a time for short messages.
const ARENA: usize = 64 << 10;

/// Bytes in front of a piece: the frame's length, `{"Piece": [last, bytes]}` up to the bytes.
const PIECE_HEAD: usize = LENGTH + 14;

/// Turns messages into bytes. Short ones share a buffer that is used again once they are gone.
#[derive(Debug, Default)]
pub struct Encoder {
    arena: BytesMut,
}

/// An encoded message: encoded once, shared by all links that it is queued on.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// A whole frame; for a long message the payload alone.
    pub(crate) bytes: Bytes,
    /// Whether it travels in pieces.
    pub(crate) long: bool,
    /// Whether it may overtake pieces of a long message.
    pub(crate) urgent: bool,
}

/// [`super::Frame`] for what is only lent to the encoder.
#[derive(Serialize)]
enum Frame<'a> {
    Hello(&'a Hello),
    Message(&'a Message),
}

impl Encoder {
    /// An encoder with nothing reserved.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Encodes a message.
    ///
    /// # Errors
    ///
    /// [`CodecError::MessageTooLong`] over [`MAX_MESSAGE`].
    pub fn message(&mut self, message: &Message) -> Result<Encoded, CodecError> {
        let estimate = estimate(message);
        let bytes = if estimate < ARENA {
            if self.arena.capacity() < estimate {
                self.arena.reserve(ARENA);
            }
            encode(&mut self.arena, &Frame::Message(message))?
        } else {
            // In the arena its rest would keep the whole of a large value alive.
            encode(
                &mut BytesMut::with_capacity(estimate),
                &Frame::Message(message),
            )?
        };
        let length = bytes.len() - LENGTH;
        if length > MAX_MESSAGE {
            return Err(CodecError::MessageTooLong { length });
        }
        let long = length > PIECE;
        Ok(Encoded {
            bytes: if long { bytes.slice(LENGTH..) } else { bytes },
            long,
            urgent: matches!(message, Message::Heartbeat { .. } | Message::Pulse { .. }),
        })
    }

    /// Encodes the first frame of a link.
    ///
    /// # Errors
    ///
    /// None that a Hello can cause.
    pub fn hello(&mut self, hello: &Hello) -> Result<Bytes, CodecError> {
        encode(&mut self.arena, &Frame::Hello(hello))
    }
}

impl Encoded {
    /// Appends the frames to `out`, in order, as they go on a link that carries nothing else.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if !self.long {
            out.extend_from_slice(&self.bytes);
            return;
        }
        let mut rest = self.bytes.clone();
        while !rest.is_empty() {
            let [head, piece] = next_piece(&mut rest);
            out.extend_from_slice(&head);
            out.extend_from_slice(&piece);
        }
    }
}

/// Takes the next piece off a long payload: the bytes in front of it, and itself, uncopied.
pub(crate) fn next_piece(rest: &mut Bytes) -> [Bytes; 2] {
    let piece = rest.split_to(rest.len().min(PIECE));
    let last = rest.is_empty();
    let mut head = BytesMut::with_capacity(PIECE_HEAD);
    head.put_u32((PIECE_HEAD - LENGTH + piece.len()) as u32);
    head.put_u8(0x81); // a map of one
    head.put_u8(0xa5); // a string of five
    head.put_slice(b"Piece");
    head.put_u8(0x92); // an array of two
    head.put_u8(if last { 0xc3 } else { 0xc2 });
    head.put_u8(0xc6); // bytes, with a length of four bytes
    head.put_u32(piece.len() as u32);
    [head.freeze(), piece]
}

fn encode(buffer: &mut BytesMut, frame: &Frame<'_>) -> Result<Bytes, CodecError> {
    buffer.clear();
    buffer.put_bytes(0, LENGTH);
    rmp_serde::encode::write(&mut (&mut *buffer).writer(), frame)?;
    let length = buffer.len() - LENGTH;
    // A length that does not fit is that of a long message, whose length goes unused.
    let prefix = u32::try_from(length).unwrap_or(u32::MAX);
    buffer[..LENGTH].copy_from_slice(&prefix.to_be_bytes());
    Ok(buffer.split().freeze())
}

/// About how many bytes the frame of a message takes; rather more than less.
fn estimate(message: &Message) -> usize {
    const FIXED: usize = 128;
    const OPERATION: usize = 32;
    let products = |products: &[Product]| -> usize {
        products
            .iter()
            .map(|product| OPERATION + product.value.len())
            .sum()
    };
    FIXED
        + match message {
            Message::Products { products: all } => products(all),
            Message::Checkpoint { update, .. } => {
                products(&update.products)
                    + (update.forgotten.len() + update.attempts.len()) * OPERATION
            }
            Message::Pull { operations, .. }
            | Message::Assign { operations, .. }
            | Message::Missing { operations, .. } => operations.len() * OPERATION,
            Message::Promise { inventory, .. } => {
                (inventory.held.len()
                    + inventory.kept.len()
                    + inventory.queued.len()
                    + inventory.attempts.len())
                    * OPERATION
            }
            _ => 0,
        }
}
