//! A whole cluster in one thread: processes, sockets, supervisor and jobs directory, in virtual
//! time.
//!
//! ```text
//!      agenda ──▶ what is due next ──▶ a process's turn ──▶ Node::step ──▶ checkers
//!        ▲            │                     │                  │
//!        │            ├─▶ a file call ──────┤              actions: send, compute, file …
//!        │            ├─▶ arithmetic done ──┤                  │
//!        │            └─▶ supervisor        ▼                  ▼
//!        └───────────────────────── network, directory, threads
//! ```

mod life;
mod schedule;
mod telling;
mod threads;
mod turn;
mod writing;

use std::collections::BTreeMap;
use std::time::Duration;

use ipc::mesh::Sizes;
use protocol::config::Config;
use protocol::file::{FilePath, Folder};
use protocol::id::{Incarnation, NodeId};
use protocol::node::Node;
use protocol::supervision::START_AFTER;
use protocol::time::Time;

use crate::agenda::Agenda;
use crate::chance::{Chance, Span};
use crate::checkers::{Checkers, Violation};
use crate::directory::{Change, Directory, File, Mount};
use crate::event_log::EventLog;
use crate::fact::{Fact, Life};
use crate::network::Network;
use crate::process::Process;
use crate::reached::Reached;
use crate::record::{Lane, Record};
use crate::supervisor::{Report, Supervisor};
use crate::wire::{Awaited, Rouse, SimulatedWire};

/// What surrounds the nodes: how long things take, what the machine offers.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Bytes on a link.
    pub latency: Span,
    /// A process that has something to do until it does it.
    pub scheduling: Span,
    /// One operation.
    pub computing: Span,
    /// One file call, between the look at the fence and its end.
    pub file_call: Span,
    /// A process from its start until its socket is bound.
    pub start_up: Span,
    /// The supervisor, until it sees a child's end, or until a node reads what it says.
    pub supervision: Span,
    /// Whether the supervisor gives hints.
    pub hints: bool,
    /// Bytes that a socket holds.
    pub socket_room: usize,
    /// By what links go.
    pub sizes: Sizes,
    /// The file system of the jobs directory.
    pub mount: Mount,
    /// Whoever is killed is killed for want of memory.
    pub memory_kills: bool,
    /// A process that ended is started again without a delay, however often it ends.
    pub restarts_at_once: bool,
}

/// The cluster.
pub struct Cluster {
    pub(crate) config: Config,
    pub(crate) surroundings: Surroundings,
    pub(crate) now: Time,
    pub(crate) steps: u64,
    pub(crate) chance: Chance,
    pub(crate) processes: Vec<Option<Process>>,
    pub(crate) network: Network,
    pub(crate) directory: Directory,
    pub(crate) supervisor: Supervisor,
    pub(crate) record: Record,
    pub(crate) event_log: EventLog,
    pub(crate) checkers: Checkers,
    pub(crate) reached: Reached,
    /// The file system answers nobody until then.
    pub(crate) disk_hangs_until: Time,
    /// What the nodes wrote to standard output.
    pub(crate) lines: Vec<String>,
    /// Jobs whose texts a person took away, and where they had ended.
    pub(crate) collected: BTreeMap<usize, Folder>,
    agenda: Agenda<Happening>,
    roused: Vec<Rouse>,
    changes: Vec<Change>,
}

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    /// A process has something to do.
    Wake(NodeId),
    /// The arithmetic of a process has finished what it was at.
    Arithmetic(Life),
    /// The file thread of a process makes the call that it has decided on.
    File(Life),
    /// The supervisor sees that a process ended, which lived for so long.
    Reap(Life, Duration),
    /// The supervisor sees that a process was stopped, or goes on.
    Signalled(Life),
    /// The supervisor starts a process.
    Spawn(NodeId),
    /// A process has bound its socket.
    Bind(Life),
    /// SIGTERM ends a process, since the cluster stops.
    Terminate(Life),
    /// A process has not answered for so long that the supervisor ends it, if it runs.
    Watchdog(Life),
    /// The supervisor tells the nodes what they are owed.
    Tell,
    /// The supervisor reads a node's report.
    Report(Life, Report),
    /// The supervisor hears that something may have been dropped.
    Dropped,
    /// A process that was kept from writing to the event log goes on.
    GoesOn(Life),
}

