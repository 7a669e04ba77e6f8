//! The thread of a node that makes file calls: one after the other, each with a look at the fence
//! before it, and time between that look and the call. What is to be on the disk is waited for by
//! others, so that its reply comes after those of later calls.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::event::Event;
use protocol::file::{FileCall, FileReply, FileTag, Folder};
use protocol::id::Epoch;
use protocol::time::Time;

use crate::directory::Step;

/// A call that has come no further for so long is told of.
const SLOW: Duration = Duration::from_secs(3);

/// The thread, and the queue in front of it.
#[derive(Debug, Default)]
pub(crate) struct FileThread {
    queue: VecDeque<Request>,
    /// Looked at, let through, and about to be made.
    decided: Option<Decided>,
    /// It hangs until then.
    pub(crate) hangs_until: Time,
    /// Since when the call that was told of has come no further.
    told: Option<Time>,
}

#[derive(Debug)]
struct Request {
    epoch: Epoch,
    tag: FileTag,
    call: FileCall,
}

/// A call whose epoch was the highest when the thread looked.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// When it began, or came further.
    pub(crate) since: Time,
    pub(crate) epoch: Epoch,
    /// The highest epoch that the node knew then.
    pub(crate) highest: Epoch,
    pub(crate) tag: FileTag,
    /// The reply comes when all is on the disk.
    pub(crate) is_synced: bool,
    pub(crate) step: Step,
}

/// What the thread does next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It has nothing to do, or is at it.
    Nothing,
    /// It has decided to make a call, which takes its time.
    Decided,
    /// It refuses a call of an epoch that is over.
    Refused(Event),
}

impl FileThread {
    pub(crate) fn ask(&mut self, epoch: Epoch, tag: FileTag, call: FileCall) {
        self.queue.push_back(Request { epoch, tag, call });
    }

    /// Looks at the next request, if the thread is free.
    pub(crate) fn look(&mut self, highest: Epoch, now: Time) -> Turn {
        if self.decided.is_some() {
            return Turn::Nothing;
        }
        let Some(Request { epoch, tag, call }) = self.queue.pop_front() else {
            return Turn::Nothing;
        };
        if epoch < highest {
            let reply = FileReply::Fenced;
            return Turn::Refused(Event::FileDone { epoch, tag, reply });
        }
        let is_synced = matches!(call, FileCall::Write { .. } | FileCall::Sync(_));
        let step = Step::Call(call);
        self.decided = Some(Decided {
            since: now,
            epoch,
            highest,
            tag,
            is_synced,
            step,
        });
        Turn::Decided
    }

    /// The call that was decided on: its moment has come.
    pub(crate) fn take_decided(&mut self) -> Option<Decided> {
        self.decided.take()
    }

    /// Whether the call that was decided on commits a job.
    pub(crate) fn is_at_commit(&self) -> bool {
        let step = self.decided.as_ref().map(|decided| &decided.step);
        matches!(
            step,
            Some(Step::Call(FileCall::Rename { from, to }))
                if from.folder == Folder::Running && to.name.ends_with(b".job")
        )
    }

    /// Another step of the call follows.
    pub(crate) fn go_on(&mut self, decided: Decided) {
        self.decided = Some(decided);
    }

    /// When the call that is being made is told of, if it has not come further by then; of the time
    /// before the process ran, nothing counts.
    pub(crate) fn slow_at(&self, runs_since: Time) -> Option<Time> {
        let decided = self.decided.as_ref().filter(|_| self.told.is_none())?;
        Some(decided.since.max(runs_since) + SLOW)
    }

    /// Whether the calls come further, if that is news.
    pub(crate) fn news(&mut self, runs_since: Time, now: Time) -> Option<Event> {
        let since = self.decided.as_ref().map(|decided| decided.since);
        if let Some(told) = self.told {
            let goes_on = since.is_none_or(|since| since > told);
            return goes_on.then(|| {
                self.told = None;
                Event::FilesAnswer
            });
        }
        let lasts = now.since(since?.max(runs_since));
        (lasts >= SLOW).then(|| {
            self.told = since;
            Event::FilesSlow { lasts }
        })
    }
}
