//! What carries the bytes of links here: the wire of [`ipc::mesh`] over the modelled network.

use std::io::{self, IoSlice};
use std::task::Poll;

use bytes::{BufMut, Bytes, BytesMut};
use ipc::mesh::{DialError, Wire};
use protocol::id::NodeId;
use protocol::time::Time;

use crate::chance::{Chance, Span};
use crate::network::{Chunk, Network, Refusal, Socket};

/// The wire of one node, while it works.
pub(crate) struct SimulatedWire<'a> {
    pub(crate) now: Time,
    pub(crate) node: NodeId,
    pub(crate) network: &'a mut Network,
    pub(crate) chance: &'a mut Chance,
    /// How long bytes take.
    pub(crate) latency: Span,
    /// Bytes that a socket holds before it takes no more.
    pub(crate) socket_room: usize,
    pub(crate) awaited: &'a mut Awaited,
    /// Who has something to do, and from when.
    pub(crate) roused: &'a mut Vec<Rouse>,
}

/// What a process is woken for by its sockets: what it has asked for since it last polled and was told to
/// wait, and nothing else. A process that waits for too little sleeps on, as it would in production.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    to_read: Vec<Socket>,
    to_write: Vec<Socket>,
    callers: bool,
    again: bool,
}

/// A process has something to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rouse {
    pub(crate) node: NodeId,
    pub(crate) at: Time,
    pub(crate) what: Readiness,
}

/// What there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Readiness {
    /// A socket has something to read.
    Read(Socket),
    /// A socket has room.
    Write(Socket),
    /// Somebody has dialled.
    Accept,
    /// What it waits for in any case: its supervisor, its threads.
    Else,
}

impl Awaited {
    /// It polls all its sockets: what they are not ready for is asked for anew.
    pub(crate) fn clear(&mut self) {
        *self = Awaited::default();
    }

    pub(crate) fn is_for(&self, what: Readiness) -> bool {
        match what {
            Readiness::Read(socket) => self.to_read.contains(&socket),
            Readiness::Write(socket) => self.to_write.contains(&socket),
            Readiness::Accept => self.callers,
            Readiness::Else => true,
        }
    }

    /// When there is something of it, as far as that is known by now.
    pub(crate) fn next(
        &self,
        node: NodeId,
        now: Time,
        network: &Network,
        socket_room: usize,
    ) -> Option<Time> {
        let reads = self.to_read.iter();
        let is_ready = |&socket: &Socket| {
            network.broken(socket).is_some() || network.unread(socket) < socket_room
        };
        let write = self
            .to_write
            .iter()
            .copied()
            .any(|socket| is_ready(&socket));
        let caller = network.next_caller(node).filter(|_| self.callers);
        reads
            .filter_map(|&socket| network.next_arrival(socket))
            .chain(caller)
            .chain((self.again || write).then_some(now))
            .min()
    }
}

impl SimulatedWire<'_> {
    fn rouse_reader(&mut self, socket: Socket, at: Time) {
        let other = socket.other();
        self.roused.push(Rouse {
            node: self.network.owner(other),
            at,
            what: Readiness::Read(other),
        });
    }

    fn send(&mut self, socket: Socket, bytes: Bytes) {
        let arrival = self.now + self.chance.duration(self.latency);
        let arrival = self.network.write(socket, bytes, arrival);
        self.rouse_reader(socket, arrival);
    }

    fn take(
        &mut self,
        socket: Socket,
        until: Time,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        match self.network.read(socket, until, into.remaining_mut()) {
            Some(Chunk::Bytes(bytes)) => {
                let other = socket.other();
                self.roused.push(Rouse {
                    node: self.network.owner(other),
                    at: self.now,
                    what: Readiness::Write(other),
                });
                into.put_slice(&bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            Some(Chunk::End) => Poll::Ready(Ok(0)),
            Some(Chunk::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Chunk::Lost) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            None => Poll::Pending,
        }
    }
}

impl Wire for SimulatedWire<'_> {
    type Connection = Socket;

    fn dial(&mut self, peer: NodeId, hello: &[u8]) -> Result<Socket, DialError> {
        let arrival = self.now + self.chance.duration(self.latency);
        let hello = Bytes::copy_from_slice(hello);
        match self.network.dial(self.node, peer, hello, arrival) {
            Ok(socket) => {
                self.roused.push(Rouse {
                    node: peer,
                    at: arrival,
                    what: Readiness::Accept,
                });
                Ok(socket)
            }
            Err(Refusal::Refused) => Err(DialError::Dead),
            Err(Refusal::Full) => Err(DialError::Full),
            Err(Refusal::Missing) => Err(DialError::Failed),
        }
    }

    fn accept(&mut self) -> Poll<io::Result<Socket>> {
        match self.network.accept(self.node, self.now) {
            Some(socket) => Poll::Ready(Ok(socket)),
            None => {
                self.awaited.callers = true;
                Poll::Pending
            }
        }
    }

    fn welcome(&mut self, socket: &mut Socket, hello: &[u8]) -> io::Result<()> {
        if let Some(error) = self.network.broken(*socket) {
            return Err(error.into());
        }
        self.send(*socket, Bytes::copy_from_slice(hello));
        Ok(())
    }

    fn read(&mut self, socket: &mut Socket, into: &mut impl BufMut) -> Poll<io::Result<usize>> {
        let taken = self.take(*socket, self.now, into);
        if taken.is_pending() {
            self.awaited.to_read.push(*socket);
        }
        taken
    }

    fn read_rest(
        &mut self,
        socket: &mut Socket,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        // What is in the socket, however short a time it has been there.
        self.take(*socket, Time(u64::MAX), into)
    }

    fn write(&mut self, socket: &mut Socket, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.network.broken(*socket) {
            return Poll::Ready(Err(error.into()));
        }
        let room = self
            .socket_room
            .saturating_sub(self.network.unread(*socket));
        if room == 0 {
            self.awaited.to_write.push(*socket);
            return Poll::Pending;
        }
        let length: usize = bytes.iter().map(|part| part.len()).sum();
        let mut taken = length.min(room);
        // Now and then the socket takes less than there is room for.
        if taken > 1 && self.chance.permille(10) {
            taken /= 2;
        }
        let mut chunk = BytesMut::with_capacity(taken);
        for part in bytes {
            let missing = taken - chunk.len();
            chunk.extend_from_slice(&part[..part.len().min(missing)]);
        }
        self.send(*socket, chunk.freeze());
        Poll::Ready(Ok(taken))
    }

    fn close(&mut self, socket: Socket) {
        self.network.hang_up(socket, self.now);
        if let Some(arrival) = self.network.next_arrival(socket.other()) {
            self.rouse_reader(socket, arrival);
        }
    }

    fn poll_again(&mut self) {
        self.awaited.again = true;
    }
}
