//! One direction between two nodes: a connection that its dialler sends on, and its far end.

use std::io::{self, IoSlice};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use protocol::event::Event;
use protocol::id::{Incarnation, NodeId};
use protocol::time::Time;

use super::queue::{SLICES, SendQueue};
use super::{Batch, Sizes, Wire};
use crate::codec::{CodecError, Decoder, Encoded, Hello, Incoming, MAX_FRAME, VERSION};

/// Longest payload of a first frame, in bytes.
const MAX_HELLO: usize = 1 << 10;

/// A peer that takes nothing for that long, while something is unsent, is cut off.
pub const STALL_LIMIT: Duration = Duration::from_secs(5);

/// A peer for which more waits than [`Sizes::unsent`] is cut off when it takes nothing for that long.
pub const UNSENT_PATIENCE: Duration = Duration::from_millis(500);

/// Why a link is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    /// The peer closed it.
    #[error("closed by the peer")]
    Closed,
    /// The connection failed; a reset is an end like any other.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer sent something that is not a frame.
    #[error("{0}")]
    Bad(#[from] CodecError),
    /// The peer sent a frame that is not allowed there.
    #[error("an unexpected frame")]
    Unexpected,
    /// The peer speaks another version.
    #[error("protocol version {0}; this is version {VERSION}")]
    Version(u16),
    /// The peer took nothing for too long.
    #[error("cut off: nothing taken for {0:?}, {1} bytes unsent")]
    Stalled(Duration, usize),
    /// Too much waits for the peer.
    #[error("cut off: {0} bytes unsent")]
    Overfull(usize),
}

impl LinkEnd {
    /// Whether the peer itself ended it, by closing it or by its death.
    pub(super) fn is_of_the_peer(&self) -> bool {
        match self {
            LinkEnd::Closed => true,
            LinkEnd::Io(error) => error.kind() != io::ErrorKind::ConnectionAborted,
            _ => false,
        }
    }
}

/// A connection that this node dialled.
#[derive(Debug)]
pub(super) struct Outbound<C> {
    pub(super) connection: C,
    decoder: Decoder,
    queue: SendQueue,
    /// When the peer last took something, or had nothing to take.
    progress_at: Time,
}

impl<C> Outbound<C> {
    pub(super) fn new(connection: C, now: Time) -> Outbound<C> {
        Outbound {
            connection,
            decoder: Decoder::new(MAX_HELLO),
            queue: SendQueue::default(),
            progress_at: now,
        }
    }

    /// Waits for the acceptor's Hello.
    pub(super) fn poll_welcome(
        &mut self,
        wire: &mut impl Wire<Connection = C>,
    ) -> Poll<Result<Hello, LinkEnd>> {
        poll_hello(&mut self.connection, &mut self.decoder, wire)
    }

    /// Queues a message. It is written by [`Outbound::poll`], with all else that is queued by
    /// then, or at once where so much waits that a write is full anyway.
    pub(super) fn push(
        &mut self,
        encoded: Encoded,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        sizes: &Sizes,
    ) {
        if self.queue.is_empty() {
            self.progress_at = now;
        }
        self.queue.push(encoded);
        if self.queue.waiting() > sizes.write {
            // A failure repeats at the next poll, which deals with it.
            let _ = self.poll_flush(now, wire, sizes);
        }
    }

    /// Whether everything is on the wire.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Resets the peer's silence: this node was suspended and could not observe it.
    pub(super) fn forgive(&mut self, now: Time) {
        self.progress_at = now;
    }

    /// Writes what can be written and watches for the end; ready when the link is over.
    pub(super) fn poll(
        &mut self,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        sizes: &Sizes,
    ) -> Poll<LinkEnd> {
        if let Poll::Ready(end) = self.poll_close(wire) {
            return Poll::Ready(end);
        }
        match self.poll_flush(now, wire, sizes) {
            Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            Poll::Ready(Ok(())) => return Poll::Pending,
            Poll::Pending => {}
        }
        let (silent, waiting) = (now.since(self.progress_at), self.queue.waiting());
        if silent >= STALL_LIMIT || silent >= UNSENT_PATIENCE && waiting > sizes.unsent {
            return Poll::Ready(LinkEnd::Stalled(silent, self.queue.unsent()));
        }
        if waiting > sizes.backlog {
            return Poll::Ready(LinkEnd::Overfull(waiting));
        }
        Poll::Pending
    }

    fn poll_close(&mut self, wire: &mut impl Wire<Connection = C>) -> Poll<LinkEnd> {
        let filled = ready!(fill(
            &mut self.connection,
            &mut self.decoder,
            MAX_HELLO,
            wire
        ));
        Poll::Ready(match filled {
            Ok(_) => LinkEnd::Unexpected,
            Err(end) => end,
        })
    }

