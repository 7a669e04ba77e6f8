//! Which jobs needed a factorial, and when: if none does, its products may be forgotten.
//!
//! Order relied on, besides that of [`happened_before`]: the steps of a job's file. It is claimed,
//! then committed, once, and neither is ever undone: so a late `job_accepted` of an older
//! epoch reopens nothing. No event bounds the moment of a commit from below, since its coordinator may
//! have died before its line; but its text was complete then, so all operations of each of its
//! factorials had been completed by some node, which logged that before it sent the product.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use super::deeds::{Deeds, epoch};
use super::work::Work;
use crate::job_files::{accepted_lines, ended};
use crate::log::Event;
use crate::log::order::happened_before;

/// What jobs need.
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    /// Of which nobody may have thought, after they were told, that no job needs the factorial: claims
    /// before any later coordinator looked for the jobs that run.
    accepted: BTreeMap<u64, Vec<&'a Event>>,
    /// Since when a job that needs a factorial may have failed or been deleted.
    given_up: BTreeMap<u64, u64>,
    /// The same, for jobs whose needs are no longer known.
    unknown: u64,
    /// When each operation of a factorial was first completed, in order; the greatest number
    /// if never. Only for factorials with operations that the log has not discarded.
    first: BTreeMap<u64, Vec<u64>>,
    /// Number of events that may be missing.
    missing: usize,
    /// What each accepted job needs.
    contents: BTreeMap<&'a str, BTreeSet<u64>>,
    /// Where files are collected, the jobs that needed a factorial may no longer be known.
    is_shared: bool,
    /// For the figures, see [`Needs::throughout`].
    open: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl<'a> Needs<'a> {
    pub(super) fn of(run: &'a Run, deeds: &Deeds<'a>, work: &Work) -> Needs<'a> {
        let lost = usize::try_from(run.log.lost).unwrap_or(usize::MAX);
        let mut needs = Needs {
            unknown: u64::MAX,
            is_shared: run.is_shared,
            missing: run.log.torn.len().saturating_add(lost),
            ..Needs::default()
        };
        for (op, deed) in &deeds.operations {
            let all = needs.first.entry(op.n);
            let all = all.or_insert_with(|| work.first_completed(op.n).collect());
            if deed.completed.is_empty() {
                all.push(u64::MAX);
            }
        }
        needs
            .first
            .values_mut()
            .for_each(|times| times.sort_unstable());
        needs.accept(run, deeds);
        needs.end(run);
        needs
    }

    fn accept(&mut self, run: &'a Run, deeds: &Deeds<'a>) {
        // A new coordinator may not know for a while what it needs.
        let waits = run.log.named("job_waits");
        let unread: BTreeSet<&str> = waits.map(|event| event.text("job")).collect();
        let mut seen = BTreeSet::new();
        for event in run.log.named("job_accepted") {
            let job = event.text("job");
            let numbers = self.contents.entry(job).or_insert_with(|| {
                let numbers = accepted_lines(&run.jobs, event);
                numbers.into_iter().collect()
            });
            // Its file has vanished; or it was read again, since it had changed.
            if numbers.is_empty() || !seen.insert((epoch(event), job)) {
                self.unknown = self.unknown.min(event.at());
                continue;
            }
            let mut later = deeds.reigns.iter();
            let is_known_to_all = !unread.contains(job)
                && later.all(|(&later, reign)| {
                    let start = reign.start();
                    later == epoch(event)
                        || later.0 < event.term()
                        || start.is_some_and(|start| happened_before(event, start))
                });
            if is_known_to_all {
                for &n in &*numbers {
                    self.accepted.entry(n).or_default().push(event);
                }
            }
        }
    }

    /// What is known about the ends of the accepted jobs.
    fn end(&mut self, run: &'a Run) {
        let done: BTreeSet<String> = ended(&run.jobs.join("done")).into_iter().collect();
        let failed: BTreeSet<String> = ended(&run.jobs.join("failed")).into_iter().collect();
        let first = |name: &str| {
            let mut first: BTreeMap<&'a str, u64> = BTreeMap::new();
            for event in run.log.named(name) {
                first.entry(event.text("job")).or_insert(event.at());
            }
            first
        };
        let accepted = first("job_accepted");
        let (rejected, deleted) = (first("job_rejected"), first("job_deleted"));
        let over = [first("result_published"), first("job_done")];
        for (&job, numbers) in &self.contents {
            let since = accepted[job];
            if deleted.contains_key(job) {
                self.unknown = self.unknown.min(since);
            }
            let failed = failed.contains(job).then_some(0);
            let given_up = rejected.get(job).copied().or(failed);
            let ends = over.iter().chain([&rejected, &deleted]);
            let told = ends.filter_map(|ends| ends.get(job)).min();
            for &n in numbers {
                if let Some(at) = given_up {
                    let earliest = self.given_up.entry(n).or_insert(u64::MAX);
                    *earliest = at.min(*earliest);
                }
                let whole = self.first.get(&n).and_then(|times| times.last());
                let untold = done.contains(job).then_some(whole).flatten();
                let until = told.or(untold).copied().unwrap_or(u64::MAX);
                let open = self.open.entry(n).or_default();
                open.push((since, until));
            }
        }
        self.open.values_mut().for_each(|open| open.sort_unstable());
    }

    /// Whether nobody may have forgotten a factorial between an event of one of its operations and a coordinator's
    /// decision in a later event.
    ///
    /// A job was claimed before the first, by that epoch or an earlier one, and all who coordinate after
    /// that have looked for jobs later: so each knows it. None that needs the factorial was over when the
    /// later one was decided: some operation of it, and one more for each event that may be missing, was
    /// completed by nobody yet. It was decided before its line, and a product is sent after its line.
    pub(super) fn is_kept(&self, n: u64, from: &Event, until: &Event) -> bool {
        let accepted = self.accepted.get(&n).map_or(&[][..], Vec::as_slice);
        let is_open =
            |accepted: &&Event| accepted.term() <= from.term() && happened_before(accepted, from);
        !self.is_over(n, until) && accepted.iter().any(is_open)
    }

    /// Whether a job that needs a factorial may have been over when a coordinator decided this.
    pub(super) fn is_over(&self, n: u64, until: &Event) -> bool {
        let given_up = self.given_up.get(&n).copied().unwrap_or(u64::MAX);
        let first = self.first.get(&n).map_or(&[][..], Vec::as_slice);
        let later = first.len() - first.partition_point(|&at| at <= until.at());
        until.at() >= given_up.min(self.unknown) || later <= self.missing
    }

    /// Whether a coordinator itself may have forgotten a factorial when it logs this.
    pub(super) fn may_forget(&self, n: u64, event: &Event) -> bool {
        let numbers = self.contents.get(event.text("job"));
        match event.name() {
            "job_done" | "job_rejected" | "job_deleted" | "job_accepted" => {
                numbers.is_some_and(|numbers| numbers.is_empty() || numbers.contains(&n))
            }
            _ => false,
        }
    }

    /// Whether some job needed n! at every moment of a time, according to the timestamps: good enough for
    /// figures, but no proof.
    pub(super) fn throughout(&self, n: u64, from: u64, to: u64) -> bool {
        // No job that needs it is known.
        let Some(open) = self.open.get(&n) else {
            return !self.is_shared;
        };
        let mut covered = None;
        for &(since, until) in open {
            if since <= covered.unwrap_or(from) {
                covered = covered.max(Some(until));
            }
        }
        covered.is_some_and(|until| to <= until)
    }
}
