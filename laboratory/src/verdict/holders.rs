//! Which nodes had an operation when a coordinator took over, and whether the coordinator must have learnt of it.
//!
//! Order relied on: that of the lines of each incarnation; epochs, since every line contains the highest term
//! that its incarnation knew, and a node promises to an epoch before it writes a term as high; and messages.
//! An incarnation has an operation in hand
//!
//! - that it completed: it keeps the product until the checkpoint shows it, and then holds it there; under a
//!   delay it has not sent it yet, and reports it as an operation that it computes;
//! - that it put into the checkpoint;
//! - that its coordinator put into the checkpoint before it assigned another, which it computed: on one link
//!   the checkpoint goes before the assignment;
//! - that it computes, until it coordinates itself.
//!
//! It keeps all that as long as it lives and a job needs it, see `needs`, and reports it to a collecting
//! winner. The winner waits for every peer whose link is up, until it has delivered what it has; but passes
//! over a peer that delivers nothing for 100 ms. No event shows that. But the timestamps of one incarnation
//! are in order: if it acted less than 100 ms after anything that happened before the step in which it won,
//! it has passed nobody over. Its work as worker or coordinator was another step, and so was the last message
//! of a peer before its death was known.

use std::collections::{BTreeMap, BTreeSet};

use super::deeds::{Deed, Deeds, Epoch, Reign};
use super::lacking::may_lack;
use crate::log::order::happened_before;
use crate::log::{Event, Life, Log};

/// After this a winner passes over a peer that delivers nothing.
const PATIENCE_NS: u64 = 100_000_000;

/// The proof that an incarnation had an operation in hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct InHand<'a> {
    pub(super) life: Life,
    /// It had it from this on.
    pub(super) since: &'a Event,
    /// It was computing it: the winner takes that over as assigned.
    pub(super) computes: bool,
}

/// Which node learnt what from which peer.
#[derive(Debug)]
pub(super) struct Holders<'a> {
    /// The peers from which each coordinator must have learnt everything before it acted.
    collected: BTreeMap<Epoch, BTreeSet<Life>>,
    /// What each incarnation computed of its assignments in an epoch, in the order of its lines, with the
    /// latest assignment that it must have received by then.
    received: BTreeMap<(Epoch, Life), Vec<(&'a Event, usize)>>,
}

impl<'a> Holders<'a> {
    pub(super) fn of(log: &'a Log, deeds: &Deeds<'a>) -> Holders<'a> {
        let reigns = deeds.reigns.iter();
        let collected = reigns
            .filter_map(|(&epoch, reign)| Some((epoch, collected(log, deeds, epoch, reign)?)));
        Holders {
            collected: collected.collect(),
            received: received(deeds),
        }
    }

    /// The incarnations that certainly had an operation in hand before they promised to an epoch, among those
    /// from which its owner must have learnt it, including itself.
    pub(super) fn of_operation(&self, deed: &Deed<'a>, (term, owner): Epoch) -> Vec<InHand<'a>> {
        let none = BTreeSet::new();
        let collected = self.collected.get(&(term, owner)).unwrap_or(&none);
        let mut found = Vec::new();
        let done = deed.completed.iter().chain(&deed.checkpointed);
        for since in done.copied().filter(|event| event.term() < term) {
            let life = since.life();
            if life == owner || collected.contains(&life) {
                // Under a delay a worker has not sent a completed operation, and reports it as work.
                let computes = life != owner && since.name() == "completed";
                found.push(InHand {
                    life,
                    since,
                    computes,
                });
            }
        }
        for kept in deed.checkpointed.iter().filter(|event| event.term() < term) {
            let of = (kept.term(), kept.life());
            for &life in collected.iter().chain([&owner]) {
                if let Some(since) = self.had(of, life, kept, term) {
                    found.push(InHand {
                        life,
                        since,
                        computes: false,
                    });
                }
            }
        }
        for since in deed
            .computing
            .iter()
            .copied()
            .filter(|event| event.term() < term)
        {
            if collected.contains(&since.life()) {
                let life = since.life();
                found.push(InHand {
                    life,
                    since,
                    computes: true,
                });
            }
        }
        found
    }

    /// The proof that an incarnation had received, before it promised to a term, what its coordinator had put
    /// into the checkpoint.
    fn had(&self, of: Epoch, life: Life, kept: &Event, term: u64) -> Option<&'a Event> {
        let received = self.received.get(&(of, life))?;
        let before = received.partition_point(|(computing, _)| computing.term() < term);
        let index = received[..before].partition_point(|&(_, latest)| latest < kept.line);
        received[..before]
            .get(index)
            .map(|&(computing, _)| computing)
    }
}

