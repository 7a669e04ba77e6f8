//! What a node knows of one peer, and its two links with it.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use protocol::event::Event;
use protocol::id::{Incarnation, NodeId};
use protocol::time::Time;

use super::link::{Inbound, LinkEnd, Outbound, Sender};
use super::{Batch, DialError, Local, Sizes, Wire};
use crate::codec::Hello;

/// Interval at which an absent peer is dialled, so that a lost race cannot leave two
/// live nodes without a link.
const RETRY: Duration = Duration::from_millis(500);
/// Shortest interval of dials after a link that stood: a peer that keeps cutting us off must not
/// keep us busy.
const PACE: Duration = Duration::from_millis(10);

/// One peer.
#[derive(Debug)]
pub(super) struct PeerLinks<C> {
    id: NodeId,
    /// The latest known incarnation; frames of earlier ones are dropped.
    known: Incarnation,
    /// This incarnation and all before it are dead, according to the supervisor.
    gone: Incarnation,
    /// The incarnation whose LinkUp was announced, until its LinkDown is; always `known`.
    up: Option<Incarnation>,
    /// The incarnation in `up` is dead; announced once its last messages have been read.
    dying: bool,
    outbound: Link<C>,
    /// The link that we accepted from the incarnation `known`.
    inbound: Option<Inbound<C>>,
    /// Number of the latest link that the incarnation `known` has made to us.
    serial: u64,
    dialled_at: Time,
}

/// The link that we dial.
#[derive(Debug)]
enum Link<C> {
    Down {
        dial_at: Option<Time>,
    },
    /// Our Hello is sent, the welcome has not come.
    Greeting {
        link: Outbound<C>,
        /// A newer incarnation appeared since the dial, which may have reached the older one.
        doubtful: bool,
    },
    Standing {
        link: Outbound<C>,
        /// Its LinkUp was handed out.
        open: bool,
    },
}

