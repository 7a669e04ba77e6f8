//! The state of each node at every moment.

use std::collections::BTreeMap;

use super::clock::Clock;
use super::lives::Lives;
use crate::failovers::{Cause, Failover};
use crate::log::{Event, Life, Log};

/// The states, in the order in which the page's script names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Worker,
    Candidate,
    Recovering,
    Coordinator,
    Stopped,
    Dead,
    Stalled,
}

/// Lane, from, to, state, life: a node's lane, times in microseconds of the run.
pub(super) type Span = [u64; 5];

/// The spans of all nodes, in the order of time for each.
///
/// A dead coordinator counts as dead from the start of the failover, when its links ended, and not only from
/// when it is reaped.
pub(super) fn spans(log: &Log, failovers: &[Failover], clock: Clock, lives: &Lives) -> Vec<Span> {
    let deaths: BTreeMap<Life, u64> = failovers
        .iter()
        .filter(|failover| matches!(failover.cause, Cause::Killed(_) | Cause::Exited(_)))
        .map(|failover| ((failover.node, failover.incarnation), failover.at_ns))
        .collect();
    let mut lanes: BTreeMap<u64, Lane> = BTreeMap::new();
    let mut spans = Vec::new();
    for event in &log.events {
        let lane = lanes.entry(event.node()).or_default();
        if let Some((state, life)) = lane.next(event) {
            let died = deaths.get(&life).filter(|_| state == State::Dead);
            let at = died.map_or(event.at(), |died| event.at().min(*died));
            lane.turn(at, state, life, clock, lives, &mut spans);
        }
    }
    for lane in lanes.values_mut() {
        lane.close(clock.end_ns, clock, lives, &mut spans);
    }
    spans
}

#[derive(Debug, Default)]
struct Lane {
    now: Option<(u64, State, Life)>,
    /// What it was before it was stopped.
    before: Option<State>,
}

impl Lane {
    /// Its state after an event, if that changes it.
    fn next(&mut self, event: &Event) -> Option<(State, Life)> {
        let (_, state, life) = self
            .now
            .map_or((0, State::Dead, (event.node(), 0)), |now| now);
        let is_same = event.life() == life;
        let state = match event.name() {
            "node_spawned" => State::Recovering,
            "node_exited" if is_same => State::Dead,
            "node_stopped" if is_same && state != State::Dead => {
                self.before = Some(state);
                State::Stopped
            }
            "node_continued" if is_same && state == State::Stopped => {
                self.before.unwrap_or(State::Recovering)
            }
            "node_exited" | "node_stopped" | "node_continued" => return None,
            // A late line of a dead process.
            _ if event.incarnation() < life.1 || (is_same && state == State::Dead) => return None,
            _ if event.is_stall() => State::Stalled,
            // It was a coordinator until this very moment, and the event still has that role.
            "stepped_down" => State::Recovering,
            _ => match event.role() {
                "worker" => State::Worker,
                "candidate" => State::Candidate,
                "coordinator" => State::Coordinator,
                _ => State::Recovering,
            },
        };
        let is_new = self
            .now
            .is_none_or(|(_, old, life)| (old, life) != (state, event.life()));
        is_new.then_some((state, event.life()))
    }

    fn turn(
        &mut self,
        at: u64,
        state: State,
        life: Life,
        clock: Clock,
        lives: &Lives,
        spans: &mut Vec<Span>,
    ) {
        self.close(at, clock, lives, spans);
        self.now = Some((at, state, life));
    }

    fn close(&mut self, at: u64, clock: Clock, lives: &Lives, spans: &mut Vec<Span>) {
        if let Some((since, state, life)) = self.now.take() {
            let (from, to) = (clock.us(since), clock.us(at));
            if from < to {
                spans.push([life.0, from, to, state as u64, lives.index(life)]);
            }
        }
    }
}
