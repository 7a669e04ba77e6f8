//! A cluster of nodes in one thread, with virtual time, links that keep their order, and a jobs
//! directory in memory. Everything is deterministic.

mod arithmetic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::file::{Content, FileCall, FilePath, FileReply, Folder, Probe};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Message, Product};
use protocol::node::Node;
use protocol::plan::OperationId;
use protocol::time::Time;
use protocol::trace::Trace;

pub(crate) use self::arithmetic::{compute, factorial};

const LATENCY: Duration = Duration::from_micros(20);
const COMPUTE_TIME: Duration = Duration::from_micros(10);
const FILE_TIME: Duration = Duration::from_micros(50);
const DEATH_NOTICE: Duration = Duration::from_micros(100);

/// Something that will happen to one life of a node.
#[derive(Clone, Debug)]
struct Planned {
    node: NodeId,
    incarnation: Incarnation,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Event(Event),
    /// A file call is made when its time comes, if its epoch is still the highest then.
    File(Epoch, protocol::file::FileTag, FileCall),
}

pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) files: BTreeMap<FilePath, Vec<u8>>,
    /// What a probe of a file in the inbox says, where not that it is complete.
    pub(crate) probes: BTreeMap<Vec<u8>, Probe>,
    /// What the nodes traced, with who did and when.
    pub(crate) traces: Vec<(NodeId, Trace)>,
    pub(crate) lines: Vec<String>,
    /// Nodes that handle nothing at the moment.
    stopped: BTreeSet<NodeId>,
    /// Messages for which this says no are lost; by sender, receiver and message.
    pub(crate) passes: fn(NodeId, NodeId, &Message) -> bool,
    pub(crate) steps: usize,
    /// What happened to nodes that are stopped, in order.
    waiting: BTreeMap<NodeId, Vec<Planned>>,
    incarnations: BTreeMap<NodeId, Incarnation>,
    next_incarnation: u64,
    next_order: u64,
    planned: BTreeMap<(Time, u64), Planned>,
    highest_term: Term,
}

impl Cluster {
    /// A cluster whose nodes have all been started and linked.
    pub(crate) fn new(config: Config) -> Cluster {
        let mut cluster = Cluster {
            nodes: BTreeMap::new(),
            now: Time(1),
            files: BTreeMap::new(),
            probes: BTreeMap::new(),
            traces: Vec::new(),
            lines: Vec::new(),
            stopped: BTreeSet::new(),
            passes: |_, _, _| true,
            steps: 0,
            waiting: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            next_incarnation: 1,
            next_order: 0,
            planned: BTreeMap::new(),
            highest_term: Term(0),
            config,
        };
        for id in 0..cluster.config.nodes {
            cluster.start(NodeId(id));
        }
        cluster
    }

    /// Starts a node, empty, in a new life; links it with all that run.
    pub(crate) fn start(&mut self, id: NodeId) {
        let incarnation = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        self.incarnations.insert(id, incarnation);
        self.nodes.insert(
            id,
            Node::new(self.config.clone(), id, incarnation, self.highest_term),
        );
        let others: Vec<NodeId> = self
            .nodes
            .keys()
            .copied()
            .filter(|&other| other != id)
            .collect();
        for other in others {
            for (here, there) in [(id, other), (other, id)] {
                let event = Event::LinkUp {
                    peer: there,
                    incarnation: self.incarnations[&there],
                    highest: self.nodes[&there].highest(),
                };
                self.plan(here, LATENCY, What::Event(event));
            }
        }
        self.plan(id, LATENCY * 2, What::Event(Event::Start));
    }

