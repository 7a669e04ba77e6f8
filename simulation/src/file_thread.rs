//! The thread of a node that makes file calls: one after the other, each with a look at the fence
//! before it, and time between that look and the call. What is to be on the disk is waited for by
//! others, so that its reply comes after those of later calls.

use std::collections::VecDeque;

use protocol::event::Event;
use protocol::file::{FileCall, FileReply, FileTag, Folder};
use protocol::id::Epoch;

use crate::directory::Step;

/// The thread, and the queue in front of it.
#[derive(Debug, Default)]
pub(crate) struct FileThread {
    queue: VecDeque<Request>,
    /// Looked at, let through, and about to be made.
    decided: Option<Decided>,
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
    pub(crate) fn look(&mut self, highest: Epoch) -> Turn {
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
}
