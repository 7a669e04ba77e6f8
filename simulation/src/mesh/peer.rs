//! What a mesh knows of one peer, and the two links with it.

use std::collections::VecDeque;
use std::time::Duration;

use ipc::codec::{Decoder, Hello};
use protocol::event::Event;
use protocol::id::{Incarnation, NodeId};
use protocol::time::Time;

use super::link::{Inbound, Outbound};
use super::{Local, Wire};
use crate::network::{ConnectionId, DialError, End, Network};

/// Interval at which a peer is dialled that is not there.
const RETRY: Duration = Duration::from_millis(500);
/// Shortest interval of dials after a link that stood.
const PACE: Duration = Duration::from_millis(10);

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    id: NodeId,
    /// The latest life that was heard of.
    known: Incarnation,
    /// This life and all before it are over.
    gone: Incarnation,
    /// The life whose LinkUp was announced, until its LinkDown is.
    up: Option<Incarnation>,
    /// The life in `up` is over; announced when what it still sent has been read.
    dying: bool,
    outbound: Link,
    inbound: Option<Inbound>,
    /// Number of the latest link that the life `known` has made to us.
    serial: u64,
    dialled_at: Time,
}

#[derive(Debug)]
enum Link {
    Down { dial_at: Option<Time> },
    Greeting { link: Outbound, doubtful: bool },
    Standing { link: Outbound, open: bool },
}

