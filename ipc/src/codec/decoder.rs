//! From bytes to messages.

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes};
use protocol::message::Message;

use super::{
    CodecError, Frame, Hello, LENGTH, MAX_FRAME, MAX_MESSAGE, PIECE_BIT, PIECE_HEAD, products_mut,
};

/// Maximum number of bytes reserved because of the length in a long message's first piece: 8 MiB. Bytes that
/// nothing was read into take addresses, but no memory.
const TRUSTED: usize = 8 << 20;

/// Bytes after a piece that are read with it: 4 KiB. A short read shows that its socket is empty, which
/// would otherwise take another call.
const BEHIND: usize = 4 << 10;

/// Decodes the bytes of a link as they arrive, in parts of any size.
///
/// Pure: knows no socket. Memory grows with the bytes that arrived; a length alone reserves at most
/// 8 MiB of addresses.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes that arrived and are not part of `long`; the first `taken` bytes were decoded.
    buffer: Vec<u8>,
    taken: usize,
    /// The part of a long message that has arrived.
    long: Vec<u8>,
    /// The piece of it that is being received.
    piece: Option<Piece>,
    max_frame: usize,
}

/// Where a piece ends, and its message, in bytes from the beginning of the message.
#[derive(Clone, Copy, Debug)]
struct Piece {
    end: usize,
    total: usize,
}

/// The output of a [`Decoder`].
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
            buffer: Vec::new(),
            taken: 0,
            long: Vec::new(),
            piece: None,
            max_frame,
        }
    }

    /// Accepts payloads of up to `max_frame` bytes from now on.
    pub fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.tidy();
        self.buffer.extend_from_slice(bytes);
    }

    /// Where to read to: `room` bytes; within a piece, what is missing of it, and a little more. Only
    /// append to it.
    pub(crate) fn room(&mut self, room: usize) -> Limit<&mut Vec<u8>> {
        self.tidy();
        if let Some(piece) = self.piece
            && self.buffer.is_empty()
        {
            self.reserve(1, piece.total);
            let spare = self.long.capacity() - self.long.len();
            let missing = piece.end - self.long.len();
            return (&mut self.long).limit(spare.min(missing + BEHIND));
        }
        self.buffer.reserve(room);
        (&mut self.buffer).limit(room)
    }

    /// Bytes that are reserved.
    #[cfg(test)]
    pub(crate) fn reserved(&self) -> usize {
        self.buffer.capacity() + self.long.capacity()
    }

    /// The next complete item, or none until more bytes arrive.
    ///
    /// # Errors
    ///
    /// The bytes are not a frame, or one that is too long. The link must be closed.
    pub fn decode(&mut self) -> Result<Option<Incoming>, CodecError> {
        if let Some(piece) = self.piece {
            self.tidy();
            return self.receive(piece);
        }
        let rest = &self.buffer[self.taken..];
        let Some(prefix) = rest.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let prefix = u32::from_be_bytes(*prefix);
        let length = (prefix & !PIECE_BIT) as usize;
        if length > self.max_frame {
            return Err(CodecError::FrameTooLong {
                length,
                limit: self.max_frame,
            });
        }
        if prefix & PIECE_BIT == 0 {
            let Some(payload) = rest.get(LENGTH..LENGTH + length) else {
                return Ok(None);
            };
            let frame = rmp_serde::from_slice(payload)?;
            self.taken += LENGTH + length;
            return Ok(Some(match frame {
                Frame::Hello(hello) => Incoming::Hello(hello),
                Frame::Message(message) => Incoming::Message(message),
            }));
        }
        let Some(behind) = rest[LENGTH..].first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let end = self.long.len() + length;
        let total = end + u32::from_be_bytes(*behind) as usize;
        if total > MAX_MESSAGE {
            return Err(CodecError::MessageTooLong { length: total });
        }
        self.taken += PIECE_HEAD;
        self.receive(Piece { end, total })
    }

    /// Takes the part of a piece that has arrived.
    fn receive(&mut self, piece: Piece) -> Result<Option<Incoming>, CodecError> {
        let come = (self.buffer.len() - self.taken).min(piece.end - self.long.len());
        self.reserve(come, piece.total);
        let come = self.taken..self.taken + come;
        self.taken = come.end;
        self.long.extend_from_slice(&self.buffer[come]);
        self.piece = (self.long.len() < piece.end).then_some(piece);
        if self.piece.is_some() {
            return Ok(None);
        }
        if piece.end < piece.total {
            return Ok(Some(Incoming::Piece));
        }
        join(std::mem::take(&mut self.long)).map(|message| Some(Incoming::Message(message)))
    }

    /// Makes room for `more` bytes of a long message; in the end its capacity is little more than its length.
    fn reserve(&mut self, more: usize, total: usize) {
        let needed = self.long.len() + more;
        if needed > self.long.capacity() {
            let grown = needed.max(TRUSTED).max(2 * self.long.capacity());
            self.long
                .reserve_exact(grown.min(total + BEHIND) - self.long.len());
        }
    }

    /// Drops decoded bytes, and moves bytes read after a piece to where frames begin.
    fn tidy(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if let Some(piece) = self.piece
            && self.long.len() > piece.end
        {
            self.buffer.extend(self.long.drain(piece.end..));
        }
    }
}

/// The message of these pieces. A value that makes up most of it stays where it is; no other value keeps the
/// memory of the whole message.
fn join(pieces: Vec<u8>) -> Result<Message, CodecError> {
    let (mut message, lengths): (Message, Vec<u32>) = rmp_serde::from_slice(&pieces)?;
    if lengths.is_empty() {
        return Ok(message);
    }
    let products = products_mut(&mut message);
    let sum = lengths.iter().map(|&length| length as usize).sum();
    let begin = pieces.len().checked_sub(sum);
    let begin = begin.filter(|_| lengths.len() == products.len());
    let mut values = Bytes::from(pieces);
    let most = values.len() / 2;
    values.advance(begin.ok_or(CodecError::OtherValues)?);
    for (product, length) in products.iter_mut().zip(lengths) {
        let value = values.split_to(length as usize);
        product.value = if value.len() > most {
            value
        } else {
            Bytes::copy_from_slice(&value)
        };
    }
    Ok(message)
}
