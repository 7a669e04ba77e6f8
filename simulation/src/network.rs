//! Connections of two pipes each, first in first out, every byte with the moment at which the other end can read
//! it; and the names by which nodes are dialled.

use std::collections::VecDeque;
use std::io::ErrorKind;

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
    names: Vec<Name>,
    /// The names of all sockets are gone until then, save of those that are bound meanwhile.
    nameless_until: Vec<Time>,
    /// By sender and receiver: nothing gets through before.
    frozen_until: Vec<Time>,
    nodes: usize,
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    connection: usize,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dialler,
    Acceptor,
}

impl Socket {
    /// The other end of its connection.
    pub(crate) fn other(self) -> Socket {
        let end = match self.end {
            End::Dialler => End::Acceptor,
            End::Acceptor => End::Dialler,
        };
        Socket { end, ..self }
    }
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
    /// Bytes of these.
    unread: usize,
    /// How often the writing end has written.
    writes: usize,
    /// Nothing arrives before what was sent before it.
    last_arrival: Time,
    /// The writing end is closed, or the network has lost the connection; that is among the chunks.
    writer_gone: bool,
    /// The network has lost the connection.
    is_lost: bool,
    /// The reading end is closed.
    reader_gone: bool,
}

/// What is read from a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Bytes(Bytes),
    /// The other end is closed.
    End,
    /// The other end was closed before it had read all.
    Reset,
    /// The network has lost the connection.
    Lost,
}

impl Chunk {
    fn length(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::End | Chunk::Reset | Chunk::Lost => 0,
        }
    }
}

/// What a process that dials a node finds.
#[derive(Clone, Debug)]
enum Name {
    /// Nothing has the name: no process has bound it yet.
    Missing,
    /// The socket of a process that has ended.
    Left,
    /// A process is bound to it; what waits to be accepted.
    Bound(VecDeque<(Time, Socket)>),
}

