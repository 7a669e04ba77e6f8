//! The links of one node, as `ipc::mesh` keeps them: which connection counts, when a peer is up,
//! what is redialled. The same rules over sockets that are modelled; the bytes are the real ones.

mod link;
mod peer;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use ipc::codec::{Decoder, Encoder, Hello, Incoming, VERSION};
use protocol::event::Event;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use protocol::time::Time;

use crate::chance::{Chance, Span};
use crate::network::{Chunk, ConnectionId, End, Network};
use peer::Peer;

/// Longest payload of a first frame.
const MAX_HELLO: usize = 1 << 10;
/// Longest sleep while a peer is being timed.
const TICK: Duration = Duration::from_secs(1);
/// A turn that comes so long after the last one finds that this node was not there.
const GAP: Duration = Duration::from_secs(2);
/// A stranger that has not said who it is by then is shown the door.
const GREETING_LIMIT: Duration = Duration::from_secs(1);

/// What a mesh touches while it works.
pub(crate) struct Wire<'a> {
    pub(crate) now: Time,
    pub(crate) network: &'a mut Network,
    pub(crate) chance: &'a mut Chance,
    /// How long bytes take.
    pub(crate) latency: Span,
    /// Chunks that a socket holds before it takes no more.
    pub(crate) socket_room: usize,
    /// Bytes that may wait for a peer that takes nothing.
    pub(crate) most_unsent: usize,
    /// Who has something to read, and from when.
    pub(crate) roused: &'a mut Vec<(NodeId, Time)>,
}

/// All links of one node.
#[derive(Debug)]
pub(crate) struct Mesh {
    local: Local,
    peers: Vec<Peer>,
    greetings: Vec<(ConnectionId, Decoder, Time)>,
    changes: VecDeque<Event>,
    first: usize,
    last_turn: Time,
}

/// What this node says of itself.
#[derive(Debug)]
struct Local {
    id: NodeId,
    incarnation: Incarnation,
    highest: Epoch,
    serial: u64,
    encoder: Encoder,
}

impl Local {
    fn hello(&mut self, serial: u64) -> Bytes {
        let hello = Hello {
            node: self.id,
            incarnation: self.incarnation,
            serial,
            version: VERSION,
            highest: self.highest,
        };
        self.encoder.hello(&hello).expect("a Hello can be encoded")
    }
}

impl Wire<'_> {
    fn write(&mut self, connection: ConnectionId, end: End, bytes: Bytes) {
        let arrival = self.now + self.chance.duration(self.latency);
        let arrival = self.network.write(connection, end, bytes, arrival);
        self.rouse(connection, end, arrival);
    }

    fn hang_up(&mut self, connection: ConnectionId, end: End) {
        self.network.hang_up(connection, end, self.now);
        let other = match end {
            End::Dialler => End::Acceptor,
            End::Acceptor => End::Dialler,
        };
        if let Some(arrival) = self.network.next_arrival(connection, other) {
            self.rouse(connection, end, arrival);
        }
    }

    fn rouse(&mut self, connection: ConnectionId, writer: End, at: Time) {
        let (dialler, acceptor) = self.network.parties(connection);
        let reader = match writer {
            End::Dialler => acceptor,
            End::Acceptor => dialler,
        };
        self.roused.push((reader, at));
    }
}

impl Mesh {
    pub(crate) fn new(nodes: u8, id: NodeId, incarnation: Incarnation, now: Time) -> Mesh {
        Mesh {
            local: Local {
                id,
                incarnation,
                highest: Epoch::NONE,
                serial: 0,
                encoder: Encoder::new(),
            },
            peers: (0..nodes).map(|id| Peer::new(NodeId(id), now)).collect(),
            greetings: Vec::new(),
            changes: VecDeque::new(),
            first: 0,
            last_turn: now,
        }
    }

    /// Dials every peer that is not linked.
    pub(crate) fn dial_all(&mut self, now: Time) {
        for peer in &mut self.peers {
            if peer.id() != self.local.id {
                peer.dial_soon(now);
            }
        }
    }

    /// New links are told of this epoch from now on.
    pub(crate) fn set_highest(&mut self, highest: Epoch) {
        self.local.highest = highest;
    }

    /// Queues a message for each of `to` that is linked.
    pub(crate) fn send(&mut self, to: &[NodeId], message: &Message, now: Time) {
        let mut encoded: Option<Bytes> = None;
        for id in to {
            let Some(link) = self.peers[usize::from(id.0)].open_link() else {
                continue;
            };
            let bytes = encoded.get_or_insert_with(|| {
                let encoded = self.local.encoder.message(message);
                let mut bytes = Vec::new();
                encoded
                    .expect("a message can be encoded")
                    .write_to(&mut bytes);
                bytes.into()
            });
            link.push(bytes.clone(), now);
        }
    }

