//! What each stage of a job asks the file thread for, and the names of its texts.

use crate::desk::context::Context;
use crate::desk::hidden_text::{TextState, hidden_path};
use crate::desk::job;
use crate::desk::jobs::{Job, Stage};
use crate::desk::names::{job_file, suffixed, text_file};
use crate::words::file::{Content, FileCall, FilePath, Folder};

/// A text of an earlier coordinator that is longer than this is not read, but made again: that takes
/// less memory, since a value that a job names many times is kept once.
pub(super) const MAX_CHECKED_BYTES: usize = 128 << 20;

impl Job {
    /// Where the job ends.
    pub(super) fn end(&self) -> Folder {
        if self.reasons.is_empty() {
            Folder::Done
        } else {
            Folder::Failed
        }
    }

    pub(super) fn hidden(&self, context: &Context<'_>, state: TextState) -> FilePath {
        hidden_path(&self.name, &context.config.run, context.epoch, state)
    }

    /// The hidden name of its text, if the job had this suffix.
    pub(super) fn relabeled(&self, context: &Context<'_>, suffix: u32) -> FilePath {
        let (name, end) = (suffixed(&self.name, suffix), self.end());
        let state = TextState::CompleteFor(end);
        hidden_path(&name, &context.config.run, context.epoch, state)
    }

    /// Whether a text that stands under the job's name is its own, by a call of its writer that came
    /// late. Of reasons that another has written nobody can tell.
    pub(super) fn is_text(&self, text: &[u8]) -> bool {
        match (self.home, &self.reasons[..]) {
            (Folder::Failed, []) => true,
            (Folder::Failed, reasons) => reason_text(reasons).as_bytes() == text,
            _ => job::answers(text, &self.factorials),
        }
    }

    /// The text that a text file of this job holds.
    fn content(&self, context: &Context<'_>) -> Vec<Content> {
        if !self.reasons.is_empty() {
            return vec![reason_text(&self.reasons).into()];
        }
        let value = |&n: &u32| Some((n, context.checkpoint.products.factorial(n)?));
        job::result_text(self.factorials.iter().filter_map(value))
    }

    /// The call that the job's stage waits for.
    pub(super) fn call(&self, context: &Context<'_>) -> Option<FileCall> {
        let file = job_file(self.home, &self.name);
        let text = self.text.clone();
        Some(match self.stage {
            Stage::Queued | Stage::Computing | Stage::Syncing => return None,
            Stage::Room => FileCall::Room {
                bytes: job::text_bytes(&self.factorials),
            },
            // One byte more tells that the file is too large.
            Stage::Reading | Stage::Settling | Stage::Verifying => FileCall::Read {
                path: file,
                limit: job::MAX_JOB_BYTES,
                whole: true,
            },
            Stage::Checking => FileCall::Read {
                path: text?,
                limit: MAX_CHECKED_BYTES,
                whole: false,
            },
            Stage::Writing => FileCall::Write {
                path: self.hidden(context, TextState::CompleteFor(self.end())),
                part: self.hidden(context, TextState::Part).name,
                content: self.content(context),
                like: file,
            },
            Stage::Comparing => FileCall::Read {
                path: text_file(self.home, &self.name),
                limit: MAX_CHECKED_BYTES,
                whole: false,
            },
            Stage::Relabeling(suffix) => FileCall::Rename {
                from: text?,
                to: self.relabeled(context, suffix),
            },
            Stage::Renaming(suffix) => FileCall::Rename {
                from: file,
                to: job_file(self.home, &suffixed(&self.name, suffix)),
            },
            Stage::Committing => FileCall::Rename {
                from: file,
                to: job_file(self.end(), &self.name),
            },
            Stage::Naming => FileCall::Rename {
                from: text?,
                to: text_file(self.home, &self.name),
            },
        })
    }

    /// What comes between its complete text and its commit.
    pub(super) fn before_commit(&self) -> Stage {
        match self.still {
            Some(_) => Stage::Settling,
            None => Stage::Committing,
        }
    }
}

fn reason_text(reasons: &[String]) -> String {
    let lines = reasons.iter().map(|reason| format!("{reason}\n"));
    lines.collect()
}