    fn poll_flush(
        &mut self,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        sizes: &Sizes,
    ) -> Poll<io::Result<()>> {
        let mut written = 0;
        while !self.queue.is_empty() {
            if written >= sizes.write {
                wire.poll_again();
                return Poll::Pending;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let slices = self.queue.slices(&mut slices, sizes.staged);
            let n = ready!(wire.write(&mut self.connection, slices))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.queue.consume(n);
            self.progress_at = now;
            written += n;
        }
        Poll::Ready(Ok(()))
    }
}

/// A connection that this node accepted.
#[derive(Debug)]
pub(super) struct Inbound<C> {
    pub(super) connection: C,
    decoder: Decoder,
}

/// The incarnation that a link comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) peer: NodeId,
    pub(super) incarnation: Incarnation,
}

impl<C> Inbound<C> {
    pub(super) fn new(connection: C) -> Inbound<C> {
        Inbound {
            connection,
            decoder: Decoder::new(MAX_HELLO),
        }
    }

    /// Waits for the dialler's Hello. What follows it stays in the decoder.
    pub(super) fn poll_hello(
        &mut self,
        wire: &mut impl Wire<Connection = C>,
    ) -> Poll<Result<Hello, LinkEnd>> {
        let hello = ready!(poll_hello(&mut self.connection, &mut self.decoder, wire));
        self.decoder.set_max_frame(MAX_FRAME);
        Poll::Ready(hello)
    }

    /// Hands out what is complete, reads once where there is room for more, and hands out that.
    pub(super) fn read(
        &mut self,
        from: Sender,
        wire: &mut impl Wire<Connection = C>,
        sizes: &Sizes,
        batch: &mut Batch<'_>,
    ) -> Result<(), LinkEnd> {
        self.hand_out(from, batch)?;
        if !batch.has_room() {
            return Ok(());
        }
        let read = fill(&mut self.connection, &mut self.decoder, sizes.read, wire);
        let Poll::Ready(read) = read else {
            return Ok(());
        };
        batch.is_short |= read?;
        if self.hand_out(from, batch)? == 0 && batch.has_room() {
            batch.into.push(Event::Alive {
                from: from.peer,
                incarnation: from.incarnation,
            });
        }
        Ok(())
    }

    /// Hands out what a dead process has left; an error when that is all. It sends no more, so there is no
    /// need to wait for the end that its connection will come to.
    pub(super) fn drain(
        &mut self,
        from: Sender,
        wire: &mut impl Wire<Connection = C>,
        sizes: &Sizes,
        batch: &mut Batch<'_>,
    ) -> Result<(), LinkEnd> {
        self.hand_out(from, batch)?;
        while batch.has_room() {
            let mut room = self.decoder.room(sizes.read);
            match wire.read_rest(&mut self.connection, &mut room) {
                Poll::Pending | Poll::Ready(Ok(0)) => return Err(LinkEnd::Closed),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
            self.hand_out(from, batch)?;
        }
        Ok(())
    }

    /// Hands out the messages that are complete, and returns how many there were.
    fn hand_out(&mut self, from: Sender, batch: &mut Batch<'_>) -> Result<usize, LinkEnd> {
        let mut count = 0;
        while batch.has_room() {
            match self.decoder.decode()? {
                None => break,
                Some(Incoming::Piece) => {}
                Some(Incoming::Hello(_)) => return Err(LinkEnd::Unexpected),
                Some(Incoming::Message(message)) => {
                    count += 1;
                    batch.into.push(Event::Received {
                        from: from.peer,
                        incarnation: from.incarnation,
                        message,
                    });
                }
            }
        }
        Ok(count)
    }
}

fn poll_hello<C>(
    connection: &mut C,
    decoder: &mut Decoder,
    wire: &mut impl Wire<Connection = C>,
) -> Poll<Result<Hello, LinkEnd>> {
    loop {
        match decoder.decode()? {
            Some(Incoming::Hello(hello)) if hello.version == VERSION => {
                return Poll::Ready(Ok(hello));
            }
            Some(Incoming::Hello(hello)) => {
                return Poll::Ready(Err(LinkEnd::Version(hello.version)));
            }
            Some(_) => return Poll::Ready(Err(LinkEnd::Unexpected)),
            None => {
                ready!(fill(connection, decoder, MAX_HELLO, wire))?;
            }
        }
    }
}

/// Reads once; ready when bytes came. Whether they took all the room, so that there may be more.
fn fill<C>(
    connection: &mut C,
    decoder: &mut Decoder,
    room: usize,
    wire: &mut impl Wire<Connection = C>,
) -> Poll<Result<bool, LinkEnd>> {
    let mut room = decoder.room(room);
    Poll::Ready(match ready!(wire.read(connection, &mut room)) {
        Ok(0) => Err(LinkEnd::Closed),
        Ok(_) => Ok(!room.has_remaining_mut()),
        Err(error) => Err(error.into()),
    })
}
