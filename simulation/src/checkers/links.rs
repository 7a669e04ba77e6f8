//! S12: what the link machine promises its node. A life is heard only between its LinkUp and its LinkDown, and
//! no other life of its node meanwhile. A LinkUp is the first event of its turn, and its link carries nothing
//! yet: so what a node sends before it knows of a link is lost, as the node takes it to be, and not on its way.
//!
//! Relies on the order of one process's own events, and on what the network has carried.

use std::collections::BTreeMap;

use protocol::event::Event;
use protocol::id::{Incarnation, NodeId};

use super::Checker;
use crate::fact::{Fact, Life};

/// By process: the lives of its peers that it can hear.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<Life, BTreeMap<NodeId, Incarnation>>);

impl Checker for Links {
    fn property(&self) -> &'static str {
        "S12"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match *fact {
            Fact::Died(life) => {
                self.0.remove(&life);
                Ok(())
            }
            Fact::LinkUp {
                life,
                peer,
                place,
                carried,
            } if place > 0 || carried > 0 => Err(format!(
                "{life} learns that it is linked with node {peer} after {place} other events of its turn, and after \
                 {carried} writes to the link"
            )),
            Fact::Step(step) => {
                let ups = self.0.entry(step.life).or_default();
                hear(ups, step.event).map_err(|why| format!("{}: {why}", step.life))
            }
            _ => Ok(()),
        }
    }
}

fn hear(ups: &mut BTreeMap<NodeId, Incarnation>, event: &Event) -> Result<(), String> {
    match *event {
        Event::LinkUp {
            peer, incarnation, ..
        } => match ups.insert(peer, incarnation) {
            Some(other) if other != incarnation => Err(format!(
                "node {peer} is linked in life {incarnation}, and life {other} is not over"
            )),
            _ => Ok(()),
        },
        Event::LinkDown { peer, incarnation } => match ups.remove(&peer) {
            Some(up) if up == incarnation => Ok(()),
            up => Err(format!(
                "life {incarnation} of node {peer} is over, and {up:?} was linked"
            )),
        },
        Event::Received {
            from, incarnation, ..
        }
        | Event::Alive { from, incarnation }
            if ups.get(&from) != Some(&incarnation) =>
        {
            Err(format!(
                "life {incarnation} of node {from} is heard, which is not linked"
            ))
        }
        _ => Ok(()),
    }
}
