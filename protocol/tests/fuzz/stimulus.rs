//! What a node is told. A stimulus is resolved against the node's state when its turn comes, so that
//! most of what is said is of the present, and some of it is not.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseResult;
use protocol::config::{Config, Preemption};
use protocol::event::{Action, ChildState, Event};
use protocol::file::{FileReply, FileTag};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Message, Product, Update};
use protocol::node::Node;
use protocol::plan::{Method, OperationId, Shape};
use protocol::time::Time;
use protocol::timer::Timer;

use super::anything;
use super::invariants::Invariants;

/// Something that a node is told, or that happens to it.
#[derive(Clone, Debug)]
pub(crate) enum Stimulus {
    Start,
    Stopping,
    LinkUp(NodeId, Incarnation, EpochOf),
    LinkDown(NodeId, Incarnation),
    Hint(NodeId, Incarnation, ChildState),
    Said(NodeId, LifeOf, Saying),
    Alive(NodeId, LifeOf),
    /// The arithmetic finishes what it was asked for first.
    Computed,
    /// The arithmetic says something that it was not asked for.
    Unasked(Vec<Product>),
    /// A file call ends, of those that were made.
    FileDone(Index, FileReply),
    /// A file call ends that was never made.
    StrayFile(EpochOf, FileTag, FileReply),
    InboxChanged,
    FilesSlow,
    FilesAnswer,
    WasStopped,
    /// A timer fires that is armed.
    Due(Index),
    /// A timer fires, armed or not.
    Stray(Timer),
    /// Nothing happens for a while.
    Wait(Duration),
}

/// Whose life, of the one that speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LifeOf {
    /// The last that has linked.
    Present,
    Any(Incarnation),
}

/// Which epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EpochOf {
    /// The highest that the node knows.
    Highest,
    /// One that the speaker owns, so much above the highest term that the node knows.
    Speaker(u64),
    Any(Epoch),
}

/// A message, its epoch still to be resolved.
#[derive(Clone, Debug)]
pub(crate) enum Saying {
    Election(EpochOf, bool),
    Answer(EpochOf, bool),
    Following(EpochOf),
    Collect(EpochOf),
    Promise(EpochOf, Inventory),
    Pull(EpochOf, Vec<OperationId>),
    Victory(EpochOf),
    Stale(EpochOf),
    Heartbeat(EpochOf),
    Pulse(EpochOf, bool),
    Assign(EpochOf, Vec<OperationId>),
    Missing(EpochOf, Vec<OperationId>),
    Products(Vec<Product>),
    Checkpoint(EpochOf, Update),
}

/// Prime powers, and parts of each step.
const POWERS: Shape = Shape {
    method: Method::Powers,
    least_blocks: 1,
    cut_from: 0,
};

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let preemption = select(vec![
        Preemption::Graceful,
        Preemption::Immediate,
        Preemption::Never,
    ]);
    (
        2..=4_u8,
        preemption,
        any::<bool>(),
        1..4_u32,
        select(vec![1, 256]),
        select(vec![Shape::default(), POWERS]),
    )
        .prop_map(
            |(nodes, preemption, delayed, attempts, window, shape)| Config {
                shape,
                nodes,
                preemption,
                delay: Duration::from_millis(if delayed { 10 } else { 0 }),
                attempts,
                window,
                max_n: anything::MAX_N,
                trace_operations: true,
                ..Config::default()
            },
        )
}

fn epoch() -> impl Strategy<Value = EpochOf> {
    prop_oneof![
        4 => Just(EpochOf::Highest),
        2 => (0..2_u64).prop_map(EpochOf::Speaker),
        1 => anything::epoch().prop_map(EpochOf::Any),
    ]
}

fn life() -> impl Strategy<Value = LifeOf> {
    prop_oneof![
        9 => Just(LifeOf::Present),
        1 => anything::incarnation().prop_map(LifeOf::Any),
    ]
}

fn saying() -> impl Strategy<Value = Saying> {
    prop_oneof![
        1 => (epoch(), any::<bool>()).prop_map(|(of, hangs)| Saying::Election(of, hangs)),
        1 => (epoch(), any::<bool>()).prop_map(|(of, hangs)| Saying::Answer(of, hangs)),
        1 => epoch().prop_map(Saying::Following),
        1 => epoch().prop_map(Saying::Collect),
        3 => (epoch(), anything::inventory()).prop_map(|(of, has)| Saying::Promise(of, has)),
        1 => (epoch(), anything::operations()).prop_map(|(of, ids)| Saying::Pull(of, ids)),
        1 => epoch().prop_map(Saying::Victory),
        1 => epoch().prop_map(Saying::Stale),
        1 => epoch().prop_map(Saying::Heartbeat),
        1 => (epoch(), any::<bool>()).prop_map(|(of, hangs)| Saying::Pulse(of, hangs)),
        2 => (epoch(), anything::operations()).prop_map(|(of, ids)| Saying::Assign(of, ids)),
        1 => (epoch(), anything::operations()).prop_map(|(of, ids)| Saying::Missing(of, ids)),
        2 => anything::products().prop_map(Saying::Products),
        2 => (epoch(), anything::update()).prop_map(|(of, update)| Saying::Checkpoint(of, update)),
    ]
}

