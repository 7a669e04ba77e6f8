//! S7 and S8, as far as a log can show: nothing is handed out, or computed, again without need.
//!
//! Three kinds of nodes may know better, and each is judged by what it must have known:
//!
//! - a coordinator, about what it handed out or put into the checkpoint itself, in that coordinatorship: it
//!   hands out again only what it took from the worker, for a cause that `reassignments` has
//!   proved, and nothing that is in the checkpoint;
//! - a new coordinator, about what the peers had in hand from which it must have learnt it, see `holders`;
//! - a worker, about what it has computed or computes: it does not begin that again.
//!
//! Order relied on: that of the lines of each incarnation, for what it knew; of epochs and messages in `holders`;
//! and of the steps of a job's file in `needs`, since what no job needs is forgotten. A deposed coordinator
//! that does not know it may wake and continue at any time, but it is judged by its own lines.
//! Two nodes that compute the same without a chance to know of each other are no violation: a slow peer is
//! passed over, and a product may be lost with all its holders.

use std::collections::BTreeMap;

use super::course::Course;
use super::deeds::{Deed, Deeds, Epoch, epoch};
use super::fates::Fates;
use super::holders::{Holders, InHand};
use super::lacking::{Claim, Place, may_lack, proved};
use super::needs::Needs;
use super::work::Work;
use super::{Run, Violation};
use crate::log::{Event, Life, Op};

const NAME: &str = "S7";

/// An operation that was computed twice, while a job needed it all the time.
#[derive(Clone, Copy, Debug)]
pub struct Repetition<'a> {
    /// The operation.
    pub op: &'a Op,
    /// Its earlier `completed`.
    pub first: &'a Event,
    /// Its later `completed`.
    pub second: &'a Event,
    why: &'a str,
}

impl<'a> Repetition<'a> {
    /// Why it was computed again: the cause that the coordinator gave for handing it out again, if it did;
    /// otherwise `lost`, with its worker and all holders of its product, or `overlap`: two continued with it.
    pub fn why(&self) -> &'a str {
        self.why
    }
}

/// For the figures: by the clocks alone, and so no proof of anything.
pub(super) fn repetitions<'a>(run: &'a Run, fates: &Fates) -> Vec<Repetition<'a>> {
    let deeds = Deeds::of(&run.log);
    let needs = Needs::of(run, &deeds, &Course::of(&run.log).work);
    let mut repetitions = Vec::new();
    for (&op, deed) in &deeds.operations {
        let mut since = 0;
        for pair in deed.completed.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let times = since..=second.at();
            let said = deed
                .reassigned
                .iter()
                .rfind(|event| times.contains(&event.at()));
            let is_lost = fates.died_by(first.life(), second.at());
            let unsaid = if is_lost { "lost" } else { "overlap" };
            if needs.throughout(op.n, first.at(), second.at()) {
                let why = said.map_or(unsaid, |event| event.text("why"));
                repetitions.push(Repetition {
                    op,
                    first,
                    second,
                    why,
                });
            }
            since = first.at();
        }
    }
    repetitions
}

pub(super) fn check(run: &Run, deeds: &Deeds<'_>, work: &Work) -> Vec<Violation> {
    // The missing files are unknown.
    if run.log.is_cut {
        return Vec::new();
    }
    let judge = Judge {
        run,
        deeds,
        work,
        needs: Needs::of(run, deeds, work),
        holders: Holders::of(&run.log, deeds),
    };
    let again = deeds
        .operations
        .iter()
        .filter(|(_, deed)| deed.is_repeated());
    let claims = again.flat_map(|(op, deed)| judge.operation(op, deed));
    proved(&run.log, claims.collect())
}

impl Deed<'_> {
    /// Whether anything was done with it twice; few are.
    fn is_repeated(&self) -> bool {
        self.assigned.len() > 1 || self.computing.len() > 1
    }
}

