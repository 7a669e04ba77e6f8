use std::io::{Read, Write};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::time::Duration;

use protocol::id::Term;
use protocol::message::Product;
use protocol::plan::{Kind, OperationId};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::codec::{Decoder, Encoder, Hello, Incoming, MAX_FRAME, VERSION};
use crate::mesh::{STALL_LIMIT, TICK};

const PATIENCE: Duration = Duration::from_secs(10);

/// A mesh and all that it has told.
struct Node {
    mesh: UnixMesh,
    events: Vec<Event>,
}

impl Node {
    fn start(dir: &TempDir, id: u8, incarnation: u64) -> Node {
        let mut node = Node::quiet(dir, id, incarnation);
        node.mesh.dial_all();
        node
    }

    /// One that dials nobody of its own accord.
    fn quiet(dir: &TempDir, id: u8, incarnation: u64) -> Node {
        let mesh = UnixMesh::bind(MeshConfig {
            run_dir: dir.path().to_owned(),
            nodes: 4,
            id: NodeId(id),
            incarnation: Incarnation(incarnation),
        })
        .unwrap();
        Node {
            mesh,
            events: Vec::new(),
        }
    }

    fn ups(&self, peer: u8, incarnation: u64) -> usize {
        let is_up = |event: &&Event| {
            matches!(event, Event::LinkUp { peer: p, incarnation: i, .. }
                if *p == NodeId(peer) && *i == Incarnation(incarnation))
        };
        self.events.iter().filter(is_up).count()
    }

    fn downs(&self, peer: u8, incarnation: u64) -> usize {
        let down = Event::LinkDown {
            peer: NodeId(peer),
            incarnation: Incarnation(incarnation),
        };
        self.events.iter().filter(|event| **event == down).count()
    }

    /// The terms of the elections received from a peer, in order.
    fn terms(&self, peer: u8) -> Vec<u64> {
        let term = |event: &Event| match event {
            Event::Received {
                from,
                message:
                    Message::Election {
                        highest,
                        hangs: false,
                    },
                ..
            } if *from == NodeId(peer) => Some(highest.term.0),
            _ => None,
        };
        self.events.iter().filter_map(term).collect()
    }

    fn send(&mut self, to: u8, term: u64) {
        self.mesh.send(&[NodeId(to)], &election(term));
    }

    /// A life is heard only between its LinkUp and its LinkDown.
    fn check_order(&self) {
        let mut up = [None; 256];
        for event in &self.events {
            match *event {
                Event::LinkUp {
                    peer, incarnation, ..
                } => {
                    let was = up[usize::from(peer.0)].replace(incarnation);
                    assert!(was.is_none_or(|was| was == incarnation), "{event:?}");
                }
                Event::LinkDown { peer, incarnation } => {
                    assert_eq!(up[usize::from(peer.0)].take(), Some(incarnation));
                }
                Event::Received {
                    from, incarnation, ..
                }
                | Event::Alive { from, incarnation } => {
                    assert_eq!(up[usize::from(from.0)], Some(incarnation));
                }
                _ => unreachable!("{event:?}"),
            }
        }
    }
}

fn election(term: u64) -> Message {
    Message::Election {
        highest: Epoch {
            term: Term(term),
            ..Epoch::NONE
        },
        hangs: false,
    }
}

fn sized(length: usize) -> Message {
    Message::Products {
        products: vec![Product {
            operation: OperationId {
                n: 1,
                kind: Kind::Step,
                level: 0,
                index: 0,
            },
            value: vec![7; length].into(),
        }],
    }
}

