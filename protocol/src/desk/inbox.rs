//! What is known of the inbox: the files that are about to be claimed, and those that are no jobs.

mod intake;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use glob::Pattern;

use super::job;
use super::still::Still;
use crate::words::status::Ignored;
use crate::words::time::Untimed;

/// So many numbers are tried in their order for a name that is taken.
const IN_ORDER: u32 = 3;
/// Most names of which the last number is known.
const NUMBERED_NAMES: usize = 1_024;
/// Most jobs that are open, or about to be, at once. The rest stay in the inbox.
pub(super) const OPEN_LIMIT: usize = 256;

/// What the coordinator knows of the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Inbox {
    /// A listing is on its way, and since when.
    listing: Option<Untimed>,
    /// The directory changed since the listing was asked for.
    changed: bool,
    /// The last listing took long and found no job. One alone may have waited for something else.
    slow: bool,
    /// Names of the last listing that are still to be looked at.
    backlog: VecDeque<Vec<u8>>,
    /// Files on their way to being claimed.
    dropped: BTreeMap<Vec<u8>, Dropped>,
    /// Files of which only time can tell what they are.
    unsettled: BTreeMap<Vec<u8>, Still>,
    /// Files that are not complete: since when, and whether somebody was told.
    incomplete: BTreeMap<Vec<u8>, (Untimed, bool)>,
    /// Files that could not be claimed; of the first few somebody was told.
    unclaimable: BTreeSet<Vec<u8>>,
    /// What is no job; none before the first listing.
    ignored: Option<Ignored>,
    /// The last number that was tried for a name that is taken often: what comes next does not try
    /// all of them again.
    numbers: BTreeMap<String, u32>,
}

/// A dropped file that is about to be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Dropped {
    /// Is it complete?
    Probing,
    /// Is the name free?
    Naming(Claim),
    /// The rename is on its way.
    Claiming(Claim),
}

/// The claim of one dropped file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claim {
    /// The job's name before any suffix.
    name: String,
    /// 1 for the name itself, else the number that is appended to it.
    suffix: u32,
    /// Why the job is rejected unread, if it is.
    rejected: Option<String>,
}

impl Claim {
    fn new(name: String, rejected: Option<String>) -> Claim {
        Claim {
            name,
            suffix: 1,
            rejected,
        }
    }
}

impl Inbox {
    /// The files that are no jobs; none before the first look.
    pub(super) fn ignored(&self) -> Option<&Ignored> {
        self.ignored.as_ref()
    }

    /// Sorts the names of a listing into jobs, to be looked at, and the rest.
    fn keep(&mut self, mut names: Vec<Vec<u8>>, accept: &[Pattern]) {
        names.retain(|name| !job::is_ignored(name));
        names.sort_unstable();
        let is_job = |name: &Vec<u8>| job::is_job(name, accept);
        let (names, others): (Vec<_>, Vec<_>) = names.into_iter().partition(is_job);
        self.ignored = Some(Ignored::of(&others));
        let present: BTreeSet<&Vec<u8>> = names.iter().collect();
        self.unsettled.retain(|name, _| present.contains(name));
        self.incomplete.retain(|name, _| present.contains(name));
        self.unclaimable.retain(|name| present.contains(name));
        self.backlog = names.into();
    }

    /// The number to try for a name after one that is taken: the first few in their order, then one
    /// that nobody has tried yet.
    fn number_after(&mut self, name: &str, number: u32) -> u32 {
        if number < IN_ORDER {
            return number + 1;
        }
        if self.numbers.len() >= NUMBERED_NAMES && !self.numbers.contains_key(name) {
            self.numbers.clear();
        }
        let last = self.numbers.entry(name.to_owned()).or_insert(number);
        *last = (*last).max(number) + 1;
        *last
    }
}
