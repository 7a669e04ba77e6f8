//! The two directions of a link with a peer: the connection that this node dialled, on which it
//! sends, and the one that it accepted, on which it receives.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use ipc::codec::{Decoder, Hello, Incoming};
use protocol::event::Event;
use protocol::id::{Incarnation, NodeId};
use protocol::time::Time;

use super::{MAX_HELLO, Wire};
use crate::network::{Chunk, ConnectionId, End};

/// A peer that takes nothing for that long, while something is unsent, is cut off.
const STALL_LIMIT: Duration = Duration::from_secs(5);
/// A peer that takes nothing for that long, while more waits for it than may, is cut off.
const UNSENT_PATIENCE: Duration = Duration::from_millis(500);

/// A connection that this node dialled.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) connection: ConnectionId,
    decoder: Decoder,
    unsent: VecDeque<Bytes>,
    /// Bytes of all in `unsent` but the first.
    waiting: usize,
    progress_at: Time,
}

/// A connection that this node accepted.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) connection: ConnectionId,
    pub(super) decoder: Decoder,
}

impl Outbound {
    pub(super) fn new(connection: ConnectionId, now: Time) -> Outbound {
        Outbound {
            connection,
            decoder: Decoder::new(MAX_HELLO),
            unsent: VecDeque::new(),
            waiting: 0,
            progress_at: now,
        }
    }

    /// Whether something is unsent.
    pub(super) fn is_busy(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Forgives the peer all of its silence: this node was not there to see it.
    pub(super) fn forgive(&mut self, now: Time) {
        self.progress_at = now;
    }

    pub(super) fn push(&mut self, bytes: Bytes, now: Time) {
        if self.unsent.is_empty() {
            self.progress_at = now;
        } else {
            self.waiting += bytes.len();
        }
        self.unsent.push_back(bytes);
    }

    /// Writes what the socket takes; tells whether the link is over.
    pub(super) fn poll(&mut self, wire: &mut Wire<'_>) -> bool {
        if wire
            .network
            .read(self.connection, End::Dialler, wire.now)
            .is_some()
        {
            return true;
        }
        while let Some(bytes) = self.unsent.front() {
            if !wire.network.is_open(self.connection, End::Dialler) {
                return true;
            }
            if wire.network.unread(self.connection, End::Dialler) >= wire.socket_room {
                let silent = wire.now.since(self.progress_at);
                let too_much = self.waiting > wire.most_unsent;
                return silent >= STALL_LIMIT || silent >= UNSENT_PATIENCE && too_much;
            }
            // Now and then the socket takes a frame in two parts.
            if bytes.len() > 1 && wire.chance.permille(10) {
                let (head, tail) = (
                    bytes.slice(..bytes.len() / 2),
                    bytes.slice(bytes.len() / 2..),
                );
                wire.write(self.connection, End::Dialler, head);
                wire.write(self.connection, End::Dialler, tail);
            } else {
                wire.write(self.connection, End::Dialler, bytes.clone());
            }
            self.unsent.pop_front();
            self.waiting -= self.unsent.front().map_or(0, Bytes::len);
            self.progress_at = wire.now;
        }
        false
    }

    /// The acceptor's Hello, or the end.
    pub(super) fn poll_welcome(&mut self, wire: &mut Wire<'_>) -> Option<Result<Hello, ()>> {
        loop {
            match self.decoder.decode() {
                Ok(Some(Incoming::Hello(hello))) => return Some(Ok(hello)),
                Ok(Some(_)) | Err(_) => return Some(Err(())),
                Ok(None) => {}
            }
            match wire.network.read(self.connection, End::Dialler, wire.now)? {
                Chunk::Bytes(bytes) => self.decoder.push(&bytes),
                Chunk::End => return Some(Err(())),
            }
        }
    }
}

impl Inbound {
    /// Reads what has arrived and hands out what is complete; tells whether the link is over.
    pub(super) fn read(
        &mut self,
        from: NodeId,
        incarnation: Incarnation,
        dying: bool,
        wire: &mut Wire<'_>,
        into: &mut VecDeque<Event>,
    ) -> bool {
        let mut torn = false;
        let over = loop {
            match self.decoder.decode() {
                Ok(Some(Incoming::Message(message))) => {
                    torn = false;
                    into.push_back(Event::Received {
                        from,
                        incarnation,
                        message,
                    });
                    continue;
                }
                Ok(Some(Incoming::Piece)) => continue,
                Ok(Some(Incoming::Hello(_))) | Err(_) => break true,
                Ok(None) => {}
            }
            let chunk = if dying {
                // A dead process sends no more: what is left is read without waiting for its end.
                wire.network.read_now(self.connection, End::Acceptor)
            } else {
                wire.network.read(self.connection, End::Acceptor, wire.now)
            };
            match chunk {
                Some(Chunk::Bytes(bytes)) => {
                    self.decoder.push(&bytes);
                    torn = true;
                }
                Some(Chunk::End) => break true,
                None => break dying,
            }
        };
        if torn {
            into.push_back(Event::Alive { from, incarnation });
        }
        over
    }
}
