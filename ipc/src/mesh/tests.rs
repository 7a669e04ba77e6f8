//! The link machine by itself, over a wire that does what a test wants: moments that sockets come to once in a
//! thousand runs.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::Poll;
use std::time::Duration;

use bytes::BufMut;
use protocol::event::Event;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use protocol::time::Time;

use super::{DialError, Mesh, Sizes, Wire};
use crate::codec::{Encoder, Hello, VERSION};

const HEARD: Message = Message::Stale {
    highest: Epoch::NONE,
};

/// This node's ends of its connections, by number.
#[derive(Default)]
struct Script {
    ends: Vec<End>,
    /// Connections that wait to be accepted.
    callers: VecDeque<usize>,
    /// Which peers were dialled, and on which connection.
    dialled: Vec<(NodeId, usize)>,
    /// Nobody lives anywhere.
    all_dead: bool,
    /// Who dials is welcomed by this life.
    welcome: Option<Incarnation>,
}

#[derive(Default)]
struct End {
    to_read: VecDeque<u8>,
    ended: bool,
    written: usize,
    closed: bool,
}

impl Script {
    fn connect(&mut self) -> usize {
        self.ends.push(End::default());
        self.ends.len() - 1
    }

    /// A node dials this one, and has said this.
    fn call(&mut self, node: u8, life: u64, serial: u64, messages: usize) -> usize {
        let end = self.connect();
        self.callers.push_back(end);
        self.say(end, node, life, serial);
        for _ in 0..messages {
            let mut bytes = Vec::new();
            Encoder::new().message(&HEARD).unwrap().write_to(&mut bytes);
            self.ends[end].to_read.extend(bytes);
        }
        end
    }

    /// The first frame of a node, which also answers a dial.
    fn say(&mut self, end: usize, node: u8, life: u64, serial: u64) {
        let hello = Hello {
            node: NodeId(node),
            incarnation: Incarnation(life),
            serial,
            version: VERSION,
            highest: Epoch::NONE,
        };
        let bytes = Encoder::new().hello(&hello).unwrap();
        self.ends[end].to_read.extend(bytes);
    }

    /// The connection on which a node was dialled last.
    fn last_dial(&self, node: u8) -> usize {
        let mut dials = self.dialled.iter().rev();
        dials.find(|(peer, _)| *peer == NodeId(node)).unwrap().1
    }

    fn dials(&self, node: u8) -> usize {
        let is_it = |(peer, _): &&(NodeId, usize)| *peer == NodeId(node);
        self.dialled.iter().filter(is_it).count()
    }
}

impl Wire for Script {
    type Connection = usize;

    fn dial(&mut self, peer: NodeId, _: &[u8]) -> Result<usize, DialError> {
        if self.all_dead {
            return Err(DialError::Dead);
        }
        let end = self.connect();
        self.dialled.push((peer, end));
        if let Some(life) = self.welcome {
            self.say(end, peer.0, life.0, 1);
        }
        Ok(end)
    }

    fn accept(&mut self) -> Poll<io::Result<usize>> {
        let caller = self.callers.pop_front();
        caller.map_or(Poll::Pending, |end| Poll::Ready(Ok(end)))
    }

    fn welcome(&mut self, _: &mut usize, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, end: &mut usize, into: &mut impl BufMut) -> Poll<io::Result<usize>> {
        let end = &mut self.ends[*end];
        let taken = end.to_read.len().min(into.remaining_mut());
        if taken == 0 && !end.ended {
            return Poll::Pending;
        }
        end.to_read
            .drain(..taken)
            .for_each(|byte| into.put_u8(byte));
        Poll::Ready(Ok(taken))
    }

    fn read_rest(&mut self, end: &mut usize, into: &mut impl BufMut) -> Poll<io::Result<usize>> {
        self.read(end, into)
    }

    fn write(&mut self, end: &mut usize, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = bytes.iter().map(|part| part.len()).sum();
        self.ends[*end].written += length;
        Poll::Ready(Ok(length))
    }

    fn close(&mut self, end: usize) {
        self.ends[end].closed = true;
    }

    fn poll_again(&mut self) {}
}

