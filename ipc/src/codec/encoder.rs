//! From messages to bytes.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::message::Message;
use serde::Serialize;

use super::{
    CodecError, Hello, LENGTH, LONG, MAX_MESSAGE, PIECE_BIT, PIECE_HEAD, Pieces, products,
    products_mut,
};

/// Bytes that are reserved at a time for short messages.
const ARENA: usize = LONG;

/// The values of a long message are not copied into it if they average at least this many bytes: 4 KiB.
const LONG_VALUE: usize = 4 << 10;

/// Turns messages into bytes. Short ones share a buffer that is used again once they are gone.
#[derive(Debug, Default)]
pub struct Encoder {
    arena: BytesMut,
    pieces: Pieces,
}

/// An encoded message: encoded once, shared by all links that it is queued on.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub(crate) frames: Frames,
    /// Whether it may overtake pieces of a long message.
    pub(crate) urgent: bool,
}

/// How a message travels.
#[derive(Clone, Debug)]
pub(crate) enum Frames {
    /// In this frame.
    Whole(Bytes),
    /// In pieces.
    Pieces(Rest),
}

/// The unsent rest of a long message. Its values are those of the message, uncopied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    parts: VecDeque<Bytes>,
    length: usize,
    /// Most bytes of a piece.
    most: usize,
}

/// [`super::Frame`] with borrowed content.
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

    /// One whose long messages travel in such pieces.
    pub fn with_pieces(pieces: Pieces) -> Encoder {
        Encoder {
            pieces,
            ..Encoder::default()
        }
    }

    /// Encodes a message.
    ///
    /// # Errors
    ///
    /// [`CodecError::MessageTooLong`] over [`MAX_MESSAGE`].
    pub fn message(&mut self, message: &Message) -> Result<Encoded, CodecError> {
        let estimate = estimate(message);
        let frames = if estimate < self.pieces.from {
            if self.arena.capacity() < estimate {
                self.arena.reserve(ARENA);
            }
            Frames::Whole(encode(&mut self.arena, &Frame::Message(message))?)
        } else {
            Frames::Pieces(Rest::of(message, estimate, self.pieces.most)?)
        };
        Ok(Encoded {
            frames,
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
    /// Its length in bytes, without the headers of pieces.
    pub(crate) fn len(&self) -> usize {
        match &self.frames {
            Frames::Whole(frame) => frame.len(),
            Frames::Pieces(rest) => rest.len(),
        }
    }

    /// Appends the frames to `out`, in order, as they go on a link that carries nothing else.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match &self.frames {
            Frames::Whole(frame) => out.extend_from_slice(frame),
            Frames::Pieces(rest) => {
                let mut rest = rest.clone();
                while !rest.is_empty() {
                    for part in rest.next_piece() {
                        out.extend_from_slice(&part);
                    }
                }
            }
        }
    }
}

impl Rest {
    fn of(message: &Message, estimate: usize, most: usize) -> Result<Rest, CodecError> {
        let products = products(message);
        let sum: usize = products.iter().map(|product| product.value.len()).sum();
        if sum > MAX_MESSAGE {
            return Err(CodecError::MessageTooLong { length: sum });
        }
        let mut message = Cow::Borrowed(message);
        let mut values = Vec::new();
        if sum / products.len().max(1) >= LONG_VALUE {
            let emptied = products_mut(message.to_mut()).iter_mut();
            values.extend(emptied.map(|product| std::mem::take(&mut product.value)));
        }
        let lengths: Vec<u32> = values.iter().map(|value| value.len() as u32).collect();
        let behind = if values.is_empty() { 0 } else { sum };
        let mut head = Vec::with_capacity(estimate - behind);
        rmp_serde::encode::write(&mut head, &(message, lengths))?;
        let length = head.len() + behind;
        if length > MAX_MESSAGE {
            return Err(CodecError::MessageTooLong { length });
        }
        let parts = [head.into()].into_iter().chain(values).collect();
        Ok(Rest {
            parts,
            length,
            most,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the next piece off: the parts of its frame.
    pub(crate) fn next_piece(&mut self) -> Vec<Bytes> {
        let mut missing = self.length.min(self.most);
        self.length -= missing;
        let mut head = BytesMut::with_capacity(PIECE_HEAD);
        head.put_u32(missing as u32 | PIECE_BIT);
        head.put_u32(self.length as u32);
        let mut frame = vec![head.freeze()];
        while missing > 0
            && let Some(mut first) = self.parts.pop_front()
        {
            let taken = first.split_to(first.len().min(missing));
            missing -= taken.len();
            frame.push(taken);
            if !first.is_empty() {
                self.parts.push_front(first);
            }
        }
        frame
    }
}

fn encode(buffer: &mut BytesMut, frame: &Frame<'_>) -> Result<Bytes, CodecError> {
    buffer.clear();
    buffer.put_bytes(0, LENGTH);
    rmp_serde::encode::write(&mut (&mut *buffer).writer(), frame)?;
    let length = (buffer.len() - LENGTH) as u32;
    buffer[..LENGTH].copy_from_slice(&length.to_be_bytes());
    Ok(buffer.split().freeze())
}

/// The approximate length of a message's frame; rather too many bytes than too few.
fn estimate(message: &Message) -> usize {
    const FIXED: usize = 128;
    const OPERATION: usize = 32;
    let carried = products(message).iter();
    FIXED
        + carried
            .map(|product| OPERATION + product.value.len())
            .sum::<usize>()
        + match message {
            Message::Checkpoint { update, .. } => {
                (update.forgotten.len() + update.attempts.len() + update.kept.len()) * OPERATION
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
