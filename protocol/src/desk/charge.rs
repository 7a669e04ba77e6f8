//! Marks jobs for the deaths that they caused, on the disk, before their work is given out again: so a
//! job that kills every node fails in the end, though nobody is left who remembers.

use super::jobs::Stage;
use super::jobs::job_file;
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::words::file::{FileCall, FileReply, FileTag, Folder};
use crate::words::trace::Trace;

impl Coordinator {
    /// Marks what is being computed, if there were deaths. Right after a takeover that is what is
    /// about to be computed, once all that was found is known.
    pub(crate) fn charge(&mut self, core: &mut Core) {
        if !core.deaths.are_due() || !self.jobs.settled() || !self.jobs.charging.is_empty() {
            return;
        }
        let computed = self
            .jobs
            .open
            .iter()
            .filter(|(_, job)| job.stage == Stage::Computing && job.home == Folder::Running);
        let suspects: Vec<u64> = computed.map(|(&key, _)| key).collect();
        self.jobs.charging_upto = core.deaths.caused;
        for &key in &suspects {
            let Some(job) = self.jobs.open.get_mut(&key) else {
                continue;
            };
            job.charge.add(core.deaths, suspects.len() == 1);
            let (path, part) = job.charge.mark(&job.name, &core.config.run);
            if job.charge.marks.insert(path.clone()) {
                let call = FileCall::Write {
                    path,
                    part,
                    content: Vec::new(),
                    like: job_file(job.home, &job.name),
                };
                self.jobs.charging.insert(key);
                self.call(core, FileTag::Charge(key), call);
            }
        }
        self.charge_if_durable(core);
        for key in suspects {
            self.fail_if_fatal(core, key);
        }
    }

    /// A mark was written. Where it cannot be, the work goes on: while one node lives, somebody knows.
    pub(crate) fn charged(&mut self, core: &mut Core, key: u64, reply: &FileReply) {
        if let FileReply::Full(error) | FileReply::Failed(error) | FileReply::Never(error) = reply {
            core.warn(format!(
                "the deaths of nodes cannot be counted in the folder running/: {error}"
            ));
        }
        self.jobs.charging.remove(&key);
        if let Some(job) = self.jobs.open.get_mut(&key)
            && *reply == FileReply::Ok
        {
            let (newest, _) = job.charge.mark(&job.name, &core.config.run);
            let older = std::mem::take(&mut job.charge.marks);
            job.charge.marks.insert(newest.clone());
            for mark in older.into_iter().filter(|mark| *mark != newest) {
                self.call(core, FileTag::Sweep, FileCall::Remove(mark));
            }
        }
        self.charge_if_durable(core);
    }

    /// The job is over, and what it did with it.
    pub(crate) fn sweep_marks(&mut self, core: &mut Core, key: u64) {
        let charge = self
            .jobs
            .get_mut(key)
            .map(|job| std::mem::take(&mut job.charge));
        for mark in charge.into_iter().flat_map(|charge| charge.marks) {
            self.call(core, FileTag::Sweep, FileCall::Remove(mark));
        }
    }

    fn charge_if_durable(&mut self, core: &mut Core) {
        if self.jobs.charging.is_empty() {
            core.deaths.charged = core.deaths.charged.max(self.jobs.charging_upto);
        }
    }

    /// A job that nodes died of too often fails. Tells whether it does.
    pub(crate) fn fail_if_fatal(&mut self, core: &mut Core, key: u64) -> bool {
        let count = self.jobs.get(key).map_or(0, |job| job.charge.count);
        // The first may have been that of another job, computed at the same time.
        let fails = count >= u64::from(core.config.attempts).max(2);
        if fails {
            let reason = format!(
                "{count} nodes died for want of memory, or aborted, while it was computed, see --attempts and --max-n"
            );
            self.give_up(core, key, reason);
        }
        fails
    }

    /// Computes no more of a job, and writes why. What is held of it is kept until it has failed: who comes
    /// next may have fewer deaths to count.
    fn give_up(&mut self, core: &mut Core, key: u64, reason: String) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        core.trace(Trace::JobRejected {
            job: job.name.clone(),
        });
        job.reasons = vec![reason];
        job.still = None;
        job.stage = Stage::Writing;
        for n in job.factorials.clone() {
            let needs = self.jobs.needs.get(&n);
            if needs.is_none_or(|keys| keys.iter().all(|&other| other == key)) {
                self.stop(n);
            }
        }
        self.issue(core, key);
    }
}