/// Node 0 of three, which has dialled the others.
fn dialling(script: &mut Script) -> Mesh<usize> {
    let now = Time::default();
    let mut mesh = Mesh::new(3, NodeId(0), Incarnation(1), Sizes::default(), now);
    mesh.dial_all(now);
    assert_eq!(events(&mut mesh, script, 0), []);
    mesh
}

/// What a poll so many milliseconds after the start tells.
fn events(mesh: &mut Mesh<usize>, script: &mut Script, ms: u64) -> Vec<Event> {
    some_events(mesh, script, ms, 100)
}

fn some_events(mesh: &mut Mesh<usize>, script: &mut Script, ms: u64, limit: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let now = Time::default() + Duration::from_millis(ms);
    mesh.poll(now, script, &mut events, limit);
    events
}

fn up(peer: u8, life: u64) -> Event {
    Event::LinkUp {
        peer: NodeId(peer),
        incarnation: Incarnation(life),
        highest: Epoch::NONE,
    }
}

fn down(peer: u8, life: u64) -> Event {
    Event::LinkDown {
        peer: NodeId(peer),
        incarnation: Incarnation(life),
    }
}

fn heard(peer: u8, life: u64) -> Event {
    Event::Received {
        from: NodeId(peer),
        incarnation: Incarnation(life),
        message: HEARD,
    }
}

#[test]
fn a_greeting_that_may_have_reached_the_life_before_ends_without_a_death() {
    let mut script = Script::default();
    let mut mesh = dialling(&mut script);
    let old = script.last_dial(1);
    let newer = script.call(1, 3, 1, 0);
    events(&mut mesh, &mut script, 1);
    script.ends[old].ended = true;
    events(&mut mesh, &mut script, 2);
    assert_eq!(script.dials(1), 2, "it is dialled again at once");
    assert!(!script.ends[newer].closed, "the newer life is not dead");
}

#[test]
fn the_welcome_of_a_life_that_is_gone_counts_for_nothing() {
    let mut script = Script::default();
    let mut mesh = dialling(&mut script);
    mesh.peer_gone(Time::default(), &mut script, NodeId(1), Incarnation(2));
    let dialled = script.last_dial(1);
    script.say(dialled, 1, 2, 1);
    assert_eq!(events(&mut mesh, &mut script, 1), []);
    assert!(script.ends[dialled].closed);
}

#[test]
fn of_a_dying_peer_that_is_replaced_the_end_is_told() {
    let mut script = Script::default();
    let mut mesh = dialling(&mut script);
    let dialled = script.last_dial(1);
    script.say(dialled, 1, 2, 1);
    script.call(1, 2, 1, 3);
    assert_eq!(some_events(&mut mesh, &mut script, 1, 1), [up(1, 2)]);
    // It is found dead before all is read that it has sent; then it is there again.
    (script.ends[dialled].ended, script.all_dead) = (true, true);
    assert_eq!(some_events(&mut mesh, &mut script, 20, 1), [heard(1, 2)]);
    script.all_dead = false;
    let again = script.call(1, 2, 2, 0);
    assert_eq!(events(&mut mesh, &mut script, 21), [down(1, 2)]);
    assert!(!script.ends[again].closed);
}

#[test]
fn a_link_opens_with_its_own_link_up() {
    let mut script = Script::default();
    let mut mesh = dialling(&mut script);
    for peer in [1, 2] {
        script.say(script.last_dial(peer), peer, 2, 1);
    }
    assert_eq!(events(&mut mesh, &mut script, 1), [up(1, 2)]);
    // The LinkUp of the other waits, and its link is cut and made again meanwhile.
    let cut = script.last_dial(2);
    script.ends[cut].ended = true;
    script.welcome = Some(Incarnation(2));
    assert_eq!(events(&mut mesh, &mut script, 20), [up(2, 2)]);
    let now = Time::default() + Duration::from_millis(21);
    let newer = script.last_dial(2);
    assert_ne!(newer, cut);
    let send = |mesh: &mut Mesh<usize>, script: &mut Script| {
        mesh.send(now, script, &[NodeId(2)], &HEARD);
        mesh.flush(now, script);
        script.ends[newer].written
    };
    assert_eq!(
        send(&mut mesh, &mut script),
        0,
        "its own LinkUp is not told"
    );
    assert_eq!(events(&mut mesh, &mut script, 22), [up(2, 2)]);
    assert!(send(&mut mesh, &mut script) > 0);
}
