//! All links of one node.
//!
//! Each node dials every peer and sends on the link that it dialled; it receives on those that
//! it accepted. A mesh has no tasks: its input and output happen while its owner waits in
//! [`Mesh::recv_many`], so what is sent in one turn goes out in one write, and a node that does
//! not take events stops reading its sockets.

mod event;
mod peer;
mod receive;
mod strangers;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use tokio::net::UnixListener;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::codec::{CodecError, Encoder, Hello, VERSION};
use crate::link::{Inbound, socket};
pub use event::MeshEvent;

use event::Batch;
use peer::Peer;
use strangers::GREETING_LIMIT;

/// Longest sleep while a peer or a stranger is being timed.
const TICK: Duration = Duration::from_secs(1);
/// A turn that comes so long after the last one finds that this node was not there.
const GAP: Duration = Duration::from_secs(2);

/// Who this node is, and where its peers are.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Folder of the sockets, `node-ID.sock` each.
    pub run_dir: PathBuf,
    /// Number of nodes; static IDs are 0..nodes.
    pub nodes: u8,
    /// This node.
    pub id: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
}

/// Why a mesh cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The path does not fit into a socket's address.
    #[error(
        "the socket path {} has {} bytes, more than the 107 that a Unix socket can have: give a shorter --run-dir",
        .0.display(), .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    /// The static ID is not one of the cluster's.
    #[error("node {id} is not one of {nodes} nodes, whose IDs count from 0")]
    NoSuchNode {
        /// The refused ID.
        id: NodeId,
        /// Number of nodes.
        nodes: u8,
    },
    /// The socket cannot be bound.
    #[error("cannot bind the socket {}: {source}", .path.display())]
    Bind {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// All links of one node: see [the module](self).
#[derive(Debug)]
pub struct Mesh {
    path: PathBuf,
    listener: UnixListener,
    /// The one before it: who looked the path up before it was bound again may still knock here, and
    /// to be turned away would mean that nobody lives here.
    former: Option<UnixListener>,
    local: Local,
    /// By static ID; this node's own place is never linked.
    peers: Vec<Peer>,
    /// Accepted connections that have not said who they are, and until when they must.
    greetings: Vec<(Inbound, Instant)>,
    /// Links that came up or went down, not handed out yet.
    changes: VecDeque<MeshEvent>,
    /// The peer whose link is read first, so that a busy one does not starve the others.
    first: usize,
    accept_at: Instant,
    /// No connection can be accepted, and somebody was told.
    accept_told: bool,
    last_turn: Instant,
    alarm: Pin<Box<Sleep>>,
}

/// What this node says of itself.
#[derive(Debug)]
struct Local {
    id: NodeId,
    incarnation: Incarnation,
    highest: Epoch,
    /// Number of the last link that was dialled.
    serial: u64,
    encoder: Encoder,
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

impl Mesh {
    /// Binds `RUN_DIR/node-ID.sock`, in place of a socket that an earlier life has left, and
    /// accepts from then on. Dials nobody.
    ///
    /// # Errors
    ///
    /// The path is too long for a socket, or cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with input, output and time.
    pub fn bind(config: MeshConfig) -> Result<Mesh, MeshError> {
        let MeshConfig {
            run_dir,
            nodes,
            id,
            incarnation,
        } = config;
        if id.0 >= nodes {
            return Err(MeshError::NoSuchNode { id, nodes });
        }
        let path = socket_path(&run_dir, id);
        if !socket::fits(&path) {
            return Err(MeshError::PathTooLong(path));
        }
        let listener = listen(&path)?;
        let now = Instant::now();
        Ok(Mesh {
            path,
            listener,
            former: None,
            local: Local {
                id,
                incarnation,
                highest: Epoch::NONE,
                serial: 0,
                encoder: Encoder::new(),
            },
            peers: (0..nodes)
                .map(|id| Peer::new(NodeId(id), socket_path(&run_dir, NodeId(id)), now))
                .collect(),
            greetings: Vec::new(),
            changes: VecDeque::new(),
            first: 0,
            accept_at: now,
            accept_told: false,
            last_turn: now,
            alarm: Box::pin(sleep_until(now)),
        })
    }

    /// Binds the socket again, under the same path, which may be missing or lead to something else by
    /// now. Links stay, and so does the present socket if that fails.
    ///
    /// # Errors
    ///
    /// The path cannot be bound.
    pub fn bind_again(&mut self) -> Result<(), MeshError> {
        let listener = listen(&self.path)?;
        self.former = Some(std::mem::replace(&mut self.listener, listener));
        Ok(())
    }

    /// Dials every peer that is not linked; a peer that is not there is dialled again and again.
    pub fn dial_all(&mut self) {
        let now = Instant::now();
        for peer in &mut self.peers {
            if peer.id() != self.local.id {
                peer.dial_soon(now);
            }
        }
    }

    /// Appends up to `limit` events to `into` and returns how many; waits for the first.
    ///
    /// Writes what was sent before it reads. A LinkUp is the first event of its call, so that
    /// what is sent in answer to earlier events does not get onto the new link. Cancel safe.
    pub async fn recv_many(&mut self, into: &mut Vec<MeshEvent>, limit: usize) -> usize {
        poll_fn(|cx| {
            loop {
                let count = self.poll_events(cx, into, limit);
                if count > 0 || limit == 0 {
                    return Poll::Ready(count);
                }
                let Some(due) = self.next_deadline() else {
                    return Poll::Pending;
                };
                if self.alarm.deadline() != due {
                    self.alarm.as_mut().reset(due);
                }
                if self.alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Like [`Mesh::recv_many`], but does not wait: 0 when nothing happened.
    pub fn try_recv_many(&mut self, into: &mut Vec<MeshEvent>, limit: usize) -> usize {
        self.poll_events(&mut Context::from_waker(Waker::noop()), into, limit)
    }

    /// Sends a message to each of `to` that is linked; for the others it is lost. Never waits.
    ///
    /// It is encoded once and queued; [`Mesh::recv_many`] and [`Mesh::flush`] write it.
    pub fn send(&mut self, to: &[NodeId], message: &Message) {
        let mut encoded = None;
        let now = Instant::now();
        for id in to {
            let Some(link) = self
                .peers
                .get_mut(usize::from(id.0))
                .and_then(Peer::open_link)
            else {
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
                link.push(encoded.clone(), now);
            }
        }
    }

    /// Writes what was sent, as far as the sockets take it. For an owner that will not wait in
    /// [`Mesh::recv_many`] soon.
    pub fn flush(&mut self) {
        self.poll_peers(&mut Context::from_waker(Waker::noop()), Instant::now());
    }

    /// Takes from the supervisor that this life, and every earlier one, is over: drops its
    /// links, what they brought included, and announces LinkDown if it was up.
    pub fn peer_gone(&mut self, peer: NodeId, incarnation: Incarnation) {
        if let Some(peer) = self.peers.get_mut(usize::from(peer.0)) {
            peer.gone(incarnation, Instant::now(), &mut self.changes);
        }
    }

    /// Tells new links of this epoch from now on.
    pub fn set_highest(&mut self, highest: Epoch) {
        self.local.highest = highest;
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<MeshEvent>,
        limit: usize,
    ) -> usize {
        let start = into.len();
        let mut batch = Batch {
            into,
            end: start.saturating_add(limit),
        };
        let now = Instant::now();
        self.forgive_own_gap(now);
        self.poll_strangers(cx, now);
        self.poll_peers(cx, now);
        self.hand_out(start, &mut batch);
        if self.changes.is_empty() {
            let count = self.peers.len();
            for offset in 0..count {
                let peer = &mut self.peers[(self.first + offset) % count];
                peer.poll_inbound(cx, &mut batch, &mut self.changes);
            }
            self.first = (self.first + 1) % count;
            self.hand_out(start, &mut batch);
        }
        batch.into.len() - start
    }

    fn forgive_own_gap(&mut self, now: Instant) {
        if now - self.last_turn >= GAP {
            for peer in &mut self.peers {
                peer.forgive(now);
            }
            for (_, deadline) in &mut self.greetings {
                *deadline = now + GREETING_LIMIT;
            }
        }
        self.last_turn = now;
    }

    fn poll_peers(&mut self, cx: &mut Context<'_>, now: Instant) {
        for peer in &mut self.peers {
            peer.poll_outbound(cx, now, &mut self.local, &mut self.changes);
        }
    }

    fn hand_out(&mut self, start: usize, batch: &mut Batch<'_>) {
        while let Some(change) = self.changes.front()
            && batch.has_room()
        {
            let up = match *change {
                MeshEvent::LinkUp { .. } if batch.into.len() > start => return,
                MeshEvent::LinkUp { peer, .. } => Some(peer),
                _ => None,
            };
            batch.into.extend(self.changes.pop_front());
            // A link that ended and was made again since opens with its own LinkUp.
            let is_peer = |change: &MeshEvent| matches!(change, MeshEvent::LinkUp { peer, .. } if Some(*peer) == up);
            if let Some(peer) = up
                && !self.changes.iter().any(is_peer)
            {
                self.peers[usize::from(peer.0)].open();
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let now = self.last_turn;
        let tick = !self.greetings.is_empty() || self.peers.iter().any(Peer::is_timed);
        let greetings = self.greetings.iter().map(|(_, deadline)| *deadline);
        self.peers
            .iter()
            .filter_map(Peer::dial_at)
            .chain(greetings)
            .chain((self.accept_at > now).then_some(self.accept_at))
            .chain(tick.then_some(now + TICK))
            .min()
    }
}

fn listen(path: &Path) -> Result<UnixListener, MeshError> {
    socket::listen(path).map_err(|source| MeshError::Bind {
        path: path.to_owned(),
        source,
    })
}

/// Where a node's socket is.
pub fn socket_path(run_dir: &Path, id: NodeId) -> PathBuf {
    run_dir.join(format!("node-{id}.sock"))
}
