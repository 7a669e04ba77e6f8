//! Unix sockets: connections of two pipes each, first in first out, every byte with the moment at
//! which the other end can read it.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::id::NodeId;
use protocol::time::Time;

/// Most connections that wait to be accepted.
const BACKLOG: usize = 128;

/// All sockets of the machine.
#[derive(Debug)]
pub(crate) struct Network {
    connections: Vec<Connection>,
    /// By static ID: what waits at the socket of that name, if a process is bound to it.
    listeners: Vec<Option<VecDeque<(Time, ConnectionId)>>>,
    /// By sender and receiver: nothing gets through before.
    frozen_until: Vec<Time>,
    nodes: usize,
}

/// A connection, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId(usize);

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dialler,
    Acceptor,
}

#[derive(Debug)]
struct Connection {
    dialler: NodeId,
    acceptor: NodeId,
    /// What the dialler reads, and what the acceptor reads.
    pipes: [Pipe; 2],
}

#[derive(Debug, Default)]
struct Pipe {
    /// What is on its way or waits to be read, with the moment from which it can be.
    chunks: VecDeque<(Time, Chunk)>,
    /// Nothing arrives before what was sent before it.
    last_arrival: Time,
    /// The writing end is closed; its end is among the chunks.
    writer_gone: bool,
    /// The reading end is closed.
    reader_gone: bool,
}

/// What is read from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Bytes(Bytes),
    /// The other end is closed.
    End,
}

/// Why a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialError {
    /// No process is bound to the socket.
    Refused,
    /// Too many wait to be accepted.
    Full,
}

impl Network {
    pub(crate) fn new(nodes: u8) -> Network {
        let nodes = usize::from(nodes);
        Network {
            connections: Vec::new(),
            listeners: vec![None; nodes],
            frozen_until: vec![Time(0); nodes * nodes],
            nodes,
        }
    }

    /// A process binds its socket.
    pub(crate) fn bind(&mut self, id: NodeId) {
        self.listeners[usize::from(id.0)] = Some(VecDeque::new());
    }

    /// A process ended: whoever waits at its socket is told.
    pub(crate) fn unbind(&mut self, id: NodeId, now: Time) -> Vec<ConnectionId> {
        let waiting = self.listeners[usize::from(id.0)].take();
        let waiting: Vec<ConnectionId> = waiting
            .into_iter()
            .flatten()
            .map(|(_, connection)| connection)
            .collect();
        for &connection in &waiting {
            self.hang_up(connection, End::Acceptor, now);
        }
        waiting
    }

    /// Connects; the first bytes are sent with the connection.
    pub(crate) fn dial(
        &mut self,
        from: NodeId,
        to: NodeId,
        hello: Bytes,
        arrival: Time,
    ) -> Result<ConnectionId, DialError> {
        let arrival = arrival.max(self.frozen_until(from, to));
        let id = ConnectionId(self.connections.len());
        let listener = self.listeners[usize::from(to.0)].as_mut();
        let backlog = listener.ok_or(DialError::Refused)?;
        if backlog.len() >= BACKLOG {
            return Err(DialError::Full);
        }
        backlog.push_back((arrival, id));
        self.connections.push(Connection {
            dialler: from,
            acceptor: to,
            pipes: [Pipe::default(), Pipe::default()],
        });
        self.write(id, End::Dialler, hello, arrival);
        Ok(id)
    }

    /// Takes a connection that waits to be accepted.
    pub(crate) fn accept(&mut self, id: NodeId, now: Time) -> Option<ConnectionId> {
        let backlog = self.listeners[usize::from(id.0)].as_mut()?;
        let position = backlog.iter().position(|&(arrival, _)| arrival <= now)?;
        backlog.remove(position).map(|(_, connection)| connection)
    }

    /// When the next connection can be accepted.
    pub(crate) fn next_caller(&self, id: NodeId) -> Option<Time> {
        let backlog = self.listeners[usize::from(id.0)].as_ref()?;
        backlog.iter().map(|&(arrival, _)| arrival).min()
    }

    /// Whether what `end` writes would still be taken by somebody.
    pub(crate) fn is_open(&self, id: ConnectionId, end: End) -> bool {
        let pipe = self.pipe_from(id, end);
        !pipe.reader_gone && !pipe.writer_gone
    }

    /// Number of chunks that `end` has written and the other end has not read.
    pub(crate) fn unread(&self, id: ConnectionId, end: End) -> usize {
        self.pipe_from(id, end).chunks.len()
    }

