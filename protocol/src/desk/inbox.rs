//! Intake: what is dropped into the jobs directory is claimed, by a rename that clobbers nothing,
//! before anybody reads it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use glob::Pattern;

use super::job;
use super::jobs::{job_file, text_file};
use super::still::{QUIET, Seen, Still};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::words::file::{FileCall, FilePath, FileReply, FileTag, Folder, Probe};
use crate::words::printable::printable;
use crate::words::status::Ignored;
use crate::words::time::Untimed;
use crate::words::timer::Timer;

/// The jobs directory is scanned this often, whether or not anybody said that it changed.
const RESCAN: Duration = Duration::from_secs(2);
/// After a scan the next one waits as long as the scan took, and at most this long, however often the
/// directory changes: the small file that somebody writes and renames must not wait for nothing.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// Where listings take longer than [`DEBOUNCE`] and find no job, one time in so many is spent on them.
const SHARE: u32 = 20;
/// A dropped file that is not complete for so long is mentioned.
const MENTION_AFTER: Duration = Duration::from_secs(5);
/// So many numbers are tried in their order for a name that is taken.
const IN_ORDER: u32 = 3;
/// Most files that are named, of those that cannot be claimed and of those that are not complete: one
/// thing may be in the way of all.
const MOST_NAMED: usize = 10;
/// Most names of which the last number is known.
const NUMBERED_NAMES: usize = 1_024;
/// Most jobs that are open, or about to be, at once. The rest stay in the inbox.
pub(crate) const OPEN_LIMIT: usize = 256;

