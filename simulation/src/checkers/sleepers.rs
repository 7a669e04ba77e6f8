//! S7: a winner that woke just now knows of lives that may be over long since. It does not act
//! before each node that lives, and holds what it lacks, has answered or was given time to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::event::{Action, ChildState, Event};
use protocol::id::NodeId;
use protocol::message::Message;
use protocol::plan::{OperationId, Shape};
use protocol::time::Time;
use protocol::timer::Timer;
use protocol::trace::{DownBy, Trace};

use super::{Checker, is_done};
use crate::fact::{Fact, Life, Standing, Step, Takeover};

/// A node that collects gives each peer this long.
const PATIENCE: Duration = Duration::from_millis(100);

/// The live processes, and what each of them knows of the others.
#[derive(Debug)]
pub struct Sleepers {
    shape: Shape,
    /// A process that stood still, and to which nothing happened for so long, slept.
    sleep: Duration,
    awake: BTreeMap<Life, Awake>,
}

#[derive(Debug, Default)]
struct Awake {
    /// When something happened to it last.
    last: Time,
    /// When it last woke; the origin of time if it never slept.
    woke: Time,
    /// Nodes that have answered it since it won, or were passed over.
    dealt_with: BTreeSet<NodeId>,
    /// Nodes of which it was told that they are stopped.
    stopped: BTreeSet<NodeId>,
    /// Nodes that were silent for too long, and are.
    silent: BTreeSet<NodeId>,
}

impl Sleepers {
    /// For nodes whose coordinator is heard of at this interval, and plans of this shape.
    pub fn new(heartbeat: Duration, shape: Shape) -> Sleepers {
        Sleepers {
            shape,
            sleep: heartbeat * 2,
            awake: BTreeMap::new(),
        }
    }
}

impl Checker for Sleepers {
    fn property(&self) -> &'static str {
        "S7"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Born(life) => {
                self.awake.insert(*life, Awake::default());
                Ok(())
            }
            Fact::Died(life) => {
                self.awake.remove(life);
                Ok(())
            }
            Fact::Step(step) => {
                let awake = self.awake.entry(step.life).or_default();
                awake.observe(step, self.sleep);
                Ok(())
            }
            Fact::Acts(takeover) => self.acts(takeover),
            _ => Ok(()),
        }
    }
}

impl Sleepers {
    fn acts(&self, takeover: &Takeover<'_>) -> Result<(), String> {
        let Some(awake) = self.awake.get(&takeover.life) else {
            return Ok(());
        };
        let since = takeover.at.since(awake.woke);
        if awake.woke == Time::default() || since >= PATIENCE {
            return Ok(());
        }
        let unheard = |other: &&Standing| {
            let id = other.life.node;
            // Who knows of a higher epoch refuses this one.
            other.highest <= takeover.epoch
                && !awake.dealt_with.contains(&id)
                && !awake.stopped.contains(&id)
                && !awake.silent.contains(&id)
        };
        for other in takeover.others.iter().filter(unheard) {
            let lacks = |id: &&OperationId| {
                takeover.needed.contains(&id.n) && !is_done(self.shape, takeover.held, **id)
            };
            if let Some(id) = other.held.iter().find(lacks) {
                return Err(format!(
                    "{} acts in epoch {} {since:?} after it woke, without {id:?}, which {} holds and was not heard",
                    takeover.life, takeover.epoch, other.life
                ));
            }
        }
        Ok(())
    }
}

impl Awake {
    fn observe(&mut self, step: &Step<'_>, sleep: Duration) {
        let stood_still = step.runs_since > self.last;
        if self.last != Time::default() && stood_still && step.at.since(self.last) >= sleep {
            self.woke = step.at;
        }
        self.last = step.at;
        match step.event {
            Event::Hint { peer, state, .. } => {
                if *state == ChildState::Stopped {
                    self.stopped.insert(*peer);
                } else {
                    self.stopped.remove(peer);
                }
            }
            Event::Received {
                from,
                message: Message::Promise { epoch, .. },
                ..
            } if *epoch == step.before.highest => {
                self.dealt_with.insert(*from);
            }
            Event::Timeout(Timer::Collect(peer)) => {
                self.dealt_with.insert(*peer);
            }
            _ => {}
        }
        for action in step.actions {
            let Action::Trace { trace, .. } = action else {
                continue;
            };
            match trace {
                Trace::ElectionWon => self.dealt_with.clear(),
                Trace::PeerDown {
                    peer,
                    by: DownBy::Silence,
                    ..
                } => {
                    self.silent.insert(*peer);
                }
                Trace::PeerUp { peer, .. } => {
                    self.stopped.remove(peer);
                    self.silent.remove(peer);
                }
                _ => {}
            }
        }
    }
}