    /// Writes at one end; readable at the other from `arrival` on, and never before what was
    /// written earlier. Returns when.
    pub(crate) fn write(
        &mut self,
        id: ConnectionId,
        end: End,
        bytes: Bytes,
        arrival: Time,
    ) -> Time {
        let (from, to) = self.direction(id, end);
        let frozen_until = self.frozen_until(from, to);
        let pipe = self.pipe_from_mut(id, end);
        let arrival = arrival.max(pipe.last_arrival).max(frozen_until);
        if !pipe.reader_gone && !pipe.writer_gone {
            pipe.last_arrival = arrival;
            pipe.chunks.push_back((arrival, Chunk::Bytes(bytes)));
        }
        arrival
    }

    /// Reads at one end what has arrived.
    pub(crate) fn read(&mut self, id: ConnectionId, end: End, now: Time) -> Option<Chunk> {
        let pipe = &mut self.connections[id.0].pipes[end as usize];
        match pipe.chunks.front() {
            Some((arrival, _)) if *arrival <= now => pipe.chunks.pop_front().map(|(_, c)| c),
            _ => None,
        }
    }

    /// Reads at one end what is in the socket, however short a time it has been there.
    pub(crate) fn read_now(&mut self, id: ConnectionId, end: End) -> Option<Chunk> {
        let pipe = &mut self.connections[id.0].pipes[end as usize];
        pipe.chunks.pop_front().map(|(_, chunk)| chunk)
    }

    /// When there is something to be read at one end.
    pub(crate) fn next_arrival(&self, id: ConnectionId, end: End) -> Option<Time> {
        let pipe = &self.connections[id.0].pipes[end as usize];
        pipe.chunks.front().map(|&(arrival, _)| arrival)
    }

    /// Closes one end: the other reads what was written, and then the end. What was not read here
    /// is lost.
    pub(crate) fn hang_up(&mut self, id: ConnectionId, end: End, now: Time) {
        let pipe = self.pipe_from_mut(id, end);
        if !pipe.writer_gone {
            pipe.writer_gone = true;
            if !pipe.reader_gone {
                let arrival = pipe.last_arrival.max(now);
                pipe.chunks.push_back((arrival, Chunk::End));
            }
        }
        let pipe = &mut self.connections[id.0].pipes[end as usize];
        pipe.reader_gone = true;
        pipe.chunks = VecDeque::new();
    }

    /// A connection breaks: of what its dialler wrote, the acceptor gets the first `kept` chunks
    /// and no more, and both read the end.
    pub(crate) fn break_off(&mut self, id: ConnectionId, kept: usize, now: Time) {
        for end in [End::Dialler, End::Acceptor] {
            let pipe = self.pipe_from_mut(id, end);
            if pipe.writer_gone {
                continue;
            }
            if end == End::Dialler && kept < pipe.chunks.len() {
                let torn = pipe.chunks.get(kept).cloned();
                pipe.chunks.truncate(kept);
                // The break may be in the middle of a frame.
                if let Some((arrival, Chunk::Bytes(bytes))) = torn {
                    let half = bytes.slice(..bytes.len() / 2);
                    pipe.chunks.push_back((arrival, Chunk::Bytes(half)));
                }
            }
            pipe.writer_gone = true;
            let last = pipe.chunks.back().map_or(now, |&(arrival, _)| arrival);
            pipe.chunks.push_back((last.max(now), Chunk::End));
        }
    }

    /// Nothing that `from` sends to `to` gets through before a moment.
    pub(crate) fn freeze(&mut self, from: NodeId, to: NodeId, until: Time) {
        let index = usize::from(from.0) * self.nodes + usize::from(to.0);
        self.frozen_until[index] = until;
    }

    /// Who is at the ends of a connection: the dialler, the acceptor.
    pub(crate) fn parties(&self, id: ConnectionId) -> (NodeId, NodeId) {
        let connection = &self.connections[id.0];
        (connection.dialler, connection.acceptor)
    }

    fn frozen_until(&self, from: NodeId, to: NodeId) -> Time {
        self.frozen_until[usize::from(from.0) * self.nodes + usize::from(to.0)]
    }

    fn direction(&self, id: ConnectionId, end: End) -> (NodeId, NodeId) {
        let (dialler, acceptor) = self.parties(id);
        match end {
            End::Dialler => (dialler, acceptor),
            End::Acceptor => (acceptor, dialler),
        }
    }

    fn pipe_from(&self, id: ConnectionId, end: End) -> &Pipe {
        &self.connections[id.0].pipes[1 - end as usize]
    }

    fn pipe_from_mut(&mut self, id: ConnectionId, end: End) -> &mut Pipe {
        &mut self.connections[id.0].pipes[1 - end as usize]
    }
}
