//! Whether a coordinator must have had a product that it had computed again: S7, and S8 by it.
//!
//! A product is lost if all that held it are gone, or could not be heard. That it is not lost is
//! proved by a holder from which the coordinator must have got it. What holds a product holds it, or
//! what covers it, as long as it lives and a job needs it; so it is a holder
//!
//! - who put it into the checkpoint: it has it in the moment in which it says so;
//! - who followed that coordinatorship before then, and a second later still. The line comes before
//!   the frames, so the coordinator must have run on for that second, to have sent them; and nobody
//!   else may have won by its end, since who has promised to another takes nothing from it any more.
//!
//! The coordinator that hands the operation out again must have had the product if it is a holder
//! itself, in an earlier coordinatorship too; or if it began to collect later, from a holder that
//! lives, was never away and followed it at once. No peer was passed over then: that takes 100 ms, and
//! it acted sooner. Nor had it ever lost that one: who seemed down is not asked.
//!
//! While a job needs a factorial nothing of it is forgotten. But a job may be over before any event
//! tells so, if the coordinator dies that has committed it; so only a factorial counts of which some
//! operation is completed for the first time later: it was not whole yet, and no job can have ended
//! by it. Several jobs may ask for it then, and none has had it.
//!
//! All else is doubt, and doubt excuses.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use super::fates::Fates;
use crate::log::{Event, Life, Op};

/// A coordinator that runs has sent what it has said, and its followers have it, after this.
const SENT_NS: u64 = 1_000_000_000;
/// As long as its end may be told of late.
const REAPING_NS: u64 = 1_000_000_000;
/// Who acts so soon has passed nobody over. Half the time after which a peer is, since a line may be
/// written later than what it tells of.
const PROMPT_NS: u64 = 50_000_000;

/// What the log tells of some operations, and of who followed whom.
pub(super) struct Holders<'a, 'f> {
    fates: &'f Fates,
    assigned: BTreeMap<&'a Op, Vec<&'a Event>>,
    checkpointed: BTreeMap<&'a Op, Vec<&'a Event>>,
    /// When the last operation of a factorial was completed for the first time.
    whole: BTreeMap<u64, u64>,
    /// What each life has said of its part, in order.
    turns: BTreeMap<Life, Vec<&'a Event>>,
    won: Vec<&'a Event>,
    /// The peers that a life has lost, and when.
    lost: BTreeMap<(Life, Life), Vec<u64>>,
}

/// A coordinatorship: its first event, and the one with which it began to act.
#[derive(Clone, Copy)]
struct Reign<'a> {
    won: &'a Event,
    acting: &'a Event,
}

impl<'a, 'f> Holders<'a, 'f> {
    /// Those of some operations.
    pub(super) fn of(run: &'a Run, fates: &'f Fates, meant: &BTreeSet<&Op>) -> Holders<'a, 'f> {
        let mut holders = Holders {
            fates,
            assigned: BTreeMap::new(),
            checkpointed: BTreeMap::new(),
            whole: BTreeMap::new(),
            turns: BTreeMap::new(),
            won: run.log.named("election_won").collect(),
            lost: BTreeMap::new(),
        };
        let factorials: BTreeSet<u64> = meant.iter().map(|op| op.n).collect();
        let mut completed = BTreeSet::new();
        for event in &run.log.events {
            match (event.name(), event.op()) {
                ("assigned", Some(op)) if meant.contains(op) => {
                    holders.assigned.entry(op).or_default().push(event);
                }
                ("checkpointed", Some(op)) if meant.contains(op) => {
                    holders.checkpointed.entry(op).or_default().push(event);
                }
                ("completed", Some(op)) if factorials.contains(&op.n) && completed.insert(op) => {
                    holders.whole.insert(op.n, event.at());
                }
                ("peer_down", _) => {
                    let peer = (event.number("peer"), event.number("peer_incarnation"));
                    let lost = holders.lost.entry((event.life(), peer)).or_default();
                    lost.push(event.at());
                }
                (
                    "following" | "election_started" | "election_won" | "acting" | "stepped_down",
                    _,
                ) => {
                    holders.turns.entry(event.life()).or_default().push(event);
                }
                _ => {}
            }
        }
        holders
    }