/// Lets all nodes wait for events until `done`.
async fn pump(nodes: &mut [&mut Node], what: &str, mut done: impl FnMut(&[&mut Node]) -> bool) {
    let wait = async {
        while !done(nodes) {
            poll_fn(|cx| {
                let mut any = false;
                for node in nodes.iter_mut() {
                    let events = pin!(node.mesh.recv_many(&mut node.events, 16));
                    any |= events.poll(cx).is_ready();
                }
                if any { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    };
    let finished = timeout(PATIENCE, wait).await;
    for node in nodes.iter() {
        node.check_order();
    }
    assert!(finished.is_ok(), "{what} never happened");
}

async fn two(dir: &TempDir) -> (Node, Node) {
    let (mut a, mut b) = (Node::start(dir, 0, 1), Node::start(dir, 1, 2));
    pump(&mut [&mut a, &mut b], "both links", |n| {
        n[0].ups(1, 2) == 1 && n[1].ups(0, 1) == 1
    })
    .await;
    (a, b)
}

fn hello(node: u8, incarnation: u64, serial: u64) -> Hello {
    Hello {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        serial,
        version: VERSION,
        highest: Epoch::NONE,
    }
}

/// A connection that says what a test wants; non-blocking.
fn stranger(dir: &TempDir, to: u8, bytes: &[u8]) -> StdStream {
    let mut stream = StdStream::connect(socket_path(dir.path(), NodeId(to))).unwrap();
    stream.write_all(bytes).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

fn greeting(hello: &Hello) -> Vec<u8> {
    Encoder::new().hello(hello).unwrap().to_vec()
}

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoded = Encoder::new().message(message).unwrap();
    encoded.write_to(&mut bytes);
    bytes
}

/// Whether the other side has closed it; what it said before goes unread.
fn is_closed(mut stream: &StdStream) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Node 1, played by the test: its listener, and what it accepted and welcomed.
struct Puppet {
    listener: StdListener,
    accepted: Vec<StdStream>,
    incarnation: u64,
    welcomes: bool,
}

impl Puppet {
    fn bind(dir: &TempDir, incarnation: u64) -> Puppet {
        let listener = StdListener::bind(socket_path(dir.path(), NodeId(1))).unwrap();
        listener.set_nonblocking(true).unwrap();
        Puppet {
            listener,
            accepted: Vec::new(),
            incarnation,
            welcomes: true,
        }
    }

    /// Accepts what waits; welcomes it, or closes it at once.
    fn serve(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            if self.welcomes {
                stream
                    .write_all(&greeting(&hello(1, self.incarnation, 1)))
                    .unwrap();
                stream.set_nonblocking(true).unwrap();
                self.accepted.push(stream);
            }
        }
    }
}

/// Like [`pump`] for one node beside the test's own sockets, which nothing wakes it for.
async fn pump_beside(node: &mut Node, what: &str, mut done: impl FnMut(&mut Node) -> bool) {
    let wait = async {
        while !done(node) {
            let some = node.mesh.recv_many(&mut node.events, 16);
            let _ = timeout(Duration::from_millis(1), some).await;
        }
    };
    let finished = timeout(PATIENCE, wait).await;
    node.check_order();
    assert!(finished.is_ok(), "{what} never happened");
}

#[tokio::test]
async fn messages_arrive_in_order_both_ways() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    let expected: Vec<u64> = (0..5_000).collect();
    for term in &expected {
        a.send(1, *term);
        b.send(0, *term);
    }
    pump(&mut [&mut a, &mut b], "all messages", |n| {
        n[0].terms(1).len() == 5_000 && n[1].terms(0).len() == 5_000
    })
    .await;
    assert_eq!(a.terms(1), expected);
    assert_eq!(b.terms(0), expected);
}

#[tokio::test]
async fn the_highest_epoch_goes_into_hellos() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = (Node::start(&dir, 0, 1), Node::quiet(&dir, 1, 2));
    let seen = Epoch {
        term: Term(9),
        ..Epoch::NONE
    };
    b.mesh.set_highest(seen);
    b.mesh.dial_all();
    pump(&mut [&mut a, &mut b], "the link", |n| n[0].ups(1, 2) == 1).await;
    assert!(a.events.contains(&Event::LinkUp {
        peer: NodeId(1),
        incarnation: Incarnation(2),
        highest: seen,
    }));
}

#[tokio::test]
async fn a_broadcast_reaches_all_and_a_busy_link_starves_none() {
    let dir = TempDir::new().unwrap();
    let mut a = Node::start(&dir, 0, 1);
    let mut b = Node::start(&dir, 1, 2);
    let mut c = Node::start(&dir, 2, 3);
    pump(&mut [&mut a, &mut b, &mut c], "six links", |n| {
        let ups = [
            (0, 1, 2),
            (0, 2, 3),
            (1, 0, 1),
            (1, 2, 3),
            (2, 0, 1),
            (2, 1, 2),
        ];
        ups.iter()
            .all(|&(node, peer, life)| n[node].ups(peer, life) == 1)
    })
    .await;
    // Node 3 is not there, and node 0 is the sender.
    let everyone: Vec<_> = (0..4).map(NodeId).collect();
    a.mesh.send(&everyone, &election(7));
    pump(&mut [&mut a, &mut b, &mut c], "the broadcast", |n| {
        n[1].terms(0) == [7] && n[2].terms(0) == [7]
    })
    .await;

    for term in 0..20_000 {
        b.send(0, term);
    }
    c.send(0, 1);
    pump(&mut [&mut a, &mut b, &mut c], "the lone message", |n| {
        !n[0].terms(2).is_empty()
    })
    .await;
    assert!(a.terms(1).len() < 1_000, "{}", a.terms(1).len());
}

// By a clock that stands still while there is something to do: whatever the machine does meanwhile,
// only waiting for a timer takes time.
#[tokio::test(start_paused = true)]
async fn a_death_is_told_at_once_after_what_it_sent_and_the_next_life_too() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    let mut c = Node::start(&dir, 2, 3);
    pump(&mut [&mut a, &mut b, &mut c], "links of the third", |n| {
        n[0].ups(2, 3) == 1 && n[1].ups(2, 3) == 1 && n[2].ups(0, 1) == 1 && n[2].ups(1, 2) == 1
    })
    .await;
    // Old enough for a redial at once, which finds the death before the messages are read.
    let linked_at = Instant::now();
    pump_beside(&mut a, "the pace", |_| {
        linked_at.elapsed() > Duration::from_millis(20)
    })
    .await;
    for term in 0..1_000 {
        b.send(0, term);
    }
    b.mesh.flush();
    let died_at = Instant::now();
    drop(b);
    pump(&mut [&mut a, &mut c], "the death", |n| {
        n[0].downs(1, 2) == 1 && n[1].downs(1, 2) == 1
    })
    .await;
    // Less than the interval of any retry.
    assert!(died_at.elapsed() < Duration::from_millis(400));
    assert_eq!(a.terms(1).len(), 1_000);

    let born_at = Instant::now();
    let mut b = Node::start(&dir, 1, 9);
    pump(&mut [&mut a, &mut b, &mut c], "the next life", |n| {
        n[0].ups(1, 9) == 1 && n[1].ups(0, 1) == 1 && n[1].ups(2, 3) == 1 && n[2].ups(1, 9) == 1
    })
    .await;
    assert!(born_at.elapsed() < Duration::from_millis(400));
    b.send(0, 5);
    pump(&mut [&mut a, &mut b, &mut c], "its message", |n| {
        n[0].terms(1).len() == 1_001
    })
    .await;
    assert_eq!(a.downs(1, 2), 1);
    assert_eq!(a.downs(2, 3), 0);
}

