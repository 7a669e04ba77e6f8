//! The event log that the processes of a run would have written: what each line tells, what the clock said
//! before it was written, and when it was written.
//!
//! A process may be kept from going on at any point, so also between what it did and its look at the clock,
//! and between that and its write. An *interleaving* decides where that happens and for how long; in
//! interleaving 0 it never does, and the run is the one of its seed. Nothing is made up afterwards: who is
//! kept from writing does meanwhile nothing else of what comes after the line.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::event::Action;
use protocol::id::Term;
use protocol::status::RoleName;
use protocol::time::Time;
use protocol::trace::Trace;
use serde::Serialize;

use crate::chance::{Chance, Span};
use crate::fact::Life;

/// How long processes are kept from going on.
const DELAYS: [Span; 3] = [
    Span::us(5, 2_000_000),
    Span::us(1_000, 50_000),
    Span::us(100_000, 2_000_000),
];

/// What the supervisor writes of a process, as it does in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Fate {
    /// It was started.
    NodeSpawned,
    /// It ended, by a signal or with an exit code.
    NodeExited {
        /// The signal's name.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<&'static str>,
        /// The exit code.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// A signal stopped it.
    NodeStopped,
    /// It runs again after a stop.
    NodeContinued,
}

impl Fate {
    /// An end by a signal.
    pub(crate) fn signal(name: &'static str) -> Fate {
        Fate::NodeExited {
            signal: Some(name),
            code: None,
        }
    }

    /// An end of its own accord.
    pub(crate) const LEFT: Fate = Fate::NodeExited {
        signal: None,
        code: Some(0),
    };
}

/// What is told in one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// By a node of itself: a line each.
    ByNode(Vec<Trace>),
    /// By the supervisor of a node.
    BySupervisor(Fate),
}

/// One write to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// When it stands in the file.
    pub written: Time,
    /// What the clock said just before.
    pub clock: Time,
    /// Of whom it tells.
    pub life: Life,
    /// The highest term that the writer knew.
    pub term: Term,
    /// What the node did; none where the supervisor writes.
    pub role: Option<RoleName>,
    /// What it tells.
    pub told: Told,
}

/// What a node is about to write.
#[derive(Clone, Debug)]
pub(crate) struct Unwritten {
    pub(crate) clock: Option<Time>,
    /// It was decided whether it waits where it is.
    pub(crate) has_waited: bool,
    pub(crate) role: RoleName,
    pub(crate) term: Term,
    pub(crate) traces: Vec<Trace>,
}

/// All writes of a run, and what keeps processes from theirs.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    on: bool,
    delays: Option<Delays>,
    writes: Vec<Write>,
    /// The last clock of each node.
    clocks: BTreeMap<Life, Time>,
    /// How the processes end, where it is not by SIGKILL.
    ends: BTreeMap<Life, Fate>,
    /// The supervisor does nothing before.
    pub(crate) supervisor_waits: Time,
    /// When the cluster was asked to stop.
    pub(crate) asked_to_end: Time,
}

#[derive(Debug)]
struct Delays {
    chance: Chance,
    /// In so many of a thousand places.
    permille: u32,
    span: Span,
    count: usize,
}

/// What keeps a node from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// The write itself is slow: threads and links go on.
    SlowWrite,
    /// It gets no processor time; nobody is told.
    Stall,
    /// SIGSTOP, and SIGCONT later.
    Stop,
}

impl EventLog {
    /// A log that is kept, in one of its interleavings.
    pub(crate) fn new(seed: u64, interleaving: u64) -> EventLog {
        let delays = (interleaving > 0).then(|| {
            let mut chance = Chance::new(seed ^ interleaving.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            Delays {
                permille: chance.pick(&[10, 30, 100]),
                span: chance.pick(&DELAYS),
                chance,
                count: 0,
            }
        });
        EventLog {
            on: true,
            delays,
            ..EventLog::default()
        }
    }

    /// The writes that the traces of a step make: a process writes at once what it tells in one role and
    /// term.
    pub(crate) fn of_step(&self, actions: &[Action]) -> Vec<Unwritten> {
        let mut writes: Vec<Unwritten> = Vec::new();
        for action in actions.iter().filter(|_| self.on) {
            let Action::Trace { role, term, trace } = action else {
                continue;
            };
            match writes.last_mut() {
                Some(last) if (last.role, last.term) == (*role, *term) => {
                    last.traces.push(trace.clone());
                }
                _ => writes.push(Unwritten {
                    clock: None,
                    has_waited: false,
                    role: *role,
                    term: *term,
                    traces: vec![trace.clone()],
                }),
            }
        }
        writes
    }

    /// A node has written.
    pub(crate) fn add(&mut self, life: Life, written: Time, write: Unwritten) {
        // Virtual time stands still within a turn. A clock goes on between two looks at it.
        let last = self.clocks.entry(life).or_insert(Time(0));
        let clock = write.clock.unwrap_or(written).max(Time(last.0 + 1));
        *last = clock;
        self.writes.push(Write {
            written: written.max(clock),
            clock,
            life,
            term: write.term,
            role: Some(write.role),
            told: Told::ByNode(write.traces),
        });
    }

    /// The supervisor writes. It may be kept from it, and from all that it does later.
    pub(crate) fn tell(&mut self, now: Time, life: Life, term: Term, fate: Fate) {
        if !self.on {
            return;
        }
        let now = now.max(self.supervisor_waits);
        let (before, after) = (self.pause(), self.pause());
        let clock = now + before;
        let written = clock + after;
        self.supervisor_waits = written;
        self.writes.push(Write {
            written,
            clock,
            life,
            term,
            role: None,
            told: Told::BySupervisor(fate),
        });
    }

    fn pause(&mut self) -> Duration {
        self.delay().map_or(Duration::ZERO, |(_, length)| length)
    }

    /// Whether processes may be kept from going on.
    pub(crate) fn delays(&self) -> bool {
        self.delays.is_some()
    }

    /// Whether a process is kept from going on at a point, by what, and for how long.
    pub(crate) fn delay(&mut self) -> Option<(Hindrance, Duration)> {
        let delays = self.delays.as_mut()?;
        if !delays.chance.permille(delays.permille) {
            return None;
        }
        delays.count += 1;
        let kinds = [Hindrance::SlowWrite, Hindrance::Stall, Hindrance::Stop];
        let kind = delays.chance.pick(&kinds);
        Some((kind, delays.chance.duration(delays.span)))
    }

    /// Nobody is kept from going on any more; tells how often it happened.
    pub(crate) fn calm(&mut self) -> usize {
        self.delays.take().map_or(0, |delays| delays.count)
    }

    /// What will end a process, unless that is known.
    pub(crate) fn ends_by(&mut self, life: Life, fate: Fate) {
        self.ends.entry(life).or_insert(fate);
    }

    /// What ended a process.
    pub(crate) fn end_of(&self, life: Life) -> Fate {
        let known = self.ends.get(&life).copied();
        known.unwrap_or(Fate::signal("SIGKILL"))
    }

    /// All writes, in the order of the file.
    pub(crate) fn into_writes(self) -> Vec<Write> {
        let mut writes = self.writes;
        writes.sort_by_key(|write| write.written);
        writes
    }
}