impl Peer {
    pub(super) fn new(id: NodeId, now: Time) -> Peer {
        Peer {
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

    pub(super) fn is_timed(&self) -> bool {
        matches!(&self.outbound, Link::Standing { link, .. } if link.is_busy())
    }

    pub(super) fn next_wake(&self, network: &Network) -> Option<Time> {
        let dial_at = match self.outbound {
            Link::Down { dial_at } => dial_at,
            _ => None,
        };
        let outbound = self.outbound_connection();
        let welcome = outbound.and_then(|id| network.next_arrival(id, End::Dialler));
        // Its frames wait until our own link to that life stands.
        let inbound = self.inbound.as_ref().filter(|_| self.up.is_some());
        let mail = inbound.and_then(|link| network.next_arrival(link.connection, End::Acceptor));
        [dial_at, welcome, mail].into_iter().flatten().min()
    }

    pub(super) fn outbound_connection(&self) -> Option<ConnectionId> {
        match &self.outbound {
            Link::Down { .. } => None,
            Link::Greeting { link, .. } | Link::Standing { link, .. } => Some(link.connection),
        }
    }

    pub(super) fn inbound_connection(&self) -> Option<ConnectionId> {
        self.inbound.as_ref().map(|link| link.connection)
    }

    pub(super) fn open_link(&mut self) -> Option<&mut Outbound> {
        match &mut self.outbound {
            Link::Standing { link, open: true } => Some(link),
            _ => None,
        }
    }

    pub(super) fn open(&mut self) {
        if let Link::Standing { open, .. } = &mut self.outbound {
            *open = true;
        }
    }

    pub(super) fn doubt(&mut self) {
        if let Link::Greeting { doubtful, .. } = &mut self.outbound {
            *doubtful = true;
        }
    }

    pub(super) fn forgive(&mut self, now: Time) {
        if let Link::Standing { link, .. } = &mut self.outbound {
            link.forgive(now);
        }
    }

    pub(super) fn dial_soon(&mut self, now: Time) {
        if let Link::Down { dial_at } = &mut self.outbound {
            *dial_at = Some(now);
        }
    }

    pub(super) fn admits(&self, hello: &Hello) -> bool {
        hello.incarnation > self.gone
            && (hello.incarnation, hello.serial) > (self.known, self.serial)
    }

    pub(super) fn admit(
        &mut self,
        hello: &Hello,
        connection: ConnectionId,
        decoder: Decoder,
        wire: &mut Wire<'_>,
        changes: &mut VecDeque<Event>,
    ) {
        if self.dying {
            self.announce_down(changes);
        }
        if hello.incarnation > self.known {
            self.meet(hello.incarnation, wire, changes);
            match &mut self.outbound {
                Link::Standing { .. } => self.set_outbound(Link::Down { dial_at: None }, wire),
                Link::Greeting { doubtful, .. } => *doubtful = true,
                Link::Down { .. } => {}
            }
        }
        self.serial = hello.serial;
        self.drop_inbound(wire);
        self.inbound = Some(Inbound {
            connection,
            decoder,
        });
        self.dial_soon(wire.now);
    }

    pub(super) fn gone(
        &mut self,
        incarnation: Incarnation,
        wire: &mut Wire<'_>,
        changes: &mut VecDeque<Event>,
    ) {
        self.gone = self.gone.max(incarnation);
        if self.known > self.gone {
            return;
        }
        self.drop_inbound(wire);
        self.announce_down(changes);
        if let Link::Standing { .. } = self.outbound {
            let dial_at = Some(wire.now + RETRY);
            self.set_outbound(Link::Down { dial_at }, wire);
        }
    }

    pub(super) fn poll_outbound(
        &mut self,
        wire: &mut Wire<'_>,
        local: &mut Local,
        changes: &mut VecDeque<Event>,
    ) {
        loop {
            match &mut self.outbound {
                Link::Down { dial_at } if dial_at.is_some_and(|at| at <= wire.now) => {
                    self.dial(wire, local);
                }
                Link::Down { .. } => return,
                Link::Greeting { link, doubtful } => {
                    let doubtful = *doubtful;
                    match link.poll_welcome(wire) {
                        None => return,
                        Some(Ok(hello)) => self.welcomed(&hello, wire, changes),
                        Some(Err(())) => self.greeting_ended(doubtful, wire),
                    }
                }
                Link::Standing { link, .. } => {
                    if !link.poll(wire) {
                        return;
                    }
                    let dial_at = Some(wire.now.max(self.dialled_at + PACE));
                    self.set_outbound(Link::Down { dial_at }, wire);
                }
            }
        }
    }

    pub(super) fn poll_inbound(
        &mut self,
        wire: &mut Wire<'_>,
        into: &mut VecDeque<Event>,
        changes: &mut VecDeque<Event>,
    ) {
        if let Some(incarnation) = self.up
            && let Some(link) = &mut self.inbound
            && link.read(self.id, incarnation, self.dying, wire, into)
        {
            self.drop_inbound(wire);
        }
        if self.dying && self.inbound.is_none() {
            self.announce_down(changes);
        }
    }

    fn dial(&mut self, wire: &mut Wire<'_>, local: &mut Local) {
        local.serial += 1;
        self.dialled_at = wire.now;
        let hello = local.hello(local.serial);
        let arrival = wire.now + wire.chance.duration(wire.latency);
        match wire.network.dial(local.id, self.id, hello, arrival) {
            Ok(connection) => {
                wire.rouse(connection, End::Dialler, arrival);
                self.outbound = Link::Greeting {
                    link: Outbound::new(connection, wire.now),
                    doubtful: false,
                };
            }
            Err(DialError::Refused) => self.found_dead(wire),
            // Neither says that nobody lives there.
            Err(DialError::Missing) => {
                let dial_at = Some(wire.now + RETRY);
                self.outbound = Link::Down { dial_at };
            }
            Err(DialError::Full) => {
                let dial_at = Some(wire.now + PACE);
                self.outbound = Link::Down { dial_at };
            }
        }
    }

    fn welcomed(&mut self, hello: &Hello, wire: &mut Wire<'_>, changes: &mut VecDeque<Event>) {
        let pause = match self.outbound {
            Link::Greeting { doubtful: true, .. } => PACE,
            _ => RETRY,
        };
        let stale = hello.incarnation < self.known || hello.incarnation <= self.gone;
        if hello.node != self.id || stale {
            let dial_at = Some(wire.now + pause);
            self.set_outbound(Link::Down { dial_at }, wire);
            return;
        }
        let down = Link::Down { dial_at: None };
        let Link::Greeting { link, .. } = std::mem::replace(&mut self.outbound, down) else {
            return;
        };
        if hello.incarnation > self.known {
            self.meet(hello.incarnation, wire, changes);
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

    fn greeting_ended(&mut self, doubtful: bool, wire: &mut Wire<'_>) {
        if doubtful {
            let dial_at = Some(wire.now);
            self.set_outbound(Link::Down { dial_at }, wire);
        } else {
            self.found_dead(wire);
        }
    }

    fn found_dead(&mut self, wire: &mut Wire<'_>) {
        let dial_at = Some(wire.now + RETRY);
        self.set_outbound(Link::Down { dial_at }, wire);
        if self.up.is_some() {
            self.dying = true;
        } else {
            self.drop_inbound(wire);
        }
    }

    fn meet(
        &mut self,
        incarnation: Incarnation,
        wire: &mut Wire<'_>,
        changes: &mut VecDeque<Event>,
    ) {
        self.announce_down(changes);
        self.known = incarnation;
        self.serial = 0;
        self.drop_inbound(wire);
    }

    fn announce_down(&mut self, changes: &mut VecDeque<Event>) {
        self.dying = false;
        if let Some(incarnation) = self.up.take() {
            let peer = self.id;
            changes.push_back(Event::LinkDown { peer, incarnation });
        }
    }

    fn drop_inbound(&mut self, wire: &mut Wire<'_>) {
        if let Some(link) = self.inbound.take() {
            wire.hang_up(link.connection, End::Acceptor);
        }
    }

    /// Replaces the link, whose connection is closed by that.
    fn set_outbound(&mut self, link: Link, wire: &mut Wire<'_>) {
        if let Some(connection) = self.outbound_connection() {
            wire.hang_up(connection, End::Dialler);
        }
        self.outbound = link;
    }
}