#[tokio::test]
async fn a_restart_that_is_seen_first_by_its_hello_ends_the_older_life() {
    let dir = TempDir::new().unwrap();
    let (mut a, b) = two(&dir).await;
    // The new life takes the path while the old one still holds its links.
    let mut heir = Node::start(&dir, 1, 5);
    pump(&mut [&mut a, &mut heir], "the new life", |n| {
        n[0].ups(1, 5) == 1 && n[1].ups(0, 1) == 1
    })
    .await;
    assert_eq!(a.downs(1, 2), 1);
    drop(b);
    heir.send(0, 3);
    pump(&mut [&mut a, &mut heir], "its message", |n| {
        n[0].terms(1) == [3]
    })
    .await;
    assert_eq!(a.downs(1, 5), 0);
}

#[tokio::test]
async fn a_cut_link_is_made_again_with_the_same_life() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    for round in 1..=5 {
        a.mesh.mesh.cut(1);
        pump(&mut [&mut a, &mut b], "the second link", |n| {
            n[0].ups(1, 2) == 1 + round
        })
        .await;
        a.send(1, round as u64);
        b.send(0, round as u64);
        pump(&mut [&mut a, &mut b], "messages on it", |n| {
            n[1].terms(0).len() == round && n[0].terms(1).len() == round
        })
        .await;
    }
    assert_eq!((a.downs(1, 2), b.downs(0, 1)), (0, 0));
    assert_eq!(b.ups(0, 1), 1);
}