/// What the coordinator knows of the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Inbox {
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
    pub(crate) fn ignored(&self) -> Option<&Ignored> {
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

impl Coordinator {
    /// The jobs directory may have changed: look at once, or, after a scan, a little later. While
    /// there is a backlog the change may be our own claims, and what is new can wait for its end.
    pub(crate) fn inbox_changed(&mut self, core: &mut Core) {
        self.inbox.changed = true;
        if !core.timers.is_armed(Timer::Debounce) {
            self.debounced(core);
        }
    }

    /// Asks for a listing, unless one is on its way or the jobs of earlier coordinators have not
    /// all been found yet.
    pub(crate) fn scan_inbox(&mut self, core: &mut Core) {
        if !self.jobs.settled() {
            return;
        }
        // However often somebody hints at a change: `running/` is looked at by the regular scan alone.
        let due = core.after(RESCAN);
        core.timers.arm_if_idle(Timer::Rescan, due);
        if self.inbox.listing.is_some() {
            return;
        }
        self.inbox.listing = Some(Untimed(core.now()));
        self.inbox.changed = false;
        self.call(
            core,
            FileTag::Folder(Folder::Inbox),
            FileCall::List(Folder::Inbox),
        );
    }

    /// The debounce is over.
    pub(crate) fn debounced(&mut self, core: &mut Core) {
        if self.inbox.changed && self.inbox.backlog.is_empty() {
            self.scan_inbox(core);
        }
    }

    /// The inbox was listed.
    pub(crate) fn inbox_listed(&mut self, core: &mut Core, reply: FileReply) {
        let now = core.now();
        let asked = self.inbox.listing.take();
        let took = asked.map_or(DEBOUNCE, |asked| now.since(asked.0));
        let listed = if let FileReply::Listed(names) = reply {
            self.inbox.keep(names, &core.accept);
            true
        } else {
            false
        };
        let found = listed && !self.inbox.backlog.is_empty();
        let slow = took > DEBOUNCE && !found;
        let pause = if std::mem::replace(&mut self.inbox.slow, slow) && slow {
            (took * SHARE).min(RESCAN)
        } else {
            took.min(DEBOUNCE)
        };
        let due = core.after(pause);
        core.timers.arm_if_idle(Timer::Debounce, due);
        if listed {
            self.take_in(core);
        }
    }

    /// Looks at dropped files while there is room for jobs.
    pub(crate) fn take_in(&mut self, core: &mut Core) {
        let free = OPEN_LIMIT.saturating_sub(self.jobs.places());
        while self.inbox.dropped.len() < free {
            let Some(name) = self.inbox.backlog.pop_front() else {
                if self.inbox.changed {
                    let due = core.after(DEBOUNCE);
                    core.timers.arm_if_idle(Timer::Debounce, due);
                }
                return;
            };
            if !self.inbox.dropped.contains_key(&name) {
                self.inbox.dropped.insert(name.clone(), Dropped::Probing);
                let path = FilePath::new(Folder::Inbox, name.clone());
                self.call(core, FileTag::Dropped(name), FileCall::Probe(path));
            }
        }
    }

    /// A call for a dropped file ended.
    pub(crate) fn dropped_done(&mut self, core: &mut Core, file: Vec<u8>, reply: FileReply) {
        match (self.inbox.dropped.remove(&file), reply) {
            (Some(Dropped::Probing), FileReply::Probed(probe)) => self.probed(core, file, probe),
            // It is read, and rejected, once it is claimed.
            (Some(Dropped::Probing), FileReply::NotAFile(_)) => self.name(core, file),
            (Some(Dropped::Probing), FileReply::Denied(_)) => {
                self.wait_and_see(core, file, Seen::Denied);
            }
            (Some(Dropped::Naming(claim)), FileReply::Existing(taken)) if taken.is_empty() => {
                self.claim(core, file, claim);
            }
            (
                Some(Dropped::Naming(claim) | Dropped::Claiming(claim)),
                FileReply::Existing(_) | FileReply::Taken,
            ) => {
                let suffix = self.inbox.number_after(&claim.name, claim.suffix);
                self.check_name(core, file, Claim { suffix, ..claim });
            }
            (Some(Dropped::Claiming(claim)), FileReply::Ok) => {
                let still = self.inbox.unsettled.remove(&file);
                let name = suffixed(&claim.name, claim.suffix);
                self.claimed(core, name, claim.rejected, still);
            }
            (Some(Dropped::Naming(claim) | Dropped::Claiming(claim)), FileReply::Never(error))
                if claim.name.len() > job::SHORT_NAME_BYTES =>
            {
                let name = job::shortened(&claim.name);
                core.warn(format!(
                    "job {}: its name does not fit here ({error}), so it is called {name}",
                    printable(&claim.name)
                ));
                self.check_name(core, file, Claim::new(name, claim.rejected));
            }
            (
                Some(_),
                FileReply::Failed(error) | FileReply::Full(error) | FileReply::Never(error),
            ) => {
                self.cannot_claim(core, file, &error);
            }
            // It is gone: somebody else took it.
            _ => {}
        }
        self.take_in(core);
    }

    /// Tells once of a file that stays in the inbox, unless of many; the next scan tries again.
    fn cannot_claim(&mut self, core: &mut Core, file: Vec<u8>, error: &str) {
        let name = file.escape_ascii().to_string();
        if self.inbox.unclaimable.insert(file) && self.inbox.unclaimable.len() <= MOST_NAMED {
            core.warn(format!(
                "cannot claim the dropped file {name}, trying again: {error}"
            ));
        }
    }

    fn probed(&mut self, core: &mut Core, file: Vec<u8>, probe: Probe) {
        match probe {
            Probe::Complete => {
                self.inbox.unsettled.remove(&file);
                self.name(core, file);
            }
            // Its close will be seen; if not, the rescan finds it.
            Probe::Busy => self.note_incomplete(core, &file, "nobody has it open for writing"),
            Probe::Empty => self.wait_and_see(core, file, Seen::Empty),
            Probe::Unknown { stamp } => self.wait_and_see(core, file, Seen::Stamp(stamp)),
        }
    }

    /// Tells once, unless of many, of a file that is not complete for long.
    fn note_incomplete(&mut self, core: &mut Core, file: &[u8], taken_when: &str) {
        let now = core.now();
        let incomplete = &mut self.inbox.incomplete;
        let (since, told) = incomplete
            .entry(file.to_vec())
            .or_insert((Untimed(now), false));
        if *told || now.since(since.0) < MENTION_AFTER {
            return;
        }
        *told = true;
        if incomplete.values().filter(|(_, told)| *told).count() <= MOST_NAMED {
            let name = file.escape_ascii();
            core.warn(format!(
                "{name}: somebody still writes it; it is taken when {taken_when}"
            ));
        }
    }

    /// Takes a file that has held still for long enough; else looks again.
    fn wait_and_see(&mut self, core: &mut Core, file: Vec<u8>, seen: Seen) {
        let mut still = self.inbox.unsettled.remove(&file);
        let settled = Still::sees(&mut still, seen, core.now());
        if let Some(still) = still {
            self.inbox.unsettled.insert(file.clone(), still);
        }
        if settled {
            self.name(core, file);
        } else {
            if let Seen::Stamp(_) = seen {
                self.note_incomplete(core, &file, "it has held still for 500 ms");
            }
            self.inbox.changed = true;
            let due = core.after(QUIET);
            core.timers.arm(Timer::Debounce, due);
        }
    }

    fn name(&mut self, core: &mut Core, file: Vec<u8>) {
        self.inbox.incomplete.remove(&file);
        let (name, rejected) = match job::name_of(&file) {
            Ok(name) => (name, None),
            Err((name, reason)) => (name, Some(reason)),
        };
        self.check_name(core, file, Claim::new(name, rejected));
    }

    /// A name is free if no open job has it and it stands in no folder, as a job or as a text. Of `running/` the claim itself tells:
    /// it replaces nothing.
    fn check_name(&mut self, core: &mut Core, file: Vec<u8>, mut claim: Claim) {
        let mut name = suffixed(&claim.name, claim.suffix);
        // Somebody may have collected the job's file, whose text still has to get its name.
        while self.jobs.has_name(&name) {
            claim.suffix = self.inbox.number_after(&claim.name, claim.suffix);
            name = suffixed(&claim.name, claim.suffix);
        }
        let folders = [Folder::Done, Folder::Failed];
        let jobs = folders.iter().map(|&folder| job_file(folder, &name));
        let texts = folders.iter().map(|&folder| text_file(folder, &name));
        let paths = jobs.chain(texts).collect();
        self.inbox
            .dropped
            .insert(file.clone(), Dropped::Naming(claim));
        self.call(core, FileTag::Dropped(file), FileCall::Exist(paths));
    }

    fn claim(&mut self, core: &mut Core, file: Vec<u8>, claim: Claim) {
        let call = FileCall::Rename {
            from: FilePath::new(Folder::Inbox, file.clone()),
            to: job_file(Folder::Running, &suffixed(&claim.name, claim.suffix)),
        };
        self.inbox
            .dropped
            .insert(file.clone(), Dropped::Claiming(claim));
        self.call(core, FileTag::Dropped(file), call);
    }
}

/// A job's name with its suffix: `ten`, `ten.2`, `ten.3`.
pub(crate) fn suffixed(name: &str, suffix: u32) -> String {
    if suffix < 2 {
        name.to_owned()
    } else {
        format!("{name}.{suffix}")
    }
}
