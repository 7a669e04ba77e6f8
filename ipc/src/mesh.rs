//! The link machine: all links of one node.
//!
//! Each node dials every peer and sends on the link that it dialled; it receives on those that it accepted.
//! When a link that a node dialled ends, it dials again at once, to distinguish death from a cut link: only a
//! live process answers with a welcome.
//!
//! Pure: it knows no clock, and reaches the transport only through a [`Wire`]. The node's
//! process drives it over Unix sockets ([`crate::unix`]), the simulation over a network of its own.

mod link;
mod peer_links;
mod queue;
mod strangers;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use protocol::event::Event;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use protocol::time::Time;

use crate::codec::{CodecError, Encoder, Hello, Pieces, VERSION};
pub use link::{STALL_LIMIT, UNSENT_PATIENCE};
pub use wire::{DialError, Wire};

use link::Inbound;
use peer_links::PeerLinks;
use strangers::GREETING_LIMIT;

/// Longest sleep while a peer or a stranger is being timed.
pub const TICK: Duration = Duration::from_secs(1);
/// If a turn comes this long after the last one, this node was suspended.
const GAP: Duration = Duration::from_secs(2);

/// The limits of a mesh, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How long messages travel.
    pub pieces: Pieces,
    /// Read from a busy link at a time, within a piece to its end; then it is another link's turn.
    pub read: usize,
    /// Written to a link at a time; if this much waits, it is written without waiting for the end of the turn.
    pub write: usize,
    /// Frames are committed to the wire, where nothing overtakes them, up to this many bytes.
    pub staged: usize,
    /// Maximum backlog behind the message in progress, for a peer that takes nothing for [`UNSENT_PATIENCE`].
    /// A snapshot, queued in one turn, may be longer and is no fault of the peer.
    pub unsent: usize,
    /// Maximum backlog behind the message in progress, whatever the peer takes.
    pub backlog: usize,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            pieces: Pieces::default(),
            // As much of a long message as a socket holds, a few hundred KiB, so that its sender is woken
            // less often.
            read: 64 << 10,
            write: 1 << 20,
            staged: 256 << 10,
            unsent: 64 << 20,
            backlog: 1 << 30,
        }
    }
}

/// All links of one node, over connections of type `C`: see [the module](self).
#[derive(Debug)]
pub struct Mesh<C> {
    local: Local,
    /// By static ID; this node's own place is never linked.
    peers: Vec<PeerLinks<C>>,
    /// Accepted connections that have not introduced themselves, and their deadlines.
    greetings: Vec<(Inbound<C>, Time)>,
    /// Links that came up or went down, not handed out yet.
    changes: VecDeque<Event>,
    /// The peer whose link is read first, so that a busy one does not starve the others.
    first: usize,
    accept_at: Time,
    /// No connection can be accepted, and a warning was logged.
    accept_told: bool,
    last_turn: Time,
    /// The last poll may have left something unread.
    has_more: bool,
}

/// How this node introduces itself, and how it sends.
#[derive(Debug)]
struct Local {
    id: NodeId,
    incarnation: Incarnation,
    highest: Epoch,
    /// Number of the last link that was dialled.
    serial: u64,
    encoder: Encoder,
    sizes: Sizes,
}

impl Local {
    fn hello(&mut self, serial: u64) -> Result<Bytes, CodecError> {
        self.encoder.hello(&Hello {
            node: self.id,
            incarnation: self.incarnation,
            serial,
            version: VERSION,
            highest: self.highest,
        })
    }
}

/// Where events go: the caller's vector, and how long it may get.
struct Batch<'a> {
    into: &'a mut Vec<Event>,
    end: usize,
    /// Something was not read for want of room.
    is_short: bool,
}

impl Batch<'_> {
    fn has_room(&self) -> bool {
        self.into.len() < self.end
    }
}

impl<C> Mesh<C> {
    /// The links of node `id` with this incarnation, among `nodes`. Dials nobody.
    pub fn new(nodes: u8, id: NodeId, incarnation: Incarnation, sizes: Sizes, now: Time) -> Self {
        Mesh {
            local: Local {
                id,
                incarnation,
                highest: Epoch::NONE,
                serial: 0,
                encoder: Encoder::with_pieces(sizes.pieces),
                sizes,
            },
            peers: (0..nodes)
                .map(|id| PeerLinks::new(NodeId(id), now))
                .collect(),
            greetings: Vec::new(),
            changes: VecDeque::new(),
            first: 0,
            accept_at: now,
            accept_told: false,
            last_turn: now,
            has_more: false,
        }
    }

    /// Dials every peer that is not linked; a peer that is not there is dialled again and again.
    pub fn dial_all(&mut self, now: Time) {
        for peer in &mut self.peers {
            if peer.id() != self.local.id {
                peer.dial_soon(now);
            }
        }
    }

    /// Sends this epoch on new links from now on.
    pub fn set_highest(&mut self, highest: Epoch) {
        self.local.highest = highest;
    }