    /// If an operation was completed again though the coordinator that handed it out must have had
    /// its product: the event with which that was kept, and the one with which it was handed out.
    pub(super) fn needless(
        &self,
        op: &Op,
        first: &Event,
        second: &Event,
    ) -> Option<[&'a Event; 2]> {
        let to_it =
            |event: &&&Event| event.number("worker") == second.node() && event.at() <= second.at();
        let again = *self.assigned.get(op)?.iter().rev().find(to_it)?;
        if self.whole.get(&op.n).is_none_or(|&at| at <= again.at()) {
            return None;
        }
        let reign = self.reign(again)?;
        let between = |kept: &&&Event| (first.at()..again.at()).contains(&kept.at());
        let mut kept = self.checkpointed.get(op)?.iter().filter(between);
        let kept = *kept.find(|kept| self.had(reign, kept))?;
        Some([kept, again])
    }

    /// The coordinatorship in which a node handed something out.
    fn reign(&self, assigned: &Event) -> Option<Reign<'a>> {
        let turns = self.turns.get(&assigned.life())?.iter();
        let own = turns.filter(|turn| turn.term() == assigned.term() && turn.at() <= assigned.at());
        let named = |name| own.clone().find(|turn| turn.name() == name).copied();
        let (won, acting) = (named("election_won")?, named("acting")?);
        Some(Reign { won, acting })
    }

    /// Whether a coordinator must have had what was put into the checkpoint then.
    fn had(&self, reign: Reign<'_>, kept: &Event) -> bool {
        let keeper = kept.life();
        if keeper == reign.acting.life() {
            return true;
        }
        if reign.won.at() <= kept.at() {
            return false;
        }
        self.has_collected(reign, keeper, kept.at())
            || (reign.won.at() > kept.at().saturating_add(SENT_NS)
                && self.followers(kept).any(|life| {
                    if life == reign.acting.life() {
                        !self.fates.slept(life, kept.at(), reign.won.at())
                    } else {
                        self.has_collected(reign, life, kept.at())
                    }
                }))
    }

    /// Who was sent what was put into the checkpoint then, and took it.
    fn followers(&self, kept: &Event) -> impl Iterator<Item = Life> {
        let sent = kept.at().saturating_add(SENT_NS);
        let is_sent = !self
            .fates
            .away(kept.life(), kept.at(), sent.saturating_add(REAPING_NS));
        let was_replaced = |won: &&Event| won.term() > kept.term() && won.at() <= sent;
        let is_current = is_sent && !self.won.iter().any(was_replaced);
        let (keeper, term, at) = (kept.life(), kept.term(), kept.at());
        let follows = move |turns: &Vec<&Event>| {
            let last = turns.iter().rev().find(|turn| turn.at() <= sent);
            last.is_some_and(|turn| {
                turn.name() == "following"
                    && turn.at() < at
                    && (turn.number("coordinator"), turn.term()) == (keeper.0, term)
            })
        };
        let followers = self.turns.iter().filter(move |_| is_current);
        followers
            .filter(move |(life, turns)| follows(turns) && !self.has_lost(keeper, **life, sent))
            .map(|(&life, _)| life)
    }

    /// Whether a coordinator collected from one that has had something since a moment.
    fn has_collected(&self, reign: Reign<'_>, from: Life, since: u64) -> bool {
        let (collector, acting) = (reign.acting.life(), reign.acting);
        let follows = |turn: &&Event| {
            turn.name() == "following"
                && (turn.number("coordinator"), turn.term()) == (acting.node(), acting.term())
                && turn.at() >= acting.at()
                && turn.at() - acting.at() <= PROMPT_NS
        };
        let turns = self.turns.get(&from);
        acting.at() - reign.won.at() <= PROMPT_NS
            && turns.is_some_and(|turns| turns.iter().any(follows))
            && !self.fates.away(from, since, acting.at())
            && !self.fates.died_by(from, acting.at())
            && !self.fates.slept(collector, reign.won.at(), acting.at())
            && !self.has_lost(collector, from, acting.at())
    }

    /// Whether somebody took a peer for down before a moment.
    fn has_lost(&self, who: Life, peer: Life, until: u64) -> bool {
        let lost = self.lost.get(&(who, peer));
        lost.is_some_and(|times| times.iter().any(|&at| at <= until))
    }
}