#[tokio::test]
async fn nothing_is_sent_on_a_link_before_its_owner_knows_of_it() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    a.mesh.mesh.cut(1);
    let made = async {
        while !a.mesh.mesh.is_standing(1) {
            a.mesh.flush();
            b.mesh.try_recv_many(&mut b.events, 16);
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, made).await.unwrap();
    a.send(1, 1);
    assert_eq!(a.mesh.try_recv_many(&mut a.events, 16), 1);
    assert_eq!(a.ups(1, 2), 2);
    a.send(1, 2);
    pump(&mut [&mut a, &mut b], "the message", |n| {
        !n[1].terms(0).is_empty()
    })
    .await;
    assert_eq!(b.terms(0), [2]);
}

#[tokio::test]
async fn a_newer_link_retires_the_older_one_with_its_unread_frames() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let mut a = Node::start(&dir, 0, 1);
    let mut first = greeting(&hello(1, 2, 1));
    first.extend(bytes_of(&election(1)));
    first.extend(bytes_of(&election(2)));
    let first = stranger(&dir, 0, &first);
    let one = async {
        while a.terms(1).is_empty() {
            puppet.serve();
            let some = a.mesh.recv_many(&mut a.events, 1);
            let _ = timeout(Duration::from_millis(1), some).await;
        }
    };
    timeout(PATIENCE, one).await.unwrap();

    let mut second = greeting(&hello(1, 2, 2));
    second.extend(bytes_of(&election(3)));
    let second = stranger(&dir, 0, &second);
    let admitted = async {
        while !is_closed(&first) {
            a.mesh.on_wire(|mesh, now, wire| mesh.only_admit(now, wire));
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, admitted).await.unwrap();
    pump_beside(&mut a, "the newer link's frame", |a| a.terms(1).len() == 2).await;
    assert_eq!(a.terms(1), [1, 3]);

    // Neither an older link nor an older life replaces it.
    for late in [hello(1, 2, 1), hello(1, 2, 2), hello(1, 1, 9)] {
        let late = stranger(&dir, 0, &greeting(&late));
        pump_beside(&mut a, "the refusal", |_| is_closed(&late)).await;
    }
    assert!(!is_closed(&second));
}

#[tokio::test]
async fn frames_wait_for_the_dial_back_and_the_link_closes_if_it_fails() {
    let dir = TempDir::new().unwrap();
    // The socket stays when its listener is gone.
    drop(Puppet::bind(&dir, 2));
    let mut a = Node::start(&dir, 0, 1);
    let mut bytes = greeting(&hello(1, 2, 1));
    bytes.extend(bytes_of(&election(1)));
    let alone = stranger(&dir, 0, &bytes);
    pump_beside(&mut a, "the end of it", |_| is_closed(&alone)).await;
    assert_eq!(a.events, []);
}