impl Cluster {
    /// A cluster whose processes are about to be started.
    pub fn new(
        config: Config,
        surroundings: Surroundings,
        checkers: Checkers,
        seed: u64,
        recording: bool,
    ) -> Cluster {
        let nodes = config.nodes;
        let mut cluster = Cluster {
            now: Time(0),
            steps: 0,
            chance: Chance::new(seed),
            processes: (0..nodes).map(|_| None).collect(),
            network: Network::new(nodes),
            directory: Directory::new(surroundings.mount),
            supervisor: Supervisor::new(nodes, surroundings.hints),
            record: Record::new(recording, nodes),
            event_log: EventLog::default(),
            checkers,
            reached: Reached::default(),
            disk_hangs_until: Time(0),
            lines: Vec::new(),
            collected: BTreeMap::new(),
            agenda: Agenda::default(),
            roused: Vec::new(),
            changes: Vec::new(),
            config,
            surroundings,
        };
        for id in (0..nodes).map(NodeId) {
            cluster.agenda.enter(Time(0), Happening::Spawn(id));
        }
        let start_by = Time(0) + START_AFTER;
        cluster.agenda.enter(start_by, Happening::Tell);
        cluster
    }

    /// Lets time pass until a moment.
    ///
    /// # Errors
    ///
    /// The first thing that must not happen.
    pub fn run_until(&mut self, end: Time) -> Result<(), Violation> {
        while self.agenda.next_time().is_some_and(|next| next <= end) {
            self.advance()?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Lets time pass until something is so, looked at after each happening; tells whether it is.
    ///
    /// # Errors
    ///
    /// The first thing that must not happen.
    pub fn run_until_so(
        &mut self,
        end: Time,
        so: impl Fn(&Cluster) -> bool,
    ) -> Result<bool, Violation> {
        loop {
            if so(self) {
                return Ok(true);
            }
            if self.agenda.next_time().is_none_or(|next| next > end) {
                self.now = self.now.max(end);
                return Ok(so(self));
            }
            self.advance()?;
        }
    }

    /// The live processes.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().flatten()
    }

    pub(crate) fn process(&mut self, id: NodeId) -> Option<&mut Process> {
        self.processes[usize::from(id.0)].as_mut()
    }

    /// The nodes that live and have joined in.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.alive()
            .map(|process| (process.life.node, &process.node))
    }

    /// The node that acts as coordinator in the highest epoch, and that all live nodes follow.
    pub(crate) fn coordinator(&self) -> Option<NodeId> {
        let highest = self.nodes().map(|(_, node)| node.highest()).max()?;
        let agreed = |(id, node): (NodeId, &Node)| {
            let acts = node.acting() == (id == highest.node).then_some(highest);
            acts && node.highest() == highest && node.coordinator() == Some(highest.node)
        };
        self.nodes().all(agreed).then_some(highest.node)
    }

    fn advance(&mut self) -> Result<(), Violation> {
        let Some((at, happening)) = self.agenda.take() else {
            return Ok(());
        };
        self.now = self.now.max(at);
        let free = self.event_log.supervisor_waits;
        if free > self.now && happening.is_of_supervisor() {
            self.agenda.enter(free, happening);
            return Ok(());
        }
        match happening {
            Happening::Wake(id) => self.wake(id, at)?,
            Happening::Arithmetic(life) => self.arithmetic_done(life),
            Happening::File(life) => self.make_call(life)?,
            Happening::Reap(life, uptime) => self.reap(life, uptime)?,
            Happening::Signalled(life) => self.signalled(life),
            Happening::Spawn(id) => self.spawn(id)?,
            Happening::Bind(life) => self.bind(life),
            Happening::Terminate(life) => self.terminate(life)?,
            Happening::Watchdog(life) => self.watchdog(life)?,
            Happening::Tell => self.tell(),
            Happening::Report(life, report) => {
                if self.supervisor.hear(life, report) {
                    self.owe_telling();
                }
                self.pass_on_drop();
            }
            Happening::GoesOn(life) => self.goes_on(life),
            Happening::Dropped => {
                self.supervisor.hint_due = true;
                self.pass_on_drop();
            }
        }
        self.rouse_all();
        Ok(())
    }