pub(crate) fn stimulus() -> impl Strategy<Value = Stimulus> {
    let wait = (0..3_000_u64).prop_map(Duration::from_millis);
    let tag = prop_oneof![
        anything::folder().prop_map(FileTag::Folder),
        anything::path().prop_map(|path| FileTag::Dropped(path.name)),
        (0..4_u64).prop_map(FileTag::Job),
        Just(FileTag::Sync),
        Just(FileTag::Sweep),
    ];
    prop_oneof![
        1 => Just(Stimulus::Start),
        5 => (anything::node(), anything::incarnation(), epoch())
            .prop_map(|(peer, life, of)| Stimulus::LinkUp(peer, life, of)),
        2 => (anything::node(), anything::incarnation())
            .prop_map(|(peer, life)| Stimulus::LinkDown(peer, life)),
        2 => (anything::node(), anything::incarnation(), anything::state())
            .prop_map(|(peer, life, state)| Stimulus::Hint(peer, life, state)),
        16 => (anything::node(), life(), saying())
            .prop_map(|(from, life, saying)| Stimulus::Said(from, life, saying)),
        1 => (anything::node(), life()).prop_map(|(from, life)| Stimulus::Alive(from, life)),
        2 => Just(Stimulus::Computed),
        1 => anything::products().prop_map(Stimulus::Unasked),
        12 => (any::<Index>(), anything::reply())
            .prop_map(|(which, reply)| Stimulus::FileDone(which, reply)),
        1 => (epoch(), tag, anything::reply())
            .prop_map(|(of, tag, reply)| Stimulus::StrayFile(of, tag, reply)),
        1 => Just(Stimulus::InboxChanged),
        1 => select(vec![Stimulus::FilesSlow, Stimulus::FilesAnswer, Stimulus::WasStopped]),
        5 => any::<Index>().prop_map(Stimulus::Due),
        1 => anything::timer().prop_map(Stimulus::Stray),
        2 => wait.prop_map(Stimulus::Wait),
        1 => prop_oneof![9 => Just(Stimulus::InboxChanged), 1 => Just(Stimulus::Stopping)],
    ]
}

/// Tells a node all of it, and checks after every step what must hold.
pub(crate) fn run(config: &Config, id: u8, stimuli: &[Stimulus]) -> TestCaseResult {
    let id = NodeId(id % config.nodes);
    let mut subject = Subject {
        node: Node::new(config.clone(), id, Incarnation(100), Term(0)),
        id,
        now: Time(1),
        lives: vec![Incarnation(0); usize::from(u8::MAX) + 1],
        computing: Vec::new(),
        calls: Vec::new(),
        invariants: Invariants::new(id, Incarnation(100), config.nodes),
    };
    // Most of what can be said means something to a cluster that is linked and started only.
    for peer in (0..config.nodes).map(NodeId).filter(|&peer| peer != id) {
        let linked = Stimulus::LinkUp(peer, Incarnation(1), EpochOf::Any(Epoch::NONE));
        subject.tell(&linked)?;
    }
    subject.tell(&Stimulus::Start)?;
    for stimulus in stimuli {
        subject.tell(stimulus)?;
    }
    subject.invariants.end(&subject.node)
}

/// A node, and what surrounds it.
struct Subject {
    node: Node,
    id: NodeId,
    now: Time,
    /// By static ID: the life that has linked last.
    lives: Vec<Incarnation>,
    computing: Vec<OperationId>,
    calls: Vec<(Epoch, FileTag)>,
    invariants: Invariants,
}

impl Subject {
    fn tell(&mut self, stimulus: &Stimulus) -> TestCaseResult {
        self.now = self.now + Duration::from_micros(10);
        let Some(event) = self.resolve(stimulus) else {
            return Ok(());
        };
        let before = self.node.clone();
        let actions = self.node.step(self.now, event.clone());
        for action in &actions {
            match action {
                Action::Compute { operation, .. } => self.computing.push(*operation),
                Action::CancelCompute => self.computing.truncate(1),
                Action::File { epoch, tag, .. } => self.calls.push((*epoch, tag.clone())),
                _ => {}
            }
        }
        self.invariants.check(&before, &event, &self.node, &actions)
    }