/// Why a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
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
            names: vec![Name::Missing; nodes],
            nameless_until: vec![Time(0); nodes],
            frozen_until: vec![Time(0); nodes * nodes],
            nodes,
        }
    }

    /// A process binds its socket.
    pub(crate) fn bind(&mut self, id: NodeId) {
        *self.name(id) = Name::Bound(VecDeque::new());
        self.nameless_until[usize::from(id.0)] = Time(0);
    }

    /// Somebody removes the names of all sockets; who lives binds its own again at that moment.
    pub(crate) fn remove_names(&mut self, until: Time) {
        self.nameless_until.fill(until);
    }

    /// A process ended: all its ends are closed, and who waits to be accepted by it is told. Returns the other
    /// ends.
    pub(crate) fn end_process(&mut self, id: NodeId, now: Time) -> Vec<Socket> {
        if let Name::Bound(_) = self.name(id) {
            *self.name(id) = Name::Left;
        }
        let all = (0..self.connections.len()).flat_map(|connection| {
            [End::Dialler, End::Acceptor].map(|end| Socket { connection, end })
        });
        let own = all.filter(|&socket| self.owner(socket) == id && !self.is_closed(socket));
        let own: Vec<Socket> = own.collect();
        for &socket in &own {
            self.hang_up(socket, now);
        }
        own.into_iter().map(Socket::other).collect()
    }

    /// Connects; the first bytes are sent with the connection.
    pub(crate) fn dial(
        &mut self,
        from: NodeId,
        to: NodeId,
        hello: Bytes,
        arrival: Time,
    ) -> Result<Socket, Refusal> {
        let arrival = arrival.max(self.frozen_until(from, to));
        let connection = self.connections.len();
        if arrival < self.nameless_until[usize::from(to.0)] {
            return Err(Refusal::Missing);
        }
        let backlog = match self.name(to) {
            Name::Bound(backlog) => backlog,
            Name::Left => return Err(Refusal::Refused),
            Name::Missing => return Err(Refusal::Missing),
        };
        if backlog.len() >= BACKLOG {
            return Err(Refusal::Full);
        }
        let end = End::Acceptor;
        backlog.push_back((arrival, Socket { connection, end }));
        self.connections.push(Connection {
            dialler: from,
            acceptor: to,
            pipes: [Pipe::default(), Pipe::default()],
        });
        let end = End::Dialler;
        let socket = Socket { connection, end };
        self.write(socket, hello, arrival);
        Ok(socket)
    }

    /// Takes a connection that waits to be accepted.
    pub(crate) fn accept(&mut self, id: NodeId, now: Time) -> Option<Socket> {
        let Name::Bound(backlog) = self.name(id) else {
            return None;
        };
        let position = backlog.iter().position(|&(arrival, _)| arrival <= now)?;
        backlog.remove(position).map(|(_, socket)| socket)
    }

    /// When the next connection can be accepted.
    pub(crate) fn next_caller(&self, id: NodeId) -> Option<Time> {
        let Name::Bound(backlog) = &self.names[usize::from(id.0)] else {
            return None;
        };
        backlog.iter().map(|&(arrival, _)| arrival).min()
    }

    /// The newest connection that a node has dialled to another and not closed, lost or not.
    pub(crate) fn dialled(&self, from: NodeId, to: NodeId) -> Option<Socket> {
        let is_it = |(connection, ends): (usize, &Connection)| {
            let socket = Socket {
                connection,
                end: End::Dialler,
            };
            let open = !self.is_closed(socket);
            (open && (ends.dialler, ends.acceptor) == (from, to)).then_some(socket)
        };
        self.connections.iter().enumerate().rev().find_map(is_it)
    }

    /// Whether its owner has closed it.
    fn is_closed(&self, socket: Socket) -> bool {
        let pipe = self.pipe_from(socket);
        pipe.writer_gone && !pipe.is_lost
    }

    /// What keeps a write from being taken by anybody.
    pub(crate) fn broken(&self, socket: Socket) -> Option<ErrorKind> {
        let pipe = self.pipe_from(socket);
        if pipe.is_lost {
            return Some(ErrorKind::ConnectionAborted);
        }
        (pipe.reader_gone || pipe.writer_gone).then_some(ErrorKind::BrokenPipe)
    }

    /// How often was written, the greeting apart.
    pub(crate) fn carried(&self, socket: Socket) -> usize {
        self.pipe_from(socket).writes.saturating_sub(1)
    }

    /// Bytes that were written and the other end has not read.
    pub(crate) fn unread(&self, socket: Socket) -> usize {
        self.pipe_from(socket).unread
    }

    /// Writes; readable at the other end from `arrival` on, and never before what was
    /// written earlier. Returns when.
    pub(crate) fn write(&mut self, socket: Socket, bytes: Bytes, arrival: Time) -> Time {
        let frozen_until = self.frozen_until(self.owner(socket), self.owner(socket.other()));
        let pipe = self.pipe_from_mut(socket);
        let arrival = arrival.max(pipe.last_arrival).max(frozen_until);
        if !pipe.reader_gone && !pipe.writer_gone {
            pipe.last_arrival = arrival;
            pipe.unread += bytes.len();
            pipe.writes += 1;
            pipe.chunks.push_back((arrival, Chunk::Bytes(bytes)));
        }
        arrival
    }

    /// Reads up to `room` bytes of what has arrived by then. An end is read again and again.
    pub(crate) fn read(&mut self, socket: Socket, until: Time, room: usize) -> Option<Chunk> {
        let pipe = self.pipe_from_mut(socket.other());
        let (arrival, chunk) = pipe.chunks.front_mut()?;
        if *arrival > until {
            return None;
        }
        let Chunk::Bytes(bytes) = chunk else {
            return Some(chunk.clone());
        };
        let taken = bytes.split_to(bytes.len().min(room));
        if bytes.is_empty() {
            pipe.chunks.pop_front();
        }
        pipe.unread -= taken.len();
        Some(Chunk::Bytes(taken))
    }

    /// When there is something to be read.
    pub(crate) fn next_arrival(&self, socket: Socket) -> Option<Time> {
        let pipe = self.pipe_from(socket.other());
        pipe.chunks.front().map(|&(arrival, _)| arrival)
    }

    /// Closes one end: the other reads what was written, and then the end. What was not read here
    /// is lost.
    pub(crate) fn hang_up(&mut self, socket: Socket, now: Time) {
        let has_read_all = self.pipe_from(socket.other()).unread == 0;
        let pipe = self.pipe_from_mut(socket);
        if !pipe.writer_gone {
            pipe.writer_gone = true;
            if !pipe.reader_gone {
                let arrival = pipe.last_arrival.max(now);
                let end = if has_read_all {
                    Chunk::End
                } else {
                    Chunk::Reset
                };
                pipe.chunks.push_back((arrival, end));
            }
        }
        self.pipe_from_mut(socket).is_lost = false;
        let pipe = self.pipe_from_mut(socket.other());
        pipe.reader_gone = true;
        pipe.unread = 0;
        pipe.chunks = VecDeque::new();
    }

    /// The network loses a connection: of what this end wrote, the other gets the first `kept` chunks
    /// and no more, and neither can tell what became of the other.
    pub(crate) fn lose(&mut self, socket: Socket, kept: usize, now: Time) {
        for end in [socket, socket.other()] {
            let pipe = self.pipe_from_mut(end);
            if pipe.writer_gone {
                continue;
            }
            if end == socket && kept < pipe.chunks.len() {
                let torn = pipe.chunks.get(kept).cloned();
                pipe.chunks.truncate(kept);
                // The break may be in the middle of a frame.
                if let Some((arrival, Chunk::Bytes(bytes))) = torn {
                    let half = bytes.slice(..bytes.len() / 2);
                    pipe.chunks.push_back((arrival, Chunk::Bytes(half)));
                }
                pipe.unread = pipe.chunks.iter().map(|(_, chunk)| chunk.length()).sum();
            }
            pipe.writer_gone = true;
            pipe.is_lost = true;
            let last = pipe.chunks.back().map_or(now, |&(arrival, _)| arrival);
            pipe.chunks.push_back((last.max(now), Chunk::Lost));
        }
    }

    /// Number of chunks that were written and the other end has not read.
    pub(crate) fn chunks(&self, socket: Socket) -> usize {
        self.pipe_from(socket).chunks.len()
    }

    /// Nothing that `from` sends to `to` gets through before a moment.
    pub(crate) fn freeze(&mut self, from: NodeId, to: NodeId, until: Time) {
        let index = usize::from(from.0) * self.nodes + usize::from(to.0);
        self.frozen_until[index] = until;
    }

    /// Whose end it is.
    pub(crate) fn owner(&self, socket: Socket) -> NodeId {
        let connection = &self.connections[socket.connection];
        match socket.end {
            End::Dialler => connection.dialler,
            End::Acceptor => connection.acceptor,
        }
    }

    fn name(&mut self, id: NodeId) -> &mut Name {
        &mut self.names[usize::from(id.0)]
    }

    fn frozen_until(&self, from: NodeId, to: NodeId) -> Time {
        self.frozen_until[usize::from(from.0) * self.nodes + usize::from(to.0)]
    }

    fn pipe_from(&self, socket: Socket) -> &Pipe {
        &self.connections[socket.connection].pipes[1 - socket.end as usize]
    }

    fn pipe_from_mut(&mut self, socket: Socket) -> &mut Pipe {
        &mut self.connections[socket.connection].pipes[1 - socket.end as usize]
    }
}