    fn wire<'a>(&'a mut self, node: NodeId, awaited: &'a mut Awaited) -> SimulatedWire<'a> {
        SimulatedWire {
            now: self.now,
            node,
            network: &mut self.network,
            chance: &mut self.chance,
            latency: self.surroundings.latency,
            socket_room: self.surroundings.socket_room,
            awaited,
            roused: &mut self.roused,
        }
    }

    /// Tells the checkers.
    pub(crate) fn check(&mut self, fact: &Fact<'_>) -> Result<(), Violation> {
        self.reached.see(fact);
        self.checkers.see(fact)
    }

    pub(crate) fn show_lane(&mut self, id: NodeId) {
        if self.record.is_on() {
            let lane = match &self.processes[usize::from(id.0)] {
                None => Lane::Dead,
                Some(process) if process.stopped => Lane::Stopped,
                Some(process) if process.node.acting().is_some() => Lane::Acting,
                Some(_) => Lane::Alive,
            };
            self.record.lane(id, lane);
        }
    }

    fn is_life(&self, life: Life) -> bool {
        let process = self.processes[usize::from(life.node.0)].as_ref();
        process.is_some_and(|process| process.life == life)
    }

    /// A person takes away each text that stands, and its job too or not.
    pub(crate) fn collect(&mut self, with_jobs: bool) -> Result<(), Violation> {
        let ended = |path: &&FilePath| matches!(path.folder, Folder::Done | Folder::Failed);
        let texts = self.directory.files().keys().filter(ended);
        let texts = texts.filter(|path| path.name.ends_with(b".txt"));
        for text in texts.cloned().collect::<Vec<FilePath>>() {
            let mut job = text.clone();
            job.name.truncate(text.name.len() - b"txt".len());
            job.name.extend_from_slice(b"job");
            // What is taken away in the instant in which it has two names may come once more.
            if self.directory.has_two_names(&text)
                || self.directory.get(&text).is_none_or(File::is_reservation)
            {
                continue;
            }
            let number = self.directory.get(&job).and_then(|file| file.job);
            self.collected
                .extend(number.map(|number| (number, job.folder)));
            self.directory.take_away(&text);
            if with_jobs {
                self.directory.take_away(&job);
            }
            self.check(&Fact::Collected(&text))?;
        }
        Ok(())
    }

    /// The machine loses its power: all processes die, and what was not synced is lost in part.
    pub(crate) fn lose_power(&mut self) -> Result<(), Violation> {
        for id in (0..self.config.nodes).map(NodeId) {
            self.kill(id)?;
        }
        self.directory.lose_power(&mut self.chance);
        let files = self.directory.files().clone();
        self.check(&Fact::PowerLost(&files))
    }

    /// The network loses the connection from one node to another, with what it carries.
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        let Some(socket) = self.network.dialled(from, to) else {
            return;
        };
        let carried = self.network.chunks(socket);
        let kept = self.chance.below(carried + 1);
        let text =
            || format!("the link to node {to} breaks; {kept} of {carried} chunks get through");
        self.record.note(self.now, Some(from), text);
        self.network.lose(socket, kept, self.now);
        self.rouse_reader(socket);
        self.rouse_reader(socket.other());
        self.rouse_all();
    }

    /// Whether a line was written to standard output, whole or cut.
    pub(crate) fn was_logged(&self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        let is_it = |logged: &String| match logged.split_once('…') {
            None => *logged == line,
            Some((head, tail)) => {
                let end = tail.split(' ').next().unwrap_or(tail);
                line.starts_with(head) && line.ends_with(end)
            }
        };
        self.lines.iter().any(is_it)
    }

    /// The life that a static ID has at present.
    pub(crate) fn life_of(&self, id: NodeId) -> Option<Incarnation> {
        let process = self.processes[usize::from(id.0)].as_ref();
        process.map(|process| process.life.incarnation)
    }
}
