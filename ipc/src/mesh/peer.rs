//! What a node knows of one peer, and its two links with it.
//!
//! The end of the link that we dialled is what tells death from being cut off: we dial again at
//! once, and only a living process welcomes us.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::id::{Incarnation, NodeId};
use tokio::time::Instant;

use super::event::Batch;
use super::receive::{self, Sender};
use super::{Local, MeshEvent};
use crate::codec::Hello;
use crate::link::{Inbound, LinkEnd, Outbound, socket};

/// Interval at which a peer is dialled that is not there, so that a lost race cannot leave two
/// live nodes without a link.
const RETRY: Duration = Duration::from_millis(500);
/// Shortest interval of dials after a link that stood: a peer that keeps cutting us off must not
/// keep us busy.
const PACE: Duration = Duration::from_millis(10);

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    id: NodeId,
    path: PathBuf,
    /// The latest life that was heard of; frames of earlier ones are dropped.
    known: Incarnation,
    /// This life and all before it are over: the supervisor said so.
    gone: Incarnation,
    /// The life whose LinkUp was announced, until its LinkDown is; none but `known`.
    up: Option<Incarnation>,
    /// The life in `up` is over; announced when what it still sent has been read.
    dying: bool,
    outbound: Link,
    /// The link that we accepted, of the life `known`.
    inbound: Option<Inbound>,
    /// Number of the latest link that the life `known` has made to us.
    serial: u64,
    dialled_at: Instant,
}

/// The link that we dial.
#[derive(Debug)]
enum Link {
    Down {
        dial_at: Option<Instant>,
    },
    /// Our Hello is sent, the welcome has not come.
    Greeting {
        link: Outbound,
        /// A newer life appeared since the dial, which may have reached the older one.
        doubtful: bool,
    },
    Standing {
        link: Outbound,
        /// Its LinkUp was handed out.
        open: bool,
    },
}