    /// Writes to one peer what was sent to it.
    pub(crate) fn flush_to(&mut self, peer: usize, wire: &mut Wire<'_>) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.poll_outbound(wire, &mut self.local, &mut self.changes);
        }
    }

    /// The supervisor says that this life, and every earlier one, is over.
    pub(crate) fn peer_gone(
        &mut self,
        peer: NodeId,
        incarnation: Incarnation,
        wire: &mut Wire<'_>,
    ) {
        self.peers[usize::from(peer.0)].gone(incarnation, wire, &mut self.changes);
    }

    /// Hands out what happened on the links; nothing if nothing did.
    ///
    /// A LinkUp is the first of its call, so that what is sent in answer to earlier events does not
    /// get onto the new link.
    pub(crate) fn poll(&mut self, wire: &mut Wire<'_>, into: &mut VecDeque<Event>) {
        self.forgive_own_gap(wire.now);
        self.poll_strangers(wire);
        for peer in &mut self.peers {
            peer.poll_outbound(wire, &mut self.local, &mut self.changes);
        }
        self.hand_out(into);
        if !self.changes.is_empty() {
            return;
        }
        let count = self.peers.len();
        for offset in 0..count {
            let peer = &mut self.peers[(self.first + offset) % count];
            peer.poll_inbound(wire, into, &mut self.changes);
        }
        self.first = (self.first + 1) % count;
        self.hand_out(into);
    }

    /// When there is something to do, if nothing happens before.
    pub(crate) fn next_wake(&self, network: &Network) -> Option<Time> {
        let timed = self.peers.iter().any(Peer::is_timed) || !self.greetings.is_empty();
        let greetings = self
            .greetings
            .iter()
            .filter_map(|(connection, ..)| network.next_arrival(*connection, End::Acceptor));
        let changes = (!self.changes.is_empty()).then_some(self.last_turn);
        self.peers
            .iter()
            .filter_map(|peer| peer.next_wake(network))
            .chain(greetings)
            .chain(network.next_caller(self.local.id))
            .chain(timed.then_some(self.last_turn + TICK))
            .chain(changes)
            .min()
    }

    /// The connection on which this node sends to a peer, if it stands or is being made.
    pub(crate) fn connection_to(&self, peer: NodeId) -> Option<ConnectionId> {
        self.peers[usize::from(peer.0)].outbound_connection()
    }

    /// What ends the greeting of a peer, if one is under way, is not the peer's death.
    pub(crate) fn doubt(&mut self, peer: NodeId) {
        self.peers[usize::from(peer.0)].doubt();
    }

    /// Every connection that this node has an end of.
    pub(crate) fn connections(&self) -> Vec<(ConnectionId, End)> {
        let mut all: Vec<(ConnectionId, End)> = Vec::new();
        for peer in &self.peers {
            all.extend(peer.outbound_connection().map(|id| (id, End::Dialler)));
            all.extend(peer.inbound_connection().map(|id| (id, End::Acceptor)));
        }
        let greetings = self.greetings.iter();
        all.extend(greetings.map(|&(id, ..)| (id, End::Acceptor)));
        all
    }

    fn forgive_own_gap(&mut self, now: Time) {
        if now.since(self.last_turn) >= GAP {
            for peer in &mut self.peers {
                peer.forgive(now);
            }
            for (_, _, deadline) in &mut self.greetings {
                *deadline = now + GREETING_LIMIT;
            }
        }
        self.last_turn = now;
    }

    fn poll_strangers(&mut self, wire: &mut Wire<'_>) {
        while let Some(connection) = wire.network.accept(self.local.id, wire.now) {
            let deadline = wire.now + GREETING_LIMIT;
            let decoder = Decoder::new(MAX_HELLO);
            self.greetings.push((connection, decoder, deadline));
        }
        let mut index = 0;
        while index < self.greetings.len() {
            match self.greet(index, wire) {
                None => index += 1,
                Some(Greeting::Over) => {
                    let (connection, ..) = self.greetings.swap_remove(index);
                    wire.hang_up(connection, End::Acceptor);
                }
                Some(Greeting::Said(hello)) => {
                    let (connection, decoder, _) = self.greetings.swap_remove(index);
                    self.admit(&hello, connection, decoder, wire);
                }
            }
        }
    }

    fn greet(&mut self, index: usize, wire: &mut Wire<'_>) -> Option<Greeting> {
        let (connection, decoder, deadline) = &mut self.greetings[index];
        loop {
            match decoder.decode() {
                Ok(Some(Incoming::Hello(hello))) => return Some(Greeting::Said(hello)),
                Ok(Some(_)) | Err(_) => return Some(Greeting::Over),
                Ok(None) => {}
            }
            match wire.network.read(*connection, End::Acceptor, wire.now) {
                Some(Chunk::Bytes(bytes)) => decoder.push(&bytes),
                Some(Chunk::End) => return Some(Greeting::Over),
                None => return (*deadline <= wire.now).then_some(Greeting::Over),
            }
        }
    }

    fn admit(
        &mut self,
        hello: &Hello,
        connection: ConnectionId,
        mut decoder: Decoder,
        wire: &mut Wire<'_>,
    ) {
        let peer = &mut self.peers[usize::from(hello.node.0)];
        if !peer.admits(hello) || !wire.network.is_open(connection, End::Acceptor) {
            wire.hang_up(connection, End::Acceptor);
            return;
        }
        let welcome = self.local.hello(hello.serial);
        wire.write(connection, End::Acceptor, welcome);
        decoder.set_max_frame(ipc::codec::MAX_FRAME);
        peer.admit(hello, connection, decoder, wire, &mut self.changes);
    }

    fn hand_out(&mut self, into: &mut VecDeque<Event>) {
        while let Some(change) = self.changes.front() {
            let up = match *change {
                Event::LinkUp { .. } if !into.is_empty() => return,
                Event::LinkUp { peer, .. } => Some(peer),
                _ => None,
            };
            into.extend(self.changes.pop_front());
            let is_peer =
                |change: &Event| matches!(change, Event::LinkUp { peer, .. } if Some(*peer) == up);
            if let Some(peer) = up
                && !self.changes.iter().any(is_peer)
            {
                self.peers[usize::from(peer.0)].open();
            }
        }
    }
}

enum Greeting {
    Said(Hello),
    Over,
}