#[tokio::test]
async fn an_end_before_the_welcome_is_death() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let mut a = Node::start(&dir, 0, 1);
    pump_beside(&mut a, "the link", |a| {
        puppet.serve();
        a.ups(1, 2) == 1
    })
    .await;
    // It dies: the backlog takes one more connection, then ends it.
    puppet.accepted.clear();
    puppet.welcomes = false;
    pump_beside(&mut a, "the death", |a| {
        puppet.serve();
        a.downs(1, 2) == 1
    })
    .await;
    // The verdict was wrong: it lives, and the slow retry finds it.
    puppet.welcomes = true;
    pump_beside(&mut a, "the retry", |a| {
        puppet.serve();
        a.ups(1, 2) == 2
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_is_bound_but_never_dials_is_found_by_the_retry() {
    let dir = TempDir::new().unwrap();
    let mut a = Node::start(&dir, 0, 1);
    assert_eq!(a.mesh.try_recv_many(&mut a.events, 16), 0);
    let mut b = Node::quiet(&dir, 1, 2);
    pump(&mut [&mut a, &mut b], "both links", |n| {
        n[0].ups(1, 2) == 1 && n[1].ups(0, 1) == 1
    })
    .await;
    assert_eq!(a.events.len(), 1);
}

#[tokio::test]
async fn what_the_supervisor_calls_gone_is_down_once_and_for_good() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    a.mesh.peer_gone(NodeId(1), Incarnation(2));
    a.mesh.peer_gone(NodeId(1), Incarnation(2));
    a.mesh.peer_gone(NodeId(77), Incarnation(2));
    pump(&mut [&mut a, &mut b], "the end", |n| {
        n[0].downs(1, 2) == 1 && n[1].downs(0, 1) == 1
    })
    .await;
    let mut heir = Node::start(&dir, 1, 3);
    pump(&mut [&mut a, &mut b, &mut heir], "the next life", |n| {
        n[0].ups(1, 3) == 1 && n[2].ups(0, 1) == 1
    })
    .await;
    // Late news of the old life does not touch the new one.
    a.mesh.peer_gone(NodeId(1), Incarnation(2));
    heir.send(0, 4);
    pump(&mut [&mut a, &mut heir], "a message", |n| {
        n[0].terms(1) == [4]
    })
    .await;
    assert_eq!((a.downs(1, 2), a.downs(1, 3)), (1, 0));
    assert_eq!(a.ups(1, 2), 1);
}

#[tokio::test]
async fn strangers_are_shown_out_and_disturb_nobody() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    let told = a.events.len();
    let version = Hello {
        version: VERSION + 1,
        ..hello(2, 3, 1)
    };
    let strangers: Vec<_> = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        (MAX_FRAME as u32 + 1).to_be_bytes().to_vec(),
        (MAX_FRAME as u32).to_be_bytes().to_vec(),
        vec![0; 100],
        bytes_of(&election(1)),
        greeting(&version),
        greeting(&hello(0, 3, 1)),
        greeting(&hello(200, 3, 1)),
        Vec::new(),
    ]
    .iter()
    .map(|bytes| stranger(&dir, 0, bytes))
    .collect();
    pump_beside(&mut a, "the end of them all", |_| {
        strangers.iter().all(is_closed)
    })
    .await;
    assert_eq!(a.events.len(), told);
    b.send(0, 8);
    pump(&mut [&mut a, &mut b], "the message", |n| {
        n[0].terms(1) == [8]
    })
    .await;
}

#[tokio::test]
async fn a_bad_frame_closes_its_link_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let mut a = Node::start(&dir, 0, 1);
    let too_long = (MAX_FRAME as u32 + 1).to_be_bytes().to_vec();
    for (serial, bad) in [vec![0, 0, 0, 1, 0xc1], too_long, greeting(&hello(1, 2, 9))]
        .into_iter()
        .enumerate()
    {
        let serial = serial as u64 + 1;
        let mut bytes = greeting(&hello(1, 2, serial));
        bytes.extend(bytes_of(&election(serial)));
        bytes.extend(bad);
        let bad = stranger(&dir, 0, &bytes);
        pump_beside(&mut a, "the end of the link", |_| {
            puppet.serve();
            is_closed(&bad)
        })
        .await;
    }
    assert_eq!(a.terms(1), [1, 2, 3]);
    assert_eq!((a.ups(1, 2), a.downs(1, 2)), (1, 0));
    assert!(!is_closed(&puppet.accepted[0]));
}