struct Judge<'a, 'd> {
    run: &'a Run,
    deeds: &'d Deeds<'a>,
    work: &'d Work,
    needs: Needs<'a>,
    holders: Holders<'a>,
}

/// The last act of one coordinatorship, or one worker, on an operation.
#[derive(Clone, Copy, Default)]
struct Last<'a> {
    /// Put into the checkpoint, since it was handed out.
    kept: Option<&'a Event>,
    assigned: Option<&'a Event>,
    taken: bool,
    begun: Option<&'a Event>,
    completed: Option<&'a Event>,
}

impl Judge<'_, '_> {
    fn operation(&self, op: &Op, deed: &Deed<'_>) -> Vec<Claim> {
        let mut claims = self.handed_out(op, deed);
        if claims.is_empty() {
            claims = self.begun(op, deed);
        }
        claims
    }

    fn handed_out(&self, op: &Op, deed: &Deed<'_>) -> Vec<Claim> {
        let acts = [&deed.assigned, &deed.checkpointed, &deed.reassigned];
        let mut acts: Vec<&Event> = acts.into_iter().flatten().copied().collect();
        acts.sort_unstable_by_key(|event| event.line);
        let mut epochs: BTreeMap<Epoch, Last<'_>> = BTreeMap::new();
        let mut claims = Vec::new();
        for act in acts {
            let last = epochs.entry(epoch(act)).or_default();
            match act.name() {
                "checkpointed" => last.kept = Some(act),
                // That a takeover did not find it is not a cause: somebody lost it.
                "operation_reassigned" => last.taken |= act.text("why") != "takeover",
                _ => {
                    let own = self.handed_out_again(op, *last, act);
                    // What it does not know at first, it does not know later.
                    let is_first = last.assigned.is_none();
                    let found = own.or_else(|| {
                        let deed = is_first.then_some(deed)?;
                        self.taken_over_in_vain(op, deed, last.taken, act)
                    });
                    claims.extend(found);
                    (last.assigned, last.kept, last.taken) = (Some(act), None, false);
                }
            }
        }
        claims
    }

    /// Handed out again by one coordinatorship that had it in the checkpoint, or had not taken it back.
    fn handed_out_again(&self, op: &Op, last: Last<'_>, again: &Event) -> Option<Claim> {
        if let Some(kept) = last.kept {
            let is_kept = self.is_kept(op, kept, again);
            let message = format!("{op} was handed out though its coordinator had its product");
            return is_kept.then(|| claim(message, &[kept, again], None));
        }
        let before = last.assigned.filter(|_| !last.taken)?;
        let message = format!("{op} was handed out twice, and not taken back between");
        self.is_kept(op, before, again)
            .then(|| claim(message, &[before, again], Some((before, again))))
    }

    /// Whether its coordinator knew all the time, between two of its lines, that a job needs it.
    fn is_kept(&self, op: &Op, from: &Event, until: &Event) -> bool {
        self.needs.is_kept(op.n, from, until) || self.is_open_to_itself(op, from, until)
    }

    /// As its own lines have it: it ended no job between them that needs this, nor can it have found one
    /// ended by another, since that is by a commit, which it learns at its own: when it has the factorial.
    fn is_open_to_itself(&self, op: &Op, from: &Event, until: &Event) -> bool {
        let life = until.life();
        let words = self.deeds.words.get(&life).map_or(&[][..], Vec::as_slice);
        let first = words.partition_point(|word| word.line < from.line);
        let mut words = words[first..]
            .iter()
            .take_while(|word| word.line < until.line);
        let done = self.work.done.get(&(life, op.n));
        let done = done.map_or(&[][..], Vec::as_slice);
        let next = done.partition_point(|&line| line <= from.line);
        done.get(next).is_none_or(|&line| line >= until.line)
            && !words.any(|word| self.needs.may_forget(op.n, word))
            && !may_lack(&self.run.log, from, until)
    }

