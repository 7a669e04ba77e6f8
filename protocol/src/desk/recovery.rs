//! What earlier coordinators left in the jobs directory, found again: jobs that run, commits that
//! have no text, hidden files that nobody needs.

mod commits;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use crate::words::file::Folder;

/// The search for the jobs that earlier coordinators left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    /// What was found in the folders that have been listed.
    listed: BTreeMap<Folder, Vec<Vec<u8>>>,
    /// Jobs that were found and have not been read, or not the text that was left for them.
    pub(super) unread: BTreeSet<u64>,
    /// Factorials that no open job needs, to be forgotten once all that was found has been read.
    pub(super) unneeded: BTreeSet<u32>,
    /// Factorials that were held at the takeover and that no job needs of which that is known: one may
    /// need them whose file cannot be read yet.
    pub(super) doubtful: BTreeSet<u32>,
    /// All jobs that were there at the takeover have been read.
    settled: bool,
    /// The folders are being listed.
    searching: bool,
    /// Something happened since that asks for another search.
    again: bool,
    /// A regular look at the running jobs is on its way.
    looking: bool,
    /// Jobs whose file was gone, to be looked for by the next search.
    missed: BTreeSet<String>,
    /// Those that the search that is on its way looks for.
    sought: BTreeSet<String>,
}

impl Recovery {
    /// Whether all jobs that were running at the takeover are known.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether jobs may turn up that are not known yet, or not what they need.
    pub(super) fn is_open(&self) -> bool {
        self.searching || !self.unread.is_empty()
    }
}
