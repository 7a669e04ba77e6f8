//! S8: a winner does not act before each peer that it can talk to has answered Collect, or was given
//! time to.
//!
//! Relies on the order of one process's own steps: its links and the hints that it gets tell which
//! peers it can talk to, and so do the lines in which it says that one is silent, or is heard again.
//! A peer that is heard again in the very step in which the winner begins to act is asked to join it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, ChildState, Event};
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use protocol::timer::Timer;
use protocol::trace::{DownBy, Trace};

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// What each process knows of its peers, and who has answered it.
#[derive(Debug, Default)]
pub struct Collect {
    processes: BTreeMap<Life, Process>,
}

#[derive(Debug, Default)]
struct Process {
    peers: BTreeMap<NodeId, PeerState>,
    /// The epoch that it has won.
    won: Option<Epoch>,
    /// Who has promised to that, or let its time pass.
    dealt_with: BTreeSet<NodeId>,
}

#[derive(Debug, Default)]
struct PeerState {
    incarnation: Incarnation,
    linked: bool,
    stopped: bool,
    silent: bool,
}

impl Checker for Collect {
    fn property(&self) -> &'static str {
        "S8"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.processes.entry(step.life).or_default().step(step),
            Fact::Died(life) => {
                self.processes.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Process {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let begins = step
            .after
            .acting
            .filter(|_| step.before.acting != step.after.acting);
        let before = begins.map(|_| self.live());
        self.observe(step.event);
        for action in step.actions {
            if let Action::Trace { trace, .. } = action {
                self.observe_trace(trace, step.after.highest);
            }
        }
        let (Some(epoch), Some(before)) = (begins, before) else {
            return Ok(());
        };
        let now = self.live();
        let mut unheard = before.intersection(&now);
        match unheard.find(|peer| !self.dealt_with.contains(peer)) {
            Some(peer) => Err(format!(
                "{} acts in epoch {epoch} before node {peer}, to which it is linked, has answered",
                step.life
            )),
            None => Ok(()),
        }
    }

    /// The peers that it can talk to.
    fn live(&self) -> BTreeSet<NodeId> {
        let is_live = |peer: &PeerState| peer.linked && !peer.stopped && !peer.silent;
        let live = self.peers.iter().filter(|(_, peer)| is_live(peer));
        live.map(|(&id, _)| id).collect()
    }

    fn observe(&mut self, event: &Event) {
        match *event {
            Event::LinkUp {
                peer, incarnation, ..
            } => {
                if let Some(peer) = self.current(peer, incarnation) {
                    (peer.linked, peer.stopped, peer.silent) = (true, false, false);
                }
            }
            Event::LinkDown { peer, incarnation } => {
                let known = self.peers.get_mut(&peer);
                if let Some(peer) = known.filter(|peer| peer.incarnation == incarnation) {
                    peer.linked = false;
                }
            }
            Event::Hint {
                peer,
                incarnation,
                state,
            } => {
                if let Some(peer) = self.current(peer, incarnation) {
                    peer.stopped = state == ChildState::Stopped
                        || peer.stopped && state != ChildState::Running;
                    peer.linked &= state != ChildState::Gone;
                }
            }
            Event::Received {
                from,
                incarnation,
                message: Message::Promise { epoch, .. },
            } if self.won == Some(epoch) && self.current(from, incarnation).is_some() => {
                self.dealt_with.insert(from);
            }
            Event::Timeout(Timer::Collect(peer)) => {
                self.dealt_with.insert(peer);
            }
            _ => {}
        }
    }

    /// A life of a peer is heard of, unless a newer one is known.
    fn current(&mut self, id: NodeId, incarnation: Incarnation) -> Option<&mut PeerState> {
        let peer = self.peers.entry(id).or_default();
        if peer.incarnation < incarnation {
            // What the last one has answered is void.
            self.dealt_with.remove(&id);
            *peer = PeerState {
                incarnation,
                ..PeerState::default()
            };
        }
        (peer.incarnation == incarnation).then_some(peer)
    }

    fn observe_trace(&mut self, trace: &Trace, highest: Epoch) {
        match *trace {
            Trace::ElectionWon => {
                self.won = Some(highest);
                self.dealt_with.clear();
            }
            Trace::PeerDown {
                peer,
                by: DownBy::Silence,
                ..
            } => self.peers.entry(peer).or_default().silent = true,
            Trace::PeerUp { peer, .. } => self.peers.entry(peer).or_default().silent = false,
            _ => {}
        }
    }
}
