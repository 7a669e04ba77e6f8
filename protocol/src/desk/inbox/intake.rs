//! Intake: what is dropped into the jobs directory is claimed, by a rename that clobbers nothing,
//! before anybody reads it.

use std::time::Duration;

use super::{Claim, Dropped, OPEN_LIMIT};
use crate::desk::Desk;
use crate::desk::context::Context;
use crate::desk::job;
use crate::desk::names::{job_file, suffixed, text_file};
use crate::desk::still::{QUIET, Seen, Still};
use crate::words::file::{FileCall, FilePath, FileReply, FileTag, Folder, Probe};
use crate::words::printable::printable;
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
/// Most files that are named, of those that cannot be claimed and of those that are not complete: one
/// thing may be in the way of all.
const MOST_NAMED: usize = 10;

impl Desk {
    /// The jobs directory may have changed: look at once, or, after a scan, a little later. While
    /// there is a backlog the change may be our own claims, and what is new can wait for its end.
    pub(crate) fn inbox_changed(&mut self, context: &mut Context<'_>) {
        self.inbox.changed = true;
        if !context.timers.is_armed(Timer::Debounce) {
            self.debounced(context);
        }
    }

    /// Asks for a listing, unless one is on its way or the jobs of earlier coordinators have not
    /// all been found yet.
    pub(in crate::desk) fn scan_inbox(&mut self, context: &mut Context<'_>) {
        if !self.recovery.is_settled() {
            return;
        }
        // However often somebody hints at a change: `running/` is looked at by the regular scan alone.
        context.arm_if_idle(Timer::Rescan, RESCAN);
        if self.inbox.listing.is_some() {
            return;
        }
        self.inbox.listing = Some(Untimed(context.now));
        self.inbox.changed = false;
        context.call(
            FileTag::Folder(Folder::Inbox),
            FileCall::List(Folder::Inbox),
        );
    }

    /// The debounce is over.
    pub(in crate::desk) fn debounced(&mut self, context: &mut Context<'_>) {
        if self.inbox.changed && self.inbox.backlog.is_empty() {
            self.scan_inbox(context);
        }
    }

