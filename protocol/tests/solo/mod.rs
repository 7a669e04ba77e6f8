//! One node, spoken to by hand: for tests of single rules.

use std::time::Duration;

use protocol::config::Config;
use protocol::event::{Action, ChildState, Event};
use protocol::file::{FileCall, FileReply, FileTag, Folder};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Message, Product};
use protocol::node::Node;
use protocol::plan::{OperationId, Plan};
use protocol::time::Time;
use protocol::trace::Trace;

/// A node and the clock of the test.
pub(crate) struct Solo {
    pub(crate) node: Node,
    pub(crate) now: Time,
    pub(crate) id: u8,
}

/// Life of every peer until a test says otherwise; the node itself is in life 100.
pub(crate) const FIRST: Incarnation = Incarnation(1);

impl Solo {
    /// A node of a fresh cluster, linked with all its peers, not started yet.
    pub(crate) fn linked(id: u8, config: Config) -> Solo {
        let mut solo = Solo::alone(id, config);
        for peer in (0..solo.node_count()).filter(|&peer| peer != id) {
            solo.link_up(peer, FIRST);
        }
        solo
    }

    /// A node of a fresh cluster without any link.
    pub(crate) fn alone(id: u8, config: Config) -> Solo {
        Solo {
            node: Node::new(config, NodeId(id), Incarnation(100), Term(0)),
            now: Time(1),
            id,
        }
    }

    /// A node that follows the coordinator of this epoch and has caught up.
    pub(crate) fn following(id: u8, config: Config, epoch: Epoch) -> Solo {
        let mut solo = Solo::linked(id, config);
        solo.step(Event::Start);
        solo.receive(epoch.node.0, Message::Collect { epoch });
        solo.receive(epoch.node.0, Message::Victory { epoch });
        solo
    }

    /// A node that acts as coordinator of a cluster whose workers hold nothing.
    pub(crate) fn coordinating(id: u8, config: Config) -> Solo {
        let mut solo = Solo::linked(id, config);
        for higher in id + 1..solo.node_count() {
            solo.link_down(higher, FIRST);
        }
        solo.step(Event::Start);
        let epoch = solo.node.highest();
        for peer in 0..id {
            solo.receive(
                peer,
                Message::Promise {
                    epoch,
                    inventory: Inventory::default(),
                },
            );
        }
        assert_eq!(solo.node.acting(), Some(epoch));
        solo
    }

    /// Answers the file calls of a coordinator that finds this one running job.
    pub(crate) fn find_job(&mut self, text: &str) -> Vec<Actions> {
        let folder = |names: &[&str]| {
            FileReply::Listed(names.iter().map(|name| name.as_bytes().to_vec()).collect())
        };
        let found = self.file_done(FileTag::Folder(Folder::Running), folder(&["job.job"]));
        let mut all = vec![
            self.file_done(FileTag::Folder(Folder::Done), folder(&[])),
            self.file_done(FileTag::Folder(Folder::Failed), folder(&[])),
        ];
        let job = found.read();
        all.push(self.file_done(job, FileReply::Content(text.to_owned().into())));
        all
    }

    /// A file call of this node's coordinatorship ended.
    pub(crate) fn file_done(&mut self, tag: FileTag, reply: FileReply) -> Actions {
        let epoch = self.node.highest();
        self.step(Event::FileDone { epoch, tag, reply })
    }

    fn node_count(&self) -> u8 {
        // The configuration is the same for all; the number of peers tells it.
        self.node.peer_count() + 1
    }

    pub(crate) fn step(&mut self, event: Event) -> Actions {
        Actions(self.node.step(self.now, event))
    }

    pub(crate) fn receive(&mut self, from: u8, message: Message) -> Actions {
        self.receive_of(from, FIRST, message)
    }

    pub(crate) fn receive_of(
        &mut self,
        from: u8,
        incarnation: Incarnation,
        message: Message,
    ) -> Actions {
        self.step(Event::Received {
            from: NodeId(from),
            incarnation,
            message,
        })
    }

    pub(crate) fn link_up(&mut self, peer: u8, incarnation: Incarnation) -> Actions {
        self.step(Event::LinkUp {
            peer: NodeId(peer),
            incarnation,
            highest: Epoch::NONE,
        })
    }

    pub(crate) fn link_down(&mut self, peer: u8, incarnation: Incarnation) -> Actions {
        self.step(Event::LinkDown {
            peer: NodeId(peer),
            incarnation,
        })
    }