    fn resolve(&mut self, stimulus: &Stimulus) -> Option<Event> {
        Some(match stimulus.clone() {
            Stimulus::Start => Event::Start,
            Stimulus::Stopping => Event::Stopping,
            Stimulus::LinkUp(peer, incarnation, highest) => {
                self.lives[usize::from(peer.0)] = incarnation;
                Event::LinkUp {
                    peer,
                    incarnation,
                    highest: self.epoch(highest, peer),
                }
            }
            Stimulus::LinkDown(peer, incarnation) => Event::LinkDown { peer, incarnation },
            Stimulus::Hint(peer, incarnation, state) => Event::Hint {
                peer,
                incarnation,
                state,
            },
            Stimulus::Said(from, life, saying) => Event::Received {
                from,
                incarnation: self.life(life, from),
                message: self.message(saying, from),
            },
            Stimulus::Alive(from, life) => Event::Alive {
                from,
                incarnation: self.life(life, from),
            },
            Stimulus::Computed => {
                if self.computing.is_empty() {
                    return None;
                }
                let products = vec![Product {
                    operation: self.computing.remove(0),
                    value: b"1".to_vec().into(),
                }];
                Event::Computed { products }
            }
            Stimulus::Unasked(products) => Event::Computed { products },
            Stimulus::FileDone(which, reply) => {
                if self.calls.is_empty() {
                    return None;
                }
                let (epoch, tag) = self.calls.remove(which.index(self.calls.len()));
                Event::FileDone { epoch, tag, reply }
            }
            Stimulus::StrayFile(epoch, tag, reply) => Event::FileDone {
                epoch: self.epoch(epoch, self.id),
                tag,
                reply,
            },
            Stimulus::InboxChanged => Event::InboxChanged,
            Stimulus::FilesSlow => Event::FilesSlow {
                lasts: Duration::from_secs(3),
            },
            Stimulus::FilesAnswer => Event::FilesAnswer,
            Stimulus::WasStopped => Event::WasStopped,
            Stimulus::Due(which) => {
                let armed: Vec<Timer> = self.node.armed_timers().collect();
                if armed.is_empty() {
                    return None;
                }
                Event::Timeout(*which.get(&armed))
            }
            Stimulus::Stray(timer) => Event::Timeout(timer),
            Stimulus::Wait(duration) => {
                self.now = self.now + duration;
                return None;
            }
        })
    }

    fn life(&self, life: LifeOf, of: NodeId) -> Incarnation {
        match life {
            LifeOf::Present => self.lives[usize::from(of.0)],
            LifeOf::Any(incarnation) => incarnation,
        }
    }

    fn epoch(&self, epoch: EpochOf, speaker: NodeId) -> Epoch {
        let highest = self.node.highest();
        match epoch {
            EpochOf::Highest => highest,
            EpochOf::Speaker(above) => Epoch {
                term: Term(highest.term.0 + above),
                node: speaker,
                incarnation: self.lives[usize::from(speaker.0)],
            },
            EpochOf::Any(epoch) => epoch,
        }
    }

    fn message(&self, saying: Saying, from: NodeId) -> Message {
        let epoch = |of: EpochOf| self.epoch(of, from);
        match saying {
            Saying::Election(of, hangs) => Message::Election {
                highest: epoch(of),
                hangs,
            },
            Saying::Answer(of, hangs) => Message::Answer {
                highest: epoch(of),
                hangs,
            },
            Saying::Following(of) => Message::Following { epoch: epoch(of) },
            Saying::Collect(of) => Message::Collect { epoch: epoch(of) },
            Saying::Promise(of, inventory) => Message::Promise {
                epoch: epoch(of),
                inventory,
            },
            Saying::Pull(of, operations) => Message::Pull {
                epoch: epoch(of),
                operations,
            },
            Saying::Victory(of) => Message::Victory { epoch: epoch(of) },
            Saying::Stale(of) => Message::Stale { highest: epoch(of) },
            Saying::Heartbeat(of) => Message::Heartbeat { epoch: epoch(of) },
            Saying::Pulse(of, hangs) => Message::Pulse {
                epoch: epoch(of),
                hangs,
            },
            Saying::Assign(of, operations) => Message::Assign {
                epoch: epoch(of),
                operations,
            },
            Saying::Missing(of, operations) => Message::Missing {
                epoch: epoch(of),
                operations,
            },
            Saying::Products(products) => Message::Products { products },
            Saying::Checkpoint(of, update) => Message::Checkpoint {
                epoch: epoch(of),
                update,
            },
        }
    }
}