    /// The inbox was listed.
    pub(in crate::desk) fn inbox_listed(&mut self, context: &mut Context<'_>, reply: FileReply) {
        let now = context.now;
        let asked = self.inbox.listing.take();
        let took = asked.map_or(DEBOUNCE, |asked| now.since(asked.0));
        let listed = if let FileReply::Listed(names) = reply {
            self.inbox.keep(names, context.accept);
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
        context.arm_if_idle(Timer::Debounce, pause);
        if listed {
            self.take_in(context);
        }
    }

    /// Looks at dropped files while there is room for jobs.
    pub(in crate::desk) fn take_in(&mut self, context: &mut Context<'_>) {
        let free = OPEN_LIMIT.saturating_sub(self.jobs.places());
        while self.inbox.dropped.len() < free {
            let Some(name) = self.inbox.backlog.pop_front() else {
                if self.inbox.changed {
                    context.arm_if_idle(Timer::Debounce, DEBOUNCE);
                }
                return;
            };
            if !self.inbox.dropped.contains_key(&name) {
                self.inbox.dropped.insert(name.clone(), Dropped::Probing);
                let path = FilePath::new(Folder::Inbox, name.clone());
                context.call(FileTag::Dropped(name), FileCall::Probe(path));
            }
        }
    }

    /// A call for a dropped file ended.
    pub(in crate::desk) fn dropped_done(
        &mut self,
        context: &mut Context<'_>,
        file: Vec<u8>,
        reply: FileReply,
    ) {
        match (self.inbox.dropped.remove(&file), reply) {
            (Some(Dropped::Probing), FileReply::Probed(probe)) => self.probed(context, file, probe),
            // It is read, and rejected, once it is claimed.
            (Some(Dropped::Probing), FileReply::NotAFile(_)) => self.name(context, file),
            (Some(Dropped::Probing), FileReply::Denied(_)) => {
                self.wait_and_see(context, file, Seen::Denied);
            }
            (Some(Dropped::Naming(claim)), FileReply::Existing(taken)) if taken.is_empty() => {
                self.claim(context, file, claim);
            }
            (
                Some(Dropped::Naming(claim) | Dropped::Claiming(claim)),
                FileReply::Existing(_) | FileReply::Taken,
            ) => {
                let suffix = self.inbox.number_after(&claim.name, claim.suffix);
                self.check_name(context, file, Claim { suffix, ..claim });
            }
            (Some(Dropped::Claiming(claim)), FileReply::Ok) => {
                let still = self.inbox.unsettled.remove(&file);
                let name = suffixed(&claim.name, claim.suffix);
                self.claimed(context, name, claim.rejected, still);
            }
            (Some(Dropped::Naming(claim) | Dropped::Claiming(claim)), FileReply::Never(error))
                if claim.name.len() > job::SHORT_NAME_BYTES =>
            {
                let name = job::shortened(&claim.name);
                context.warn(format!(
                    "job {}: its name does not fit here ({error}), so it is called {name}",
                    printable(&claim.name)
                ));
                self.check_name(context, file, Claim::new(name, claim.rejected));
            }
            (
                Some(_),
                FileReply::Failed(error) | FileReply::Full(error) | FileReply::Never(error),
            ) => {
                self.cannot_claim(context, file, &error);
            }
            // It is gone: somebody else took it.
            _ => {}
        }
        self.take_in(context);
    }

    /// Tells once of a file that stays in the inbox, unless of many; the next scan tries again.
    fn cannot_claim(&mut self, context: &mut Context<'_>, file: Vec<u8>, error: &str) {
        let name = file.escape_ascii().to_string();
        if self.inbox.unclaimable.insert(file) && self.inbox.unclaimable.len() <= MOST_NAMED {
            context.warn(format!(
                "cannot claim the dropped file {name}, trying again: {error}"
            ));
        }
    }

    fn probed(&mut self, context: &mut Context<'_>, file: Vec<u8>, probe: Probe) {
        match probe {
            Probe::Complete => {
                self.inbox.unsettled.remove(&file);
                self.name(context, file);
            }
            // Its close will be seen; if not, the rescan finds it.
            Probe::Busy => self.note_incomplete(context, &file, "nobody has it open for writing"),
            Probe::Empty => self.wait_and_see(context, file, Seen::Empty),
            Probe::Unknown { stamp } => self.wait_and_see(context, file, Seen::Stamp(stamp)),
        }
    }

    /// Tells once, unless of many, of a file that is not complete for long.
    fn note_incomplete(&mut self, context: &mut Context<'_>, file: &[u8], taken_when: &str) {
        let now = context.now;
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
            context.warn(format!(
                "{name}: somebody still writes it; it is taken when {taken_when}"
            ));
        }
    }

    /// Takes a file that has held still for long enough; else looks again.
    fn wait_and_see(&mut self, context: &mut Context<'_>, file: Vec<u8>, seen: Seen) {
        let mut still = self.inbox.unsettled.remove(&file);
        let settled = Still::sees(&mut still, seen, context.now);
        if let Some(still) = still {
            self.inbox.unsettled.insert(file.clone(), still);
        }
        if settled {
            self.name(context, file);
        } else {
            if let Seen::Stamp(_) = seen {
                self.note_incomplete(context, &file, "it has held still for 500 ms");
            }
            self.inbox.changed = true;
            let due = context.after(QUIET);
            context.timers.arm(Timer::Debounce, due);
        }
    }

    fn name(&mut self, context: &mut Context<'_>, file: Vec<u8>) {
        self.inbox.incomplete.remove(&file);
        let (name, rejected) = match job::name_of(&file) {
            Ok(name) => (name, None),
            Err((name, reason)) => (name, Some(reason)),
        };
        self.check_name(context, file, Claim::new(name, rejected));
    }

    /// A name is free if no open job has it and it stands in no folder, as a job or as a text. Of `running/` the claim itself tells:
    /// it replaces nothing.
    fn check_name(&mut self, context: &mut Context<'_>, file: Vec<u8>, mut claim: Claim) {
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
        context.call(FileTag::Dropped(file), FileCall::Exist(paths));
    }

    fn claim(&mut self, context: &mut Context<'_>, file: Vec<u8>, claim: Claim) {
        let call = FileCall::Rename {
            from: FilePath::new(Folder::Inbox, file.clone()),
            to: job_file(Folder::Running, &suffixed(&claim.name, claim.suffix)),
        };
        self.inbox
            .dropped
            .insert(file.clone(), Dropped::Claiming(claim));
        context.call(FileTag::Dropped(file), call);
    }
}