    /// Appends up to `limit` events to `into` and returns how many.
    ///
    /// Writes what was sent before it reads. A LinkUp is the first event of its call, so that
    /// what is sent in answer to earlier events does not get onto the new link.
    pub fn poll(
        &mut self,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        into: &mut Vec<Event>,
        limit: usize,
    ) -> usize {
        let start = into.len();
        let mut batch = Batch {
            into,
            end: start.saturating_add(limit),
            is_short: false,
        };
        self.forgive_own_gap(now);
        self.poll_strangers(now, wire);
        self.flush(now, wire);
        self.hand_out(start, &mut batch);
        if self.changes.is_empty() {
            let count = self.peers.len();
            for offset in 0..count {
                let peer = &mut self.peers[(self.first + offset) % count];
                peer.poll_inbound(wire, &self.local.sizes, &mut batch, &mut self.changes);
            }
            self.first = (self.first + 1) % count;
            self.hand_out(start, &mut batch);
        }
        self.has_more = batch.is_short || !batch.has_room() || !self.changes.is_empty();
        batch.into.len() - start
    }

    /// Whether the last poll may have left something unread that had arrived: of a link comes a part at a time.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// When it must be polled, even if nothing happens before.
    pub fn next_deadline(&self) -> Option<Time> {
        let now = self.last_turn;
        let tick = !self.greetings.is_empty() || self.peers.iter().any(PeerLinks::is_timed);
        let greetings = self.greetings.iter().map(|(_, deadline)| *deadline);
        self.peers
            .iter()
            .filter_map(PeerLinks::dial_at)
            .chain(greetings)
            .chain((self.accept_at > now).then_some(self.accept_at))
            .chain(tick.then_some(now + TICK))
            .min()
    }

    /// Sends a message to each of `to` that is linked; for the others it is lost.
    ///
    /// It is encoded once and queued; [`Mesh::poll`] and [`Mesh::flush`] write it.
    pub fn send(
        &mut self,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        to: &[NodeId],
        message: &Message,
    ) {
        let mut encoded = None;
        for id in to {
            let peer = self.peers.get_mut(usize::from(id.0));
            let Some(link) = peer.and_then(PeerLinks::open_link) else {
                continue;
            };
            if encoded.is_none() {
                match self.local.encoder.message(message) {
                    Ok(bytes) => encoded = Some(bytes),
                    Err(error) => {
                        tracing::error!(name = message.name(), %error, "message not sent");
                        return;
                    }
                }
            }
            if let Some(encoded) = &encoded {
                link.push(encoded.clone(), now, wire, &self.local.sizes);
            }
        }
    }

    /// Writes what was sent, as far as the wire takes it. For an owner that will not poll soon.
    pub fn flush(&mut self, now: Time, wire: &mut impl Wire<Connection = C>) {
        for peer in &mut self.peers {
            peer.poll_outbound(now, wire, &mut self.local, &mut self.changes);
        }
    }

    /// Writes what was sent to one peer, as [`Mesh::flush`] does to one after the other.
    pub fn flush_to(&mut self, now: Time, wire: &mut impl Wire<Connection = C>, peer: NodeId) {
        if let Some(peer) = self.peers.get_mut(usize::from(peer.0)) {
            peer.poll_outbound(now, wire, &mut self.local, &mut self.changes);
        }
    }

    /// Handles a report of the supervisor that this incarnation, and every earlier one, is dead: drops its
    /// links, including unread messages, and announces LinkDown if it was up.
    pub fn peer_gone(
        &mut self,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        peer: NodeId,
        incarnation: Incarnation,
    ) {
        if let Some(peer) = self.peers.get_mut(usize::from(peer.0)) {
            peer.gone(incarnation, now, wire, &mut self.changes);
        }
    }

    fn forgive_own_gap(&mut self, now: Time) {
        if now.since(self.last_turn) >= GAP {
            for peer in &mut self.peers {
                peer.forgive(now);
            }
            for (_, deadline) in &mut self.greetings {
                *deadline = now + GREETING_LIMIT;
            }
        }
        self.last_turn = now;
    }

    fn hand_out(&mut self, start: usize, batch: &mut Batch<'_>) {
        while let Some(change) = self.changes.front()
            && batch.has_room()
        {
            let up = match *change {
                Event::LinkUp { .. } if batch.into.len() > start => return,
                Event::LinkUp { peer, .. } => Some(peer),
                _ => None,
            };
            batch.into.extend(self.changes.pop_front());
            // A link that ended and was made again since opens with its own LinkUp.
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

#[cfg(test)]
impl<C> Mesh<C> {
    /// Ends the link that we dialled to a peer, as if the peer had.
    pub(crate) fn cut(&mut self, peer: u8) {
        self.peers[usize::from(peer)].cut();
    }

    pub(crate) fn is_standing(&self, peer: u8) -> bool {
        self.peers[usize::from(peer)].is_standing()
    }

    /// Admits connections that introduce themselves, and reads from no link.
    pub(crate) fn only_admit(&mut self, now: Time, wire: &mut impl Wire<Connection = C>) {
        self.poll_strangers(now, wire);
    }
}