impl Peer {
    pub(super) fn new(id: NodeId, path: PathBuf, now: Instant) -> Peer {
        Peer {
            id,
            path,
            known: Incarnation(0),
            gone: Incarnation(0),
            up: None,
            dying: false,
            outbound: Link::Down { dial_at: None },
            inbound: None,
            serial: 0,
            dialled_at: now,
        }
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    /// When the peer is to be dialled next.
    pub(super) fn dial_at(&self) -> Option<Instant> {
        match self.outbound {
            Link::Down { dial_at } => dial_at,
            Link::Greeting { .. } | Link::Standing { .. } => None,
        }
    }

    /// Whether the peer is to take something, and is timed.
    pub(super) fn is_timed(&self) -> bool {
        matches!(&self.outbound, Link::Standing { link, .. } if !link.is_idle())
    }

    /// The link to send on, once its LinkUp was handed out.
    pub(super) fn open_link(&mut self) -> Option<&mut Outbound> {
        match &mut self.outbound {
            Link::Standing { link, open: true } => Some(link),
            _ => None,
        }
    }

    /// Lets messages onto the link: its LinkUp is handed out.
    pub(super) fn open(&mut self) {
        if let Link::Standing { open, .. } = &mut self.outbound {
            *open = true;
        }
    }

    pub(super) fn forgive(&mut self, now: Instant) {
        if let Link::Standing { link, .. } = &mut self.outbound {
            link.forgive(now);
        }
    }

    /// Dials at the next turn, unless a link stands or is being made.
    pub(super) fn dial_soon(&mut self, now: Instant) {
        if let Link::Down { dial_at } = &mut self.outbound {
            *dial_at = Some(now);
        }
    }

    /// Whether a connection with this first frame is newer than all before it.
    pub(super) fn admits(&self, hello: &Hello) -> bool {
        hello.incarnation > self.gone
            && (hello.incarnation, hello.serial) > (self.known, self.serial)
    }

    /// Takes the connection in place of an older one, whose unread frames are lost with it.
    pub(super) fn admit(
        &mut self,
        hello: &Hello,
        link: Inbound,
        now: Instant,
        changes: &mut VecDeque<MeshEvent>,
    ) {
        if self.dying {
            self.announce_down(changes);
        }
        if hello.incarnation > self.known {
            self.meet(hello.incarnation, changes);
            match &mut self.outbound {
                Link::Standing { .. } => self.outbound = Link::Down { dial_at: None },
                Link::Greeting { doubtful, .. } => *doubtful = true,
                Link::Down { .. } => {}
            }
        }
        self.serial = hello.serial;
        self.inbound = Some(link);
        self.dial_soon(now);
    }

    /// The supervisor says that this life is over.
    pub(super) fn gone(
        &mut self,
        incarnation: Incarnation,
        now: Instant,
        changes: &mut VecDeque<MeshEvent>,
    ) {
        self.gone = self.gone.max(incarnation);
        if self.known > self.gone {
            return;
        }
        self.inbound = None;
        self.announce_down(changes);
        // A dial under way may have reached the next life.
        if let Link::Standing { .. } = self.outbound {
            self.outbound = Link::Down {
                dial_at: Some(now + RETRY),
            };
        }
    }

    /// Dials, greets, writes, and sees ends.
    pub(super) fn poll_outbound(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        local: &mut Local,
        changes: &mut VecDeque<MeshEvent>,
    ) {
        // Each state leads at most to the next one; an end leads to a dial in the future, or to
        // one at once, whose welcome takes another turn.
        loop {
            match &mut self.outbound {
                Link::Down { dial_at } if dial_at.is_some_and(|at| at <= now) => {
                    self.dial(now, local);
                }
                Link::Down { .. } => return,
                Link::Greeting { link, doubtful } => {
                    let doubtful = *doubtful;
                    match link.poll_welcome(cx) {
                        Poll::Pending => return,
                        Poll::Ready(Ok(hello)) => self.welcomed(&hello, now, changes),
                        Poll::Ready(Err(end)) => self.greeting_ended(&end, doubtful, now),
                    }
                }
                Link::Standing { link, .. } => {
                    let Poll::Ready(end) = link.poll(cx, now) else {
                        return;
                    };
                    tracing::debug!(peer = self.id.0, %end, "link ended");
                    self.outbound = Link::Down {
                        dial_at: Some(now.max(self.dialled_at + PACE)),
                    };
                }
            }
        }
    }

    /// Reads once and hands out what is complete.
    pub(super) fn poll_inbound(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Batch<'_>,
        changes: &mut VecDeque<MeshEvent>,
    ) {
        let heard = match self.up {
            Some(incarnation) => {
                let from = Sender {
                    peer: self.id,
                    incarnation,
                };
                match &mut self.inbound {
                    Some(link) if self.dying => receive::drain(link, from, batch),
                    Some(link) => receive::read(link, from, batch, cx),
                    None => Ok(()),
                }
            }
            // Its frames wait until our own link to that life stands.
            None => Ok(()),
        };
        if let Err(end) = heard {
            match end {
                LinkEnd::Closed | LinkEnd::Io(_) => {
                    tracing::debug!(peer = self.id.0, %end, "link from peer ended");
                }
                _ => tracing::warn!(peer = self.id.0, %end, "link from peer closed"),
            }
            self.inbound = None;
        }
        if self.dying && self.inbound.is_none() {
            self.announce_down(changes);
        }
    }

    /// Ends the link that we dialled, as if the peer had.
    #[cfg(test)]
    pub(super) fn cut(&mut self) {
        self.outbound = Link::Down {
            dial_at: Some(self.dialled_at),
        };
    }

    #[cfg(test)]
    pub(super) fn is_standing(&self) -> bool {
        matches!(self.outbound, Link::Standing { .. })
    }

    fn dial(&mut self, now: Instant, local: &mut Local) {
        local.serial += 1;
        self.dialled_at = now;
        let dialled = local
            .hello(local.serial)
            .map_err(io::Error::other)
            .and_then(|hello| socket::dial(&self.path, &hello));
        match dialled {
            Ok(stream) => {
                self.outbound = Link::Greeting {
                    link: Outbound::new(stream, now),
                    doubtful: false,
                };
            }
            Err(error) if socket::means_death(&error) => self.found_dead(now),
            Err(error) => {
                tracing::debug!(peer = self.id.0, %error, "cannot dial");
                let pause = match error.kind() {
                    io::ErrorKind::WouldBlock => PACE,
                    _ => RETRY,
                };
                self.outbound = Link::Down {
                    dial_at: Some(now + pause),
                };
            }
        }
    }

    fn welcomed(&mut self, hello: &Hello, now: Instant, changes: &mut VecDeque<MeshEvent>) {
        let pause = match self.outbound {
            Link::Greeting { doubtful: true, .. } => PACE,
            _ => RETRY,
        };
        let down = Link::Down {
            dial_at: Some(now + pause),
        };
        let Link::Greeting { link, .. } = std::mem::replace(&mut self.outbound, down) else {
            return;
        };
        let stale = hello.incarnation < self.known || hello.incarnation <= self.gone;
        if hello.node != self.id || stale {
            tracing::debug!(?hello, "welcome of somebody else");
            return;
        }
        if hello.incarnation > self.known {
            self.meet(hello.incarnation, changes);
        }
        self.dying = false;
        self.up = Some(hello.incarnation);
        self.outbound = Link::Standing { link, open: false };
        changes.push_back(MeshEvent::LinkUp {
            peer: self.id,
            incarnation: hello.incarnation,
            highest: hello.highest,
        });
    }

    fn greeting_ended(&mut self, end: &LinkEnd, doubtful: bool, now: Instant) {
        tracing::debug!(peer = self.id.0, %end, "link ended before its welcome");
        match end {
            _ if doubtful => self.outbound = Link::Down { dial_at: Some(now) },
            LinkEnd::Closed | LinkEnd::Io(_) => self.found_dead(now),
            _ => {
                self.outbound = Link::Down {
                    dial_at: Some(now + RETRY),
                };
            }
        }
    }

    /// Nobody lives there: the life that was up is over, and one that only dialled us is too.
    fn found_dead(&mut self, now: Instant) {
        self.outbound = Link::Down {
            dial_at: Some(now + RETRY),
        };
        if self.up.is_some() {
            self.dying = true;
        } else {
            self.inbound = None;
        }
    }

    /// A newer life: the older one is over, and so are its links to us.
    fn meet(&mut self, incarnation: Incarnation, changes: &mut VecDeque<MeshEvent>) {
        self.announce_down(changes);
        self.known = incarnation;
        self.serial = 0;
        self.inbound = None;
    }

    fn announce_down(&mut self, changes: &mut VecDeque<MeshEvent>) {
        self.dying = false;
        if let Some(incarnation) = self.up.take() {
            changes.push_back(MeshEvent::LinkDown {
                peer: self.id,
                incarnation,
            });
        }
    }
}