    pub(crate) fn hint(&mut self, peer: u8, state: ChildState) -> Actions {
        self.step(Event::Hint {
            peer: NodeId(peer),
            incarnation: FIRST,
            state,
        })
    }

    /// Time passes; every timer fires when it is due.
    pub(crate) fn pass(&mut self, duration: Duration) -> Actions {
        let end = self.now + duration;
        let mut actions = Vec::new();
        while let Some((due, timer)) = self.node.next_timeout()
            && due <= end
        {
            self.now = self.now.max(due);
            actions.extend(self.node.step(self.now, Event::Timeout(timer)));
        }
        self.now = end;
        Actions(actions)
    }

    /// Time passes while the node stands still; then its timers fire.
    pub(crate) fn stand_still(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }
}

/// What a step asked for, with the questions that tests ask.
#[derive(Debug)]
pub(crate) struct Actions(pub(crate) Vec<Action>);

impl Actions {
    /// Messages to one peer.
    pub(crate) fn to(&self, peer: u8) -> Vec<&Message> {
        let sent = self.0.iter().filter_map(|action| match action {
            Action::Send { to, message } if to.contains(&NodeId(peer)) => Some(message),
            _ => None,
        });
        sent.collect()
    }

    /// Whether a message of this name was sent to a peer.
    pub(crate) fn sent(&self, peer: u8, name: &str) -> bool {
        self.to(peer).iter().any(|message| message.name() == name)
    }

    /// The peers that were sent a message of this name.
    pub(crate) fn receivers(&self, name: &str) -> Vec<u8> {
        (0..16).filter(|&peer| self.sent(peer, name)).collect()
    }

    /// What the reading of a running job that was found is for.
    pub(crate) fn read(&self) -> FileTag {
        let read = self.0.iter().find_map(|action| match action {
            Action::File {
                tag,
                call: FileCall::Read { .. },
                ..
            } => Some(tag.clone()),
            _ => None,
        });
        read.expect("the running job is read")
    }

    /// The sentences for whoever runs the cluster.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.0.iter().filter_map(|action| match action {
            Action::Warn(sentence) => Some(sentence.as_str()),
            _ => None,
        });
        warnings.collect()
    }

    pub(crate) fn traced(&self, is: impl Fn(&Trace) -> bool) -> bool {
        self.0
            .iter()
            .any(|action| matches!(action, Action::Trace { trace, .. } if is(trace)))
    }

    /// Operations that were assigned to a peer.
    pub(crate) fn assigned(&self, peer: u8) -> Vec<OperationId> {
        let assigned = self
            .to(peer)
            .into_iter()
            .filter_map(|message| match message {
                Message::Assign { operations, .. } => Some(operations.clone()),
                _ => None,
            });
        assigned.flatten().collect()
    }

    /// The inventory that was promised to a peer.
    pub(crate) fn promise(&self, peer: u8) -> Option<Inventory> {
        self.to(peer).into_iter().find_map(|message| match message {
            Message::Promise { inventory, .. } => Some(inventory.clone()),
            _ => None,
        })
    }

    /// Products that the checkpoint stream carried to a peer.
    pub(crate) fn checkpointed(&self, peer: u8) -> Vec<OperationId> {
        let updates = self
            .to(peer)
            .into_iter()
            .filter_map(|message| match message {
                Message::Checkpoint { update, .. } => Some(update.finished()),
                _ => None,
            });
        updates.flatten().collect()
    }

    /// Whether the node asked for anything that only a coordinator may.
    pub(crate) fn acts(&self) -> bool {
        self.0.iter().any(|action| match action {
            Action::Send { message, .. } => matches!(
                message,
                Message::Assign { .. }
                    | Message::Checkpoint { .. }
                    | Message::Victory { .. }
                    | Message::Heartbeat { .. }
            ),
            Action::File { .. } => true,
            _ => false,
        })
    }
}

/// An epoch of a peer in its first life.
pub(crate) fn epoch(term: u64, node: u8) -> Epoch {
    Epoch {
        term: Term(term),
        node: NodeId(node),
        incarnation: FIRST,
    }
}

/// A leaf of n!.
pub(crate) fn leaf(n: u32, index: u32) -> OperationId {
    Plan::new(n).leaf(index)
}

/// A product with a value that tells its operation.
pub(crate) fn product(operation: OperationId) -> Product {
    Product {
        operation,
        value: format!("{operation:?}").into(),
    }
}
