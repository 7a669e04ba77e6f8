//! A process of a node: the real `Node`, and models of what its driver has beside it.

use std::collections::VecDeque;

use ipc::control::ToNode;
use ipc::mesh::{Mesh, Sizes};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::id::Term;
use protocol::message::Product;
use protocol::node::Node;
use protocol::time::Time;

use crate::arithmetic::Arithmetic;
use crate::event_log::Unwritten;
use crate::fact::Life;
use crate::file_thread::FileThread;
use crate::network::Socket;
use crate::supervisor::Report;
use crate::wire::Awaited;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    pub(crate) node: Node,
    pub(crate) mesh: Mesh<Socket>,
    /// What its sockets wake it for.
    pub(crate) awaited: Awaited,
    pub(crate) arithmetic: Arithmetic,
    pub(crate) files: FileThread,
    /// What the supervisor has sent, with the moment from which it can be read.
    pub(crate) control: VecDeque<(Time, ToNode)>,
    pub(crate) computed: VecDeque<(Time, Vec<Product>)>,
    /// Of the file thread and of syncs, in the order of time.
    pub(crate) replies: VecDeque<(Time, Event)>,
    /// When the file thread's own last reply arrives.
    pub(crate) last_reply: Time,
    /// Read from the links and not handled: this node was stopped in between.
    pub(crate) mail: VecDeque<Event>,
    /// Wanted by the last step and not done: this node was stopped in between.
    pub(crate) todo: VecDeque<Action>,
    /// Told by the last step and not on record.
    pub(crate) unwritten: VecDeque<Unwritten>,
    /// A write to the event log takes until then.
    pub(crate) writes_until: Time,
    /// The peer to whose socket the last flush got; 0 where it got to its end.
    pub(crate) flushed: u8,
    /// Its socket is bound: peers can reach it.
    pub(crate) bound: bool,
    pub(crate) born: Time,
    /// A signal stopped it.
    pub(crate) stopped: bool,
    /// It has run without a break since then.
    pub(crate) runs_since: Time,
    /// It gets no processor time before.
    pub(crate) stalled_until: Time,
    /// What its threads would have done while they stood still.
    pub(crate) held_up: Vec<Held>,
    pub(crate) interrupt: Option<Interrupt>,
    /// A signal stops it when it has decided on a commit, and has not made it.
    pub(crate) stops_at_commit: bool,
    /// When it will be woken; `Time(u64::MAX)` for never.
    pub(crate) wake_at: Time,
    pub(crate) reported: Option<Report>,
    /// When the supervisor has read its last report.
    pub(crate) last_report: Time,
}

/// A thread's next doing, put off until the process goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Arithmetic,
    File,
}

/// A signal that will hit the process after so many more of its actions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupt {
    pub(crate) after: usize,
    pub(crate) kills: bool,
}

/// What keeps a process from the rest of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// A signal ends it.
    Killed,
    /// A signal stops it.
    Stopped,
    /// It is held up; nobody is told.
    Held,
}

impl Process {
    pub(crate) fn new(
        config: &Config,
        sizes: Sizes,
        life: Life,
        term: Term,
        crashes: u32,
        now: Time,
    ) -> Process {
        let Life { node, incarnation } = life;
        Process {
            life,
            node: Node::new(config.clone(), node, incarnation, term).after_crashes(crashes),
            mesh: Mesh::new(config.nodes, node, incarnation, sizes, now),
            awaited: Awaited::default(),
            arithmetic: Arithmetic::default(),
            files: FileThread::default(),
            control: VecDeque::new(),
            computed: VecDeque::new(),
            replies: VecDeque::new(),
            last_reply: now,
            mail: VecDeque::new(),
            todo: VecDeque::new(),
            unwritten: VecDeque::new(),
            writes_until: Time(0),
            flushed: 0,
            bound: false,
            born: now,
            stopped: false,
            runs_since: now,
            stalled_until: Time(0),
            held_up: Vec::new(),
            interrupt: None,
            stops_at_commit: false,
            wake_at: Time(u64::MAX),
            reported: None,
            last_report: now,
        }
    }

    /// Counts one action towards an interrupt.
    pub(crate) fn pass(&mut self) -> Result<(), Interrupted> {
        match &mut self.interrupt {
            None => Ok(()),
            Some(interrupt) if interrupt.after > 0 => {
                interrupt.after -= 1;
                Ok(())
            }
            Some(interrupt) => {
                let kills = interrupt.kills;
                self.interrupt = None;
                Err(match kills {
                    true => Interrupted::Killed,
                    false => Interrupted::Stopped,
                })
            }
        }
    }

    /// Whether its threads run.
    pub(crate) fn runs(&self, now: Time) -> bool {
        !self.stopped && self.stalled_until <= now
    }

    /// Whether a turn was cut short.
    pub(crate) fn is_midway(&self) -> bool {
        !self.todo.is_empty()
            || !self.unwritten.is_empty()
            || !self.mail.is_empty()
            || self.flushed > 0
    }
}