    /// Handed out again by a coordinator that must have learnt, when it took over, who had it.
    fn taken_over_in_vain(
        &self,
        op: &Op,
        deed: &Deed<'_>,
        has_taken: bool,
        again: &Event,
    ) -> Option<Claim> {
        if self.needs.is_over(op.n, again) {
            return None;
        }
        let acting = self.deeds.reigns.get(&epoch(again))?.acting?;
        let had = self.holders.of_operation(deed, epoch(again));
        let counts = |had: &&InHand<'_>| {
            let is_dropped = || {
                has_taken
                    || self.has_won_since(had.since, epoch(again))
                    || self.has_lost(had.life, acting, again)
            };
            self.needs.is_kept(op.n, had.since, again) && !(had.computes && is_dropped())
        };
        let had = had.iter().find(counts)?;
        let message = format!(
            "{op} was computed again though its coordinator must have learnt that node {} {}",
            had.life.0,
            if had.computes {
                "computed it"
            } else {
                "had its product"
            }
        );
        let lacks = had.computes.then_some((acting, again));
        Some(claim(message, &[had.since, acting, again], lacks))
    }

    /// Computed again by the worker that has its product, or computes it.
    fn begun(&self, op: &Op, deed: &Deed<'_>) -> Vec<Claim> {
        let acts = [&deed.computing, &deed.completed];
        let mut acts: Vec<&Event> = acts.into_iter().flatten().copied().collect();
        acts.sort_unstable_by_key(|event| event.line);
        let mut lives: BTreeMap<Life, Last<'_>> = BTreeMap::new();
        let mut claims = Vec::new();
        for act in acts {
            let last = lives.entry(act.life()).or_default();
            if act.name() == "completed" {
                last.completed = Some(act);
                continue;
            }
            claims.extend(self.begun_again(op, *last, act));
            last.begun = Some(act);
        }
        claims
    }

    fn begun_again(&self, op: &Op, last: Last<'_>, again: &Event) -> Option<Claim> {
        let had = |event: &&Event| self.needs.is_kept(op.n, event, again);
        if let Some(done) = last.completed.filter(had) {
            let message = format!("{op} was computed twice by node {}", again.node());
            return Some(claim(message, &[done, again], None));
        }
        let begun = last.begun.filter(had)?;
        if self.has_won_between(begun, again.line) {
            return None;
        }
        let message = format!("{op} was begun twice by node {}", again.node());
        Some(claim(message, &[begun, again], Some((begun, again))))
    }

    /// Whether an incarnation won after an event and before it promised to an epoch: it then dropped its
    /// operation.
    fn has_won_since(&self, event: &Event, promised: Epoch) -> bool {
        let words = self.deeds.words.get(&event.life()).into_iter().flatten();
        let mut won = words.filter(|word| word.name() == "election_won");
        won.any(|won| won.line > event.line && epoch(won) < promised)
    }

    /// Whether a coordinator lost a peer between two of its lines: others then compute that peer's operations.
    fn has_lost(&self, peer: Life, from: &Event, until: &Event) -> bool {
        let words = self.deeds.words.get(&until.life()).into_iter().flatten();
        let mut lost = words.filter(|word| word.name() == "peer_down");
        lost.any(|lost| {
            (from.line..until.line).contains(&lost.line)
                && (lost.number("peer"), lost.number("peer_incarnation")) == peer
        })
    }

    fn has_won_between(&self, event: &Event, line: usize) -> bool {
        let words = self.deeds.words.get(&event.life()).into_iter().flatten();
        let mut won = words.filter(|word| word.name() == "election_won");
        won.any(|won| (event.line..line).contains(&won.line))
    }
}

fn claim(message: String, events: &[&Event], lacks: Option<(&Event, &Event)>) -> Claim {
    Claim {
        violations: vec![Violation::new(NAME, message, events)],
        lacks: lacks.map(|(from, until)| Place::between(from, until)),
    }
}
