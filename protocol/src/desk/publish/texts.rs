//! The texts of jobs: those that earlier coordinators left, and those that are not needed any more.

use super::calls::MAX_CHECKED_BYTES;
use crate::desk::Desk;
use crate::desk::context::Context;
use crate::desk::hidden_text::TextState;
use crate::desk::job;
use crate::desk::jobs::Stage;
use crate::words::file::{Content, FileCall, FileReply, FileTag, Folder};

impl Desk {
    /// The text that an earlier coordinator left for a committed job was read.
    pub(super) fn checked(&mut self, context: &mut Context<'_>, key: u64, reply: FileReply) {
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        match reply {
            FileReply::Content(text)
                if text.len() <= MAX_CHECKED_BYTES && job::answers(&text, &job.factorials) =>
            {
                let limit = context.config.log_digits;
                let lines = text.split(|&byte| byte == b'\n').zip(&job.factorials);
                let lines = lines.map(|(line, &n)| {
                    let equals = line.iter().position(|&byte| byte == b'=');
                    let digits = text.slice_ref(&line[equals.map_or(0, |equals| equals + 1)..]);
                    job::log_line(n, &Content::Text(digits), limit, &job.name)
                });
                let lines = lines.collect();
                if context.config.log_results {
                    context.log(lines);
                }
                self.advance(context, key, Stage::Naming);
            }
            // Else a job whose results were delivered, and taken out, would get them again.
            FileReply::Content(_) if job.has_doubtful_text => {
                self.sweep_text(context, key);
                self.drop_job(context, key);
            }
            // It has its final name by a late call of its writer; or it was swept.
            FileReply::Absent => {
                self.recover_jobs(context);
                self.drop_job(context, key);
            }
            _ => self.rewrite(context, key),
        }
    }

    /// Makes the text anew.
    pub(super) fn rewrite(&mut self, context: &mut Context<'_>, key: u64) {
        self.discard_text(context, key);
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        if job.reasons.is_empty() {
            let factorials = job.factorials.clone();
            self.accept(context, key, factorials);
        } else {
            self.advance(context, key, Stage::Writing);
        }
    }

    /// Lets go of a text that is not the job's. If the job was committed, it is the mark that says that
    /// the job's text is to be made anew: without any, a committed job is one whose text was delivered.
    pub(super) fn discard_text(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        if job.home == Folder::Running {
            return self.sweep_text(context, key);
        }
        if let Some(from) = job.text.take() {
            let to = job.hidden(context, TextState::Wrong);
            job.spared.insert(to.clone());
            context.call(FileTag::Sweep, FileCall::Rename { from, to });
        }
    }

    pub(super) fn sweep_spared(&mut self, context: &mut Context<'_>, key: u64) {
        let spared = self
            .jobs
            .get_mut(key)
            .map(|job| std::mem::take(&mut job.spared));
        for text in spared.into_iter().flatten() {
            context.call(FileTag::Sweep, FileCall::Remove(text));
        }
    }

    /// Removes a text that nobody needs.
    pub(in crate::desk) fn sweep_text(&mut self, context: &mut Context<'_>, key: u64) {
        let text = self.jobs.get_mut(key).and_then(|job| job.text.take());
        if let Some(text) = text {
            context.call(FileTag::Sweep, FileCall::Remove(text));
        }
    }

    pub(super) fn log_results(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.get(key).filter(|_| context.config.log_results) else {
            return;
        };
        let limit = context.config.log_digits;
        let line = |&n: &u32| {
            let value = Content::Number(context.checkpoint.products.factorial(n)?);
            Some(job::log_line(n, &value, limit, &job.name))
        };
        let lines = job.factorials.iter().filter_map(line).collect();
        context.log(lines);
    }
}