impl<C> PeerLinks<C> {
    pub(super) fn new(id: NodeId, now: Time) -> PeerLinks<C> {
        PeerLinks {
            id,
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
    pub(super) fn dial_at(&self) -> Option<Time> {
        match self.outbound {
            Link::Down { dial_at } => dial_at,
            Link::Greeting { .. } | Link::Standing { .. } => None,
        }
    }

    /// Whether the peer has something to take, and is timed.
    pub(super) fn is_timed(&self) -> bool {
        matches!(&self.outbound, Link::Standing { link, .. } if !link.is_idle())
    }

    /// The link to send on, once its LinkUp was handed out.
    pub(super) fn open_link(&mut self) -> Option<&mut Outbound<C>> {
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

    pub(super) fn forgive(&mut self, now: Time) {
        if let Link::Standing { link, .. } = &mut self.outbound {
            link.forgive(now);
        }
    }

    /// Dials at the next turn, unless a link stands or is being made.
    pub(super) fn dial_soon(&mut self, now: Time) {
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
        link: Inbound<C>,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        changes: &mut VecDeque<Event>,
    ) {
        if self.dying {
            self.announce_down(changes);
        }
        if hello.incarnation > self.known {
            self.begin_life(hello.incarnation, wire, changes);
            match &mut self.outbound {
                Link::Standing { .. } => self.hang_up(None, wire),
                Link::Greeting { doubtful, .. } => *doubtful = true,
                Link::Down { .. } => {}
            }
        }
        self.serial = hello.serial;
        self.drop_inbound(wire);
        self.inbound = Some(link);
        self.dial_soon(now);
    }

    /// The supervisor reports that this incarnation is dead.
    pub(super) fn gone(
        &mut self,
        incarnation: Incarnation,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        changes: &mut VecDeque<Event>,
    ) {
        self.gone = self.gone.max(incarnation);
        if self.known > self.gone {
            return;
        }
        self.drop_inbound(wire);
        self.announce_down(changes);
        // A dial in progress may have reached the next incarnation.
        if let Link::Standing { .. } = self.outbound {
            self.hang_up(Some(now + RETRY), wire);
        }
    }

    /// Dials, greets, writes, and sees ends.
    pub(super) fn poll_outbound(
        &mut self,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        local: &mut Local,
        changes: &mut VecDeque<Event>,
    ) {
        // Each state leads at most to the next one; an end leads to a dial in the future, or to
        // one at once, whose welcome takes another turn.
        loop {
            match &mut self.outbound {
                Link::Down { dial_at } if dial_at.is_some_and(|at| at <= now) => {
                    self.dial(now, wire, local);
                }
                Link::Down { .. } => return,
                Link::Greeting { link, doubtful } => {
                    let doubtful = *doubtful;
                    match link.poll_welcome(wire) {
                        Poll::Pending => return,
                        Poll::Ready(Ok(hello)) => self.welcomed(&hello, now, wire, changes),
                        Poll::Ready(Err(end)) => self.greeting_ended(&end, doubtful, now, wire),
                    }
                }
                Link::Standing { link, .. } => {
                    let Poll::Ready(end) = link.poll(now, wire, &local.sizes) else {
                        return;
                    };
                    tracing::debug!(peer = self.id.0, %end, "link ended");
                    self.hang_up(Some(now.max(self.dialled_at + PACE)), wire);
                }
            }
        }
    }

    /// Reads once and hands out what is complete.
    pub(super) fn poll_inbound(
        &mut self,
        wire: &mut impl Wire<Connection = C>,
        sizes: &Sizes,
        batch: &mut Batch<'_>,
        changes: &mut VecDeque<Event>,
    ) {
        let heard = match (self.up, &mut self.inbound) {
            (Some(incarnation), Some(link)) => {
                let from = Sender {
                    peer: self.id,
                    incarnation,
                };
                if self.dying {
                    link.drain(from, wire, sizes, batch)
                } else {
                    link.read(from, wire, sizes, batch)
                }
            }
            // Its frames wait until our own link to that life stands.
            _ => Ok(()),
        };
        if let Err(end) = heard {
            match end {
                LinkEnd::Closed | LinkEnd::Io(_) => {
                    tracing::debug!(peer = self.id.0, %end, "link from peer ended");
                }
                _ => tracing::warn!(peer = self.id.0, %end, "link from peer closed"),
            }
            self.drop_inbound(wire);
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

    fn dial(&mut self, now: Time, wire: &mut impl Wire<Connection = C>, local: &mut Local) {
        local.serial += 1;
        self.dialled_at = now;
        let dialled = match local.hello(local.serial) {
            Ok(hello) => wire.dial(self.id, &hello),
            Err(error) => {
                tracing::error!(%error, "no Hello");
                Err(DialError::Failed)
            }
        };
        match dialled {
            Ok(connection) => {
                self.outbound = Link::Greeting {
                    link: Outbound::new(connection, now),
                    doubtful: false,
                };
            }
            Err(DialError::Dead) => self.found_dead(now, wire),
            Err(DialError::Full) => self.hang_up(Some(now + PACE), wire),
            Err(DialError::Failed) => self.hang_up(Some(now + RETRY), wire),
        }
    }

    fn welcomed(
        &mut self,
        hello: &Hello,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
        changes: &mut VecDeque<Event>,
    ) {
        let stale = hello.incarnation < self.known || hello.incarnation <= self.gone;
        if hello.node != self.id || stale {
            tracing::debug!(?hello, "welcome of somebody else");
            let pause = match self.outbound {
                Link::Greeting { doubtful: true, .. } => PACE,
                _ => RETRY,
            };
            self.hang_up(Some(now + pause), wire);
            return;
        }
        let down = Link::Down { dial_at: None };
        let Link::Greeting { link, .. } = std::mem::replace(&mut self.outbound, down) else {
            return;
        };
        if hello.incarnation > self.known {
            self.begin_life(hello.incarnation, wire, changes);
        }
        self.dying = false;
        self.up = Some(hello.incarnation);
        self.outbound = Link::Standing { link, open: false };
        changes.push_back(Event::LinkUp {
            peer: self.id,
            incarnation: hello.incarnation,
            highest: hello.highest,
        });
    }

    fn greeting_ended(
        &mut self,
        end: &LinkEnd,
        doubtful: bool,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
    ) {
        tracing::debug!(peer = self.id.0, %end, "link ended before its welcome");
        match end {
            _ if doubtful => self.hang_up(Some(now), wire),
            end if end.is_of_the_peer() => self.found_dead(now, wire),
            LinkEnd::Io(_) => self.hang_up(Some(now + PACE), wire),
            _ => self.hang_up(Some(now + RETRY), wire),
        }
    }

    /// The peer is dead: the incarnation that was up, and one that had only dialled us.
    fn found_dead(&mut self, now: Time, wire: &mut impl Wire<Connection = C>) {
        self.hang_up(Some(now + RETRY), wire);
        if self.up.is_some() {
            self.dying = true;
        } else {
            self.drop_inbound(wire);
        }
    }

    /// A newer incarnation: the older one is dead, and its links to us are closed.
    fn begin_life(
        &mut self,
        incarnation: Incarnation,
        wire: &mut impl Wire<Connection = C>,
        changes: &mut VecDeque<Event>,
    ) {
        self.announce_down(changes);
        self.known = incarnation;
        self.serial = 0;
        self.drop_inbound(wire);
    }

    /// Ends the link that we dial, and dials again then.
    fn hang_up(&mut self, dial_at: Option<Time>, wire: &mut impl Wire<Connection = C>) {
        match std::mem::replace(&mut self.outbound, Link::Down { dial_at }) {
            Link::Down { .. } => {}
            Link::Greeting { link, .. } | Link::Standing { link, .. } => {
                wire.close(link.connection);
            }
        }
    }

    fn drop_inbound(&mut self, wire: &mut impl Wire<Connection = C>) {
        if let Some(link) = self.inbound.take() {
            wire.close(link.connection);
        }
    }

    fn announce_down(&mut self, changes: &mut VecDeque<Event>) {
        self.dying = false;
        if let Some(incarnation) = self.up.take() {
            changes.push_back(Event::LinkDown {
                peer: self.id,
                incarnation,
            });
        }
    }
}
