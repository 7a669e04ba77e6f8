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
    /// By static ID: what has the name of its socket.
    sockets: Vec<Socket>,
    /// The names of all sockets are gone until then, save of those that are bound meanwhile.
    nameless_until: Vec<Time>,
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

/// What a process that dials a node finds.
#[derive(Clone, Debug)]
enum Socket {
    /// Nothing has the name: no process has bound it yet.
    Missing,
    /// The socket of a process that has ended.
    Left,
    /// A process is bound to it; what waits to be accepted.
    Bound(VecDeque<(Time, ConnectionId)>),
}

/// Why a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialError {
    /// There is no socket.
    Missing,
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
            sockets: vec![Socket::Missing; nodes],
            nameless_until: vec![Time(0); nodes],
            frozen_until: vec![Time(0); nodes * nodes],
            nodes,
        }
    }

    /// A process binds its socket.
    pub(crate) fn bind(&mut self, id: NodeId) {
        *self.socket(id) = Socket::Bound(VecDeque::new());
        self.nameless_until[usize::from(id.0)] = Time(0);
    }

    /// Somebody removes the names of all sockets; who lives binds its own again at that moment.
    pub(crate) fn remove_names(&mut self, until: Time) {
        self.nameless_until.fill(until);
    }

    /// A process ended: whoever waits at its socket is told.
    pub(crate) fn unbind(&mut self, id: NodeId, now: Time) -> Vec<ConnectionId> {
        let socket = self.socket(id);
        let Socket::Bound(waiting) = socket else {
            return Vec::new();
        };
        let waiting = std::mem::take(waiting);
        *socket = Socket::Left;
        let waiting = waiting.into_iter().map(|(_, connection)| connection);
        let waiting: Vec<ConnectionId> = waiting.collect();
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
        if arrival < self.nameless_until[usize::from(to.0)] {
            return Err(DialError::Missing);
        }
        let backlog = match self.socket(to) {
            Socket::Bound(backlog) => backlog,
            Socket::Left => return Err(DialError::Refused),
            Socket::Missing => return Err(DialError::Missing),
        };
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
        let Socket::Bound(backlog) = self.socket(id) else {
            return None;
        };
        let position = backlog.iter().position(|&(arrival, _)| arrival <= now)?;
        backlog.remove(position).map(|(_, connection)| connection)
    }

    /// When the next connection can be accepted.
    pub(crate) fn next_caller(&self, id: NodeId) -> Option<Time> {
        let Socket::Bound(backlog) = &self.sockets[usize::from(id.0)] else {
            return None;
        };
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

    fn socket(&mut self, id: NodeId) -> &mut Socket {
        &mut self.sockets[usize::from(id.0)]
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
