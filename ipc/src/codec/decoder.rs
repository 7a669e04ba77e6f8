//! From bytes to messages.

use bytes::{Buf, BytesMut};
use protocol::message::Message;

use super::{CodecError, Frame, Hello, LENGTH, MAX_FRAME, MAX_MESSAGE};

/// Takes the bytes of a link as they come, in parts of any size, and gives what they say.
///
/// Pure: knows no socket. Memory grows with the bytes that arrived, never with what a length
/// claims.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// Pieces of an unfinished long message.
    joined: Vec<u8>,
    max_frame: usize,
}

/// What a [`Decoder`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A Hello.
    Hello(Hello),
    /// A message; its pieces were joined.
    Message(Message),
    /// A piece of a long message that is not complete.
    Piece,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new(MAX_FRAME)
    }
}

impl Decoder {
    /// A decoder that accepts payloads of up to `max_frame` bytes.
    pub fn new(max_frame: usize) -> Decoder {
        Decoder {
            buffer: BytesMut::new(),
            joined: Vec::new(),
            max_frame,
        }
    }

    /// Accepts payloads of up to `max_frame` bytes from now on.
    pub fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read into, with room for `room` bytes. Only append to it.
    pub(crate) fn room(&mut self, room: usize) -> &mut BytesMut {
        self.buffer.reserve(room);
        &mut self.buffer
    }

    /// Bytes that are kept of an unfinished long message.
    #[cfg(test)]
    pub(crate) fn joined(&self) -> usize {
        self.joined.capacity()
    }

    /// The next thing that is complete, or none until more bytes come.
    ///
    /// # Errors
    ///
    /// The bytes are no frame, or one that is too long. The link must be closed.
    pub fn decode(&mut self) -> Result<Option<Incoming>, CodecError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > self.max_frame {
            return Err(CodecError::FrameTooLong {
                length,
                limit: self.max_frame,
            });
        }
        let Some(payload) = self.buffer.get(LENGTH..LENGTH + length) else {
            return Ok(None);
        };
        let incoming = match parse(payload)? {
            Frame::Hello(hello) => Incoming::Hello(hello),
            Frame::Message(message) => Incoming::Message(message),
            Frame::Piece { last, bytes } => join(&mut self.joined, last, bytes)?,
        };
        self.buffer.advance(LENGTH + length);
        Ok(Some(incoming))
    }
}

fn join(joined: &mut Vec<u8>, last: bool, bytes: &[u8]) -> Result<Incoming, CodecError> {
    let length = joined.len() + bytes.len();
    if length > MAX_MESSAGE {
        return Err(CodecError::MessageTooLong { length });
    }
    joined.extend_from_slice(bytes);
    if !last {
        return Ok(Incoming::Piece);
    }
    let whole = std::mem::take(joined);
    match parse(&whole)? {
        Frame::Message(message) => Ok(Incoming::Message(message)),
        Frame::Hello(_) | Frame::Piece { .. } => Err(CodecError::NotAMessage),
    }
}

fn parse(payload: &[u8]) -> Result<Frame<'_>, CodecError> {
    Ok(rmp_serde::from_slice(payload)?)
}