/// The peers for which a coordinator must have waited until they had delivered; none if it may have
/// passed somebody over.
fn collected(
    log: &Log,
    deeds: &Deeds<'_>,
    (_, owner): Epoch,
    reign: &Reign<'_>,
) -> Option<BTreeSet<Life>> {
    let (won, acting) = (reign.won?, reign.acting?);
    let words = deeds.words.get(&owner)?;
    let before = words.iter().take_while(|word| word.line < acting.line);
    let mut up: BTreeMap<u64, &Event> = BTreeMap::new();
    // A peer that was reported stopped is not asked, though its link may be up again.
    let mut stopped: BTreeSet<Life> = BTreeSet::new();
    let mut since = deeds.last_work(owner, won);
    for word in before {
        let peer = (word.number("peer"), word.number("peer_incarnation"));
        match word.name() {
            "peer_up" if word.line < won.line => {
                up.insert(peer.0, word);
            }
            "peer_down" => {
                up.remove(&peer.0);
                if word.text("by") == "hint" {
                    stopped.insert(peer);
                }
                // It is dead, and its last line came before this was known.
                let last = deeds.last_word(peer).filter(|&last| last < word.at());
                if word.text("by") == "link" && word.line < won.line && deeds.dead.contains(&peer) {
                    since = since.max(last.unwrap_or(0));
                }
            }
            _ => {}
        }
    }
    if acting.at() >= since.saturating_add(PATIENCE_NS) {
        return None;
    }
    let sure = up.into_values().filter(|up| !may_lack(log, up, acting));
    let lives = sure.map(|up| (up.number("peer"), up.number("peer_incarnation")));
    Some(lives.filter(|life| !stopped.contains(life)).collect())
}

/// Whose assignment each incarnation computed. Each is answered once: so if at most as many may have arrived
/// when a node begins an operation as it has begun of it, it answers the latest.
fn received<'a>(deeds: &Deeds<'a>) -> BTreeMap<(Epoch, Life), Vec<(&'a Event, usize)>> {
    let mut received: BTreeMap<(Epoch, Life), Vec<(&'a Event, usize)>> = BTreeMap::new();
    for deed in deeds.operations.values() {
        let mut begun: BTreeMap<u64, Option<usize>> = BTreeMap::new();
        for &computing in &deed.computing {
            let may_be_it = |assigned: &&&Event| {
                assigned.number("worker") == computing.node()
                    && !happened_before(computing, assigned)
            };
            let assigned = deed.assigned.iter().filter(may_be_it);
            let begun = begun.entry(computing.node()).or_insert(Some(0));
            *begun = begun
                .map(|begun| begun + 1)
                .filter(|&begun| begun == assigned.clone().count());
            let latest = assigned.max_by_key(|assigned| (assigned.at(), assigned.line));
            if let Some(assigned) = latest.filter(|_| begun.is_some()) {
                let of = (assigned.term(), assigned.life());
                let list = received.entry((of, computing.life())).or_default();
                list.push((computing, assigned.line));
            }
        }
    }
    for list in received.values_mut() {
        list.sort_unstable_by_key(|(computing, _)| computing.line);
        let mut latest = 0;
        for (_, assigned) in list {
            latest = latest.max(*assigned);
            *assigned = latest;
        }
    }
    received
}
