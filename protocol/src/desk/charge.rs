//! Marks jobs for the deaths that they caused, on the disk, before their work is given out again: so a
//! job that kills every node fails in the end, though nobody is left who remembers.

use super::Desk;
use super::context::{Context, Order};
use super::jobs::Stage;
use super::names::job_file;
use crate::words::file::{FileCall, FileReply, FileTag, Folder};
use crate::words::trace::Trace;

impl Desk {
    /// Marks what is being computed, if there were deaths. Right after a takeover that is what is
    /// about to be computed, once all that was found is known.
    pub(crate) fn charge(&mut self, context: &mut Context<'_>) {
        if !context.deaths.are_due()
            || !self.recovery.is_settled()
            || !self.jobs.charging.is_empty()
        {
            return;
        }
        let computed = self
            .jobs
            .open
            .iter()
            .filter(|(_, job)| job.stage == Stage::Computing && job.home == Folder::Running);
        let suspects: Vec<u64> = computed.map(|(&key, _)| key).collect();
        self.jobs.charging_upto = context.deaths.caused;
        for &key in &suspects {
            let Some(job) = self.jobs.open.get_mut(&key) else {
                continue;
            };
            job.charge.add(*context.deaths, suspects.len() == 1);
            let (path, part) = job.charge.mark(&job.name, &context.config.run);
            if job.charge.marks.insert(path.clone()) {
                let call = FileCall::Write {
                    path,
                    part,
                    content: Vec::new(),
                    like: job_file(job.home, &job.name),
                };
                self.jobs.charging.insert(key);
                context.call(FileTag::Charge(key), call);
            }
        }
        self.charge_if_durable(context);
        for key in suspects {
            self.fail_if_fatal(context, key);
        }
    }

    /// A mark was written. Where it cannot be, the work goes on: while one node lives, somebody knows.
    pub(super) fn charged(&mut self, context: &mut Context<'_>, key: u64, reply: &FileReply) {
        if let FileReply::Full(error) | FileReply::Failed(error) | FileReply::Never(error) = reply {
            context.warn(format!(
                "the deaths of nodes cannot be counted in the folder running/: {error}"
            ));
        }
        self.jobs.charging.remove(&key);
        if let Some(job) = self.jobs.open.get_mut(&key)
            && *reply == FileReply::Ok
        {
            let (newest, _) = job.charge.mark(&job.name, &context.config.run);
            let older = std::mem::take(&mut job.charge.marks);
            job.charge.marks.insert(newest.clone());
            for mark in older.into_iter().filter(|mark| *mark != newest) {
                context.call(FileTag::Sweep, FileCall::Remove(mark));
            }
        }
        self.charge_if_durable(context);
    }

    /// The job is over, and what it did with it.
    pub(super) fn sweep_marks(&mut self, context: &mut Context<'_>, key: u64) {
        let charge = self
            .jobs
            .get_mut(key)
            .map(|job| std::mem::take(&mut job.charge));
        for mark in charge.into_iter().flat_map(|charge| charge.marks) {
            context.call(FileTag::Sweep, FileCall::Remove(mark));
        }
    }

    fn charge_if_durable(&mut self, context: &mut Context<'_>) {
        if self.jobs.charging.is_empty() {
            context.deaths.charged = context.deaths.charged.max(self.jobs.charging_upto);
        }
    }

    /// A job that nodes died of too often fails. Tells whether it does.
    pub(super) fn fail_if_fatal(&mut self, context: &mut Context<'_>, key: u64) -> bool {
        let count = self.jobs.get(key).map_or(0, |job| job.charge.count);
        // The first may have been that of another job, computed at the same time.
        let fails = count >= u64::from(context.config.attempts).max(2);
        if fails {
            let reason = format!(
                "{count} nodes died for want of memory, or aborted, while it was computed, see --attempts and --max-n"
            );
            self.give_up(context, key, reason);
        }
        fails
    }

    /// Computes no more of a job, and writes why. What is held of it is kept until it has failed: who comes
    /// next may have fewer deaths to count.
    fn give_up(&mut self, context: &mut Context<'_>, key: u64, reason: String) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        context.trace(Trace::JobRejected {
            job: job.name.clone(),
        });
        job.reasons = vec![reason];
        job.still = None;
        job.stage = Stage::Writing;
        for n in job.factorials.clone() {
            let needs = self.jobs.needs.get(&n);
            if needs.is_none_or(|keys| keys.iter().all(|&other| other == key)) {
                context.orders.push(Order::Stop(n));
            }
        }
        self.issue(context, key);
    }
}