    /// Ends a node at once. The others learn of it by their links.
    pub(crate) fn kill(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        self.highest_term = self.highest_term.max(node.highest().term);
        self.stopped.remove(&id);
        self.waiting.remove(&id);
        let incarnation = self.incarnations[&id];
        for other in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.plan(
                other,
                DEATH_NOTICE,
                What::Event(Event::LinkDown {
                    peer: id,
                    incarnation,
                }),
            );
        }
    }

    /// Stops a node: it handles nothing until it goes on.
    pub(crate) fn stop(&mut self, id: NodeId) {
        self.stopped.insert(id);
    }

    /// A stopped node goes on, and finds its mail.
    pub(crate) fn go_on(&mut self, id: NodeId) {
        self.stopped.remove(&id);
        for planned in self.waiting.remove(&id).unwrap_or_default() {
            self.plan_at(self.now, planned);
        }
    }

    /// Drops a job file into the inbox.
    pub(crate) fn drop_job(&mut self, name: &str, text: &str) {
        self.files
            .insert(FilePath::new(Folder::Inbox, name), text.into());
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.plan(id, Duration::ZERO, What::Event(Event::InboxChanged));
        }
    }

    /// The text of a file, if it is there.
    pub(crate) fn file(&self, folder: Folder, name: &str) -> Option<String> {
        let content = self.files.get(&FilePath::new(folder, name))?;
        Some(String::from_utf8_lossy(content).into_owned())
    }

    /// The one node that acts as coordinator and whose epoch all live nodes know.
    pub(crate) fn coordinator(&self) -> Option<NodeId> {
        let highest = self.nodes.values().map(Node::highest).max()?;
        let agreed = self.nodes.values().all(|node| node.highest() == highest);
        let acting = self.nodes.get(&highest.node)?.acting() == Some(highest);
        let followed = self
            .nodes
            .values()
            .all(|node| node.coordinator() == Some(highest.node));
        (agreed && acting && followed).then_some(highest.node)
    }

    /// Runs until `done`, for at most `limit` of virtual time.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        done: impl Fn(&Cluster) -> bool,
    ) {
        let end = self.now + limit;
        while !done(self) {
            assert!(
                self.now < end,
                "not within {limit:?}: {what}\n{:#?}",
                self.traces
            );
            self.step();
        }
    }

    /// Runs for this long.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.next_time().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Counts the traces for which `is` says yes.
    pub(crate) fn count(&self, is: impl Fn(&Trace) -> bool) -> usize {
        self.traces.iter().filter(|(_, trace)| is(trace)).count()
    }

    /// The operations that were computed more than once.
    pub(crate) fn computed_twice(&self) -> Vec<OperationId> {
        let mut seen = BTreeSet::new();
        let completed = self.traces.iter().filter_map(|(_, trace)| match trace {
            Trace::Completed { op } => Some(*op),
            _ => None,
        });
        completed.filter(|&op| !seen.insert(op)).collect()
    }

    fn next_time(&self) -> Option<Time> {
        let planned = self.planned.keys().next().map(|&(time, _)| time);
        let timers = self
            .nodes
            .iter()
            .filter(|(id, _)| !self.stopped.contains(id));
        let timer = timers
            .filter_map(|(_, node)| node.next_timeout())
            .map(|(due, _)| due)
            .min();
        [planned, timer].into_iter().flatten().min()
    }

    /// The next thing happens, whatever it is: mail before timers.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        let Some(next) = self.next_time() else {
            panic!("nothing will ever happen")
        };
        self.now = self.now.max(next);
        if let Some(entry) = self.planned.first_entry()
            && entry.key().0 <= self.now
        {
            let planned = entry.remove();
            if self.stopped.contains(&planned.node) {
                self.waiting.entry(planned.node).or_default().push(planned);
            } else {
                self.happen(planned);
            }
            return;
        }
        let due = self
            .nodes
            .iter()
            .filter(|(id, _)| !self.stopped.contains(id))
            .find_map(|(&id, node)| {
                let (due, timer) = node.next_timeout()?;
                (due <= self.now).then_some((id, timer))
            });
        if let Some((id, timer)) = due {
            self.handle(id, Event::Timeout(timer));
        }
    }

    fn happen(&mut self, planned: Planned) {
        let id = planned.node;
        if !self.nodes.contains_key(&id) || self.incarnations[&id] != planned.incarnation {
            return;
        }
        match planned.what {
            What::Event(event) => self.handle(id, event),
            What::File(epoch, tag, call) => {
                let fenced = self.nodes[&id].highest() > epoch;
                let reply = if fenced {
                    FileReply::Fenced
                } else {
                    self.call(call)
                };
                self.handle(id, Event::FileDone { epoch, tag, reply });
            }
        }
    }

    pub(crate) fn handle(&mut self, id: NodeId, event: Event) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        for action in node.step(self.now, event) {
            self.act(id, action);
        }
    }

    fn act(&mut self, id: NodeId, action: Action) {
        match action {
            Action::Send { to, message } => {
                for to in to {
                    if self.nodes.contains_key(&to) && (self.passes)(id, to, &message) {
                        let incarnation = self.incarnations[&id];
                        let message = message.clone();
                        self.plan(
                            to,
                            LATENCY,
                            What::Event(Event::Received {
                                from: id,
                                incarnation,
                                message,
                            }),
                        );
                    }
                }
            }
            Action::Compute { operation, task } => {
                let product = Product {
                    operation,
                    value: compute(&task),
                };
                self.plan(
                    id,
                    COMPUTE_TIME,
                    What::Event(Event::Computed {
                        products: vec![product],
                    }),
                );
            }
            Action::CancelCompute => {
                let of_node = |planned: &Planned| {
                    planned.node == id
                        && matches!(planned.what, What::Event(Event::Computed { .. }))
                };
                self.planned.retain(|_, planned| !of_node(planned));
            }
            Action::File { epoch, tag, call } => {
                self.plan(id, FILE_TIME, What::File(epoch, tag, call))
            }
            Action::Log { lines } => {
                self.lines.extend(
                    lines
                        .iter()
                        .map(|line| String::from_utf8_lossy(line).trim_end().to_owned()),
                );
            }
            Action::Trace { trace, .. } => self.traces.push((id, trace)),
            Action::Warn(sentence) => println!("node {id} warns: {sentence}"),
        }
    }

    fn plan(&mut self, node: NodeId, after: Duration, what: What) {
        let incarnation = self.incarnations[&node];
        self.plan_at(
            self.now + after,
            Planned {
                node,
                incarnation,
                what,
            },
        );
    }

    fn plan_at(&mut self, time: Time, planned: Planned) {
        self.planned.insert((time, self.next_order), planned);
        self.next_order += 1;
    }

    fn call(&mut self, call: FileCall) -> FileReply {
        match call {
            FileCall::List(folder) => FileReply::Listed(
                self.files
                    .keys()
                    .filter(|path| path.folder == folder)
                    .map(|path| path.name.clone())
                    .collect(),
            ),
            FileCall::Probe(path) if self.files.contains_key(&path) => FileReply::Probed(
                self.probes
                    .get(&path.name)
                    .copied()
                    .unwrap_or(Probe::Complete),
            ),
            FileCall::Exist(paths) => FileReply::Existing(
                paths
                    .into_iter()
                    .filter(|path| self.files.contains_key(path))
                    .collect(),
            ),
            FileCall::Rename { to, .. } if self.files.contains_key(&to) => FileReply::Taken,
            FileCall::Rename { from, to } => match self.files.remove(&from) {
                Some(content) => {
                    self.files.insert(to, content);
                    FileReply::Ok
                }
                None => FileReply::Absent,
            },
            FileCall::Probe(_) => FileReply::Absent,
            FileCall::Read { path, .. } => match self.files.get(&path) {
                Some(content) => FileReply::Content(content.clone().into()),
                None => FileReply::Absent,
            },
            FileCall::Write { path, content, .. } => {
                let content = content.iter().flat_map(Content::pieces).flatten();
                self.files.insert(path, content.collect());
                FileReply::Ok
            }
            FileCall::Remove(path) => {
                self.files.remove(&path);
                FileReply::Ok
            }
            FileCall::Sync(_) | FileCall::Room { .. } => FileReply::Ok,
        }
    }
}

/// A config for tests: operations are traced.
pub(crate) fn config(nodes: u8) -> Config {
    Config {
        nodes,
        trace_operations: true,
        ..Config::default()
    }
}