#[tokio::test]
async fn a_long_value_arrives_whole_while_heartbeats_go_between_its_pieces() {
    let dir = TempDir::new().unwrap();
    let (mut a, mut b) = two(&dir).await;
    let long = sized(100_000_000);
    a.mesh.send(&[NodeId(1)], &long);
    let arrived = |node: &Node| {
        node.events
            .iter()
            .position(|event| matches!(event, Event::Received { message, .. } if *message == long))
    };
    let count = |events: &[Event], wanted: fn(&Event) -> bool| {
        events.iter().filter(|event| wanted(event)).count()
    };
    let mut finished = None;
    let wait = async {
        while finished.is_none() {
            a.mesh
                .send(&[NodeId(1)], &Message::Heartbeat { epoch: Epoch::NONE });
            a.mesh.try_recv_many(&mut a.events, 16);
            if b.mesh.try_recv_many(&mut b.events, 16) > 0 {
                finished = arrived(&b);
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
    let before = &b.events[..finished.unwrap()];
    let heartbeats = count(before, |event| {
        matches!(
            event,
            Event::Received {
                message: Message::Heartbeat { .. },
                ..
            }
        )
    });
    let alive = count(before, |event| matches!(event, Event::Alive { .. }));
    assert!(heartbeats >= 20, "{heartbeats}");
    assert!(alive >= 20, "{alive}");
    b.check_order();
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_is_cut_off_and_blocks_nobody() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let (mut a, mut c) = (Node::start(&dir, 0, 1), Node::start(&dir, 2, 3));
    pump_beside(&mut a, "the link", |a| {
        puppet.serve();
        c.mesh.try_recv_many(&mut c.events, 16);
        a.ups(1, 2) == 1 && a.ups(2, 3) == 1
    })
    .await;
    let stuck = puppet.accepted.pop().unwrap();
    // The burst takes no time, however slow the machine.
    tokio::time::pause();
    let message = sized(MAX_FRAME / 2);
    for _ in 0..132 {
        a.mesh.send(&[NodeId(1)], &message);
    }
    // Nothing is dropped for a burst alone; another peer is served meanwhile.
    a.send(2, 6);
    pump(&mut [&mut a, &mut c], "the other's message", |n| {
        n[1].terms(0) == [6]
    })
    .await;
    assert!(a.mesh.mesh.is_standing(1));
    let since = Instant::now();
    pump_beside(&mut a, "the cut", |a| !a.mesh.mesh.is_standing(1)).await;
    assert!(since.elapsed() < STALL_LIMIT / 2);
    // It is dialled again: a new link, and what was queued is gone.
    pump_beside(&mut a, "the new link", |a| {
        puppet.serve();
        a.ups(1, 2) == 2
    })
    .await;
    assert_eq!(a.downs(1, 2), 0);
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn five_seconds_without_progress_are_the_end() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let mut a = Node::start(&dir, 0, 1);
    pump_beside(&mut a, "the link", |a| {
        puppet.serve();
        a.ups(1, 2) == 1
    })
    .await;
    a.mesh.send(&[NodeId(1)], &sized(MAX_FRAME));
    a.mesh.flush();
    let since = Instant::now();
    pump_beside(&mut a, "the cut", |a| !a.mesh.mesh.is_standing(1)).await;
    let after = since.elapsed();
    assert!(after >= STALL_LIMIT, "{after:?}");
    assert!(after < STALL_LIMIT + 2 * TICK, "{after:?}");
}

#[tokio::test]
async fn a_node_that_was_away_blames_nobody() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let mut a = Node::start(&dir, 0, 1);
    pump_beside(&mut a, "the link", |a| {
        puppet.serve();
        a.ups(1, 2) == 1
    })
    .await;
    a.mesh.send(&[NodeId(1)], &sized(MAX_FRAME));
    a.mesh.flush();
    tokio::time::pause();
    tokio::time::advance(2 * STALL_LIMIT).await;
    a.mesh.try_recv_many(&mut a.events, 16);
    assert!(a.mesh.mesh.is_standing(1));
}

#[tokio::test]
async fn what_cannot_be_bound_is_told() {
    let dir = TempDir::new().unwrap();
    let config = |run_dir: PathBuf, id| MeshConfig {
        run_dir,
        nodes: 4,
        id: NodeId(id),
        incarnation: Incarnation(1),
    };
    let long = dir.path().join("d".repeat(100));
    let error = UnixMesh::bind(config(long, 0)).unwrap_err();
    assert!(
        error.to_string().contains("give a shorter --run-dir"),
        "{error}"
    );
    let error = UnixMesh::bind(config(dir.path().to_owned(), 4)).unwrap_err();
    assert!(matches!(error, MeshError::NoSuchNode { .. }));
    std::fs::write(socket_path(dir.path(), NodeId(2)), "mine").unwrap();
    let error = UnixMesh::bind(config(dir.path().to_owned(), 2)).unwrap_err();
    assert!(matches!(error, MeshError::Bind { .. }));
    assert!(UnixMesh::bind(config(dir.path().join("absent"), 0)).is_err());

    let left = Node::start(&dir, 0, 1);
    drop(left);
    assert!(socket_path(dir.path(), NodeId(0)).exists());
    let _again = Node::start(&dir, 0, 2);
}

/// Frames of a mesh are what the decoder of the codec reads.
#[tokio::test]
async fn a_puppet_reads_what_a_mesh_sends() {
    let dir = TempDir::new().unwrap();
    let mut puppet = Puppet::bind(&dir, 2);
    let mut a = Node::start(&dir, 0, 1);
    pump_beside(&mut a, "the link", |a| {
        puppet.serve();
        a.ups(1, 2) == 1
    })
    .await;
    let sent = sized(3 * MAX_FRAME);
    a.mesh.send(&[NodeId(1)], &sent);
    let mut decoder = Decoder::default();
    let mut got = Vec::new();
    pump_beside(&mut a, "the message", |_| {
        let mut buffer = vec![0; 1 << 20];
        if let Ok(n) = puppet.accepted[0].read(&mut buffer) {
            decoder.push(&buffer[..n]);
        }
        while let Some(incoming) = decoder.decode().unwrap() {
            got.push(incoming);
        }
        matches!(got.last(), Some(Incoming::Message(_)))
    })
    .await;
    assert!(matches!(got[0], Incoming::Hello(Hello { serial: 1, .. })));
    assert!(got.pop() == Some(Incoming::Message(sent)));
}

#[tokio::test]
async fn a_missing_path_is_no_death_and_binding_again_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = two(&dir).await;
    let path = socket_path(dir.path(), NodeId(1));
    std::fs::remove_file(&path).unwrap();
    // Both of its links with the other have to be made anew.
    a.mesh.mesh.cut(1);
    b.mesh.mesh.cut(0);
    pump(&mut [&mut a, &mut b], "the other way is found", |nodes| {
        nodes[1].ups(0, 1) == 2
    })
    .await;
    // It dials again though nobody has told it to.
    b.mesh.bind_again().unwrap();
    pump(&mut [&mut a, &mut b], "it is found again", |nodes| {
        nodes[0].ups(1, 2) == 2
    })
    .await;
    assert_eq!((a.downs(1, 2), b.downs(0, 1)), (0, 0));
    a.send(1, 7);
    b.send(0, 8);
    pump(&mut [&mut a, &mut b], "both are heard", |nodes| {
        nodes[1].terms(0) == [7] && nodes[0].terms(1) == [8]
    })
    .await;
}

#[tokio::test]
async fn who_knocks_while_the_socket_is_bound_again_is_not_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut a = Node::quiet(&dir, 0, 1);
    let early = stranger(&dir, 0, &greeting(&hello(1, 2, 1)));
    a.mesh.bind_again().unwrap();
    let late = stranger(&dir, 0, &greeting(&hello(2, 3, 1)));
    for knocked in [early, late] {
        let mut welcome = [0; 64];
        pump_beside(&mut a, "it is welcomed", |_| {
            match (&knocked).read(&mut welcome) {
                Ok(length) => {
                    assert!(length > 0, "it was turned away");
                    true
                }
                Err(_) => false,
            }
        })
        .await;
    }
}
