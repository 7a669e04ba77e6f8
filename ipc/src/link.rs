//! One direction of two nodes' talk: a connection that its dialler sends on, and its far end.

mod queue;
pub(crate) mod socket;

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::codec::{CodecError, Decoder, Encoded, Hello, Incoming, VERSION};
use queue::{SLICES, SendQueue};

/// Longest payload of a first frame, in bytes.
pub(crate) const MAX_HELLO: usize = 1 << 10;

/// A peer that takes nothing for that long, while something is unsent, is cut off.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes that wait behind the message in progress, for a peer that takes nothing: 64 MiB.
pub(crate) const MAX_UNSENT: usize = 64 << 20;

/// A peer with more than [`MAX_UNSENT`] waiting is cut off when it takes nothing for that long.
/// A snapshot, queued in one turn, may be longer than the limit and is no fault of the peer.
pub(crate) const UNSENT_PATIENCE: Duration = Duration::from_millis(500);

/// Most bytes that wait behind the message in progress, whatever the peer takes: 1 GiB.
pub(crate) const MAX_BACKLOG: usize = 1 << 30;

/// Bytes that are read at a time, where messages come. Of a long one comes what its socket holds, a
/// few hundred KiB, so that its sender is woken less often; then it is another link's turn.
const READ: usize = 64 << 10;

/// Bytes that one link writes before it is another's turn.
const WRITE_TURN: usize = 1 << 20;

/// Why a link is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkEnd {
    /// The peer closed it.
    #[error("closed by the peer")]
    Closed,
    /// The socket failed; a reset is an end like any other.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer sent what is no frame.
    #[error("{0}")]
    Bad(#[from] CodecError),
    /// The peer sent a frame that has no place there.
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

/// A connection that this node dialled.
#[derive(Debug)]
pub(crate) struct Outbound {
    stream: UnixStream,
    decoder: Decoder,
    queue: SendQueue,
    /// When the peer last took something, or had nothing to take.
    progress_at: Instant,
}

impl Outbound {
    pub(crate) fn new(stream: UnixStream, now: Instant) -> Outbound {
        Outbound {
            stream,
            decoder: Decoder::new(MAX_HELLO),
            queue: SendQueue::default(),
            progress_at: now,
        }
    }

    /// Waits for the acceptor's Hello.
    pub(crate) fn poll_welcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Hello, LinkEnd>> {
        poll_hello(&mut self.stream, &mut self.decoder, cx)
    }

    /// Queues a message. It is written by [`Outbound::poll`], with all else that is queued by
    /// then, or at once where so much waits that a write is full anyway.
    pub(crate) fn push(&mut self, encoded: Encoded, now: Instant) {
        if self.queue.is_empty() {
            self.progress_at = now;
        }
        self.queue.push(encoded);
        if self.queue.waiting() > WRITE_TURN {
            // A failure repeats at the next poll, which deals with it.
            let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()), now);
        }
    }

    /// Whether everything is in the socket.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgives the peer all of its silence: this node was not there to see it.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.progress_at = now;
    }

    /// Writes what can be written and watches for the end; ready when the link is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<LinkEnd> {
        if let Poll::Ready(end) = self.poll_close(cx) {
            return Poll::Ready(end);
        }
        match self.poll_flush(cx, now) {
            Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            Poll::Ready(Ok(())) => return Poll::Pending,
            Poll::Pending => {}
        }
        let (silent, waiting) = (now - self.progress_at, self.queue.waiting());
        if silent >= STALL_LIMIT || silent >= UNSENT_PATIENCE && waiting > MAX_UNSENT {
            return Poll::Ready(LinkEnd::Stalled(silent, self.queue.unsent()));
        }
        if waiting > MAX_BACKLOG {
            return Poll::Ready(LinkEnd::Overfull(waiting));
        }
        Poll::Pending
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        Poll::Ready(
            match ready!(poll_fill(
                &mut self.stream,
                &mut self.decoder,
                MAX_HELLO,
                cx
            )) {
                Ok(()) => LinkEnd::Unexpected,
                Err(end) => end,
            },
        )
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        let mut written = 0;
        while !self.queue.is_empty() {
            if written >= WRITE_TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let slices = self.queue.slices(&mut slices);
            let n = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
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
pub(crate) struct Inbound {
    pub(crate) stream: UnixStream,
    pub(crate) decoder: Decoder,
}

impl Inbound {
    pub(crate) fn new(stream: UnixStream) -> Inbound {
        Inbound {
            stream,
            decoder: Decoder::new(MAX_HELLO),
        }
    }

    /// Waits for the dialler's Hello. What follows it stays in the decoder.
    pub(crate) fn poll_hello(&mut self, cx: &mut Context<'_>) -> Poll<Result<Hello, LinkEnd>> {
        poll_hello(&mut self.stream, &mut self.decoder, cx)
    }

    /// Reads once; ready when bytes came.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        poll_fill(&mut self.stream, &mut self.decoder, READ, cx)
    }
}

fn poll_hello(
    stream: &mut UnixStream,
    decoder: &mut Decoder,
    cx: &mut Context<'_>,
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
            None => ready!(poll_fill(stream, decoder, MAX_HELLO, cx))?,
        }
    }
}

fn poll_fill(
    stream: &mut UnixStream,
    decoder: &mut Decoder,
    room: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<(), LinkEnd>> {
    let mut room = decoder.room(room);
    let read = pin!(stream.read_buf(&mut room));
    Poll::Ready(match ready!(read.poll(cx)) {
        Ok(0) => Err(LinkEnd::Closed),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    })
}
