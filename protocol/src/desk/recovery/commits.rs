//! Commits of earlier coordinators whose text was not delivered.

use std::collections::{BTreeMap, BTreeSet};

use crate::desk::Desk;
use crate::desk::context::Context;
use crate::desk::deaths::DeathMark;
use crate::desk::hidden_text::{HiddenText, TextState};
use crate::desk::jobs::Stage;
use crate::desk::names::{job_file, job_name, text_file};
use crate::words::file::{FileCall, FilePath, FileTag, Folder};

impl Desk {
    /// Finishes every commit whose text was not delivered, and sweeps hidden files that nobody needs.
    ///
    /// A text goes from its hidden name only by taking its own, or when another of the job has taken it, so
    /// a committed job without a hidden file was delivered, and its text may have been collected since.
    /// Two coordinators may be at it at once, if one of them is stale: so each keeps what the other has
    /// written until the text has its name.
    pub(in crate::desk) fn finish_commits(
        &mut self,
        context: &mut Context<'_>,
        listed: &BTreeMap<Folder, Vec<Vec<u8>>>,
    ) {
        let mut hidden: Vec<HiddenText> = listed[&Folder::Running]
            .iter()
            .filter_map(|name| HiddenText::parse(name))
            .collect();
        for home in [Folder::Done, Folder::Failed] {
            let complete = TextState::CompleteFor(home);
            let tells = |text: &HiddenText| [complete, TextState::Wrong].contains(&text.state);
            if !hidden.iter().any(tells) {
                continue;
            }
            let names: BTreeSet<&[u8]> = listed[&home].iter().map(Vec::as_slice).collect();
            let open = self.jobs.names_in(home);
            for name in names.iter().filter_map(|name| job_name(name)) {
                let text = text_file(home, &name);
                if names.contains(text.name.as_slice()) || open.contains(&name) {
                    continue;
                }
                let left = |state| {
                    let mut hidden = hidden.iter();
                    hidden.position(|text| text.state == state && text.is_of(&name))
                };
                let text = match (left(complete), left(TextState::Wrong)) {
                    (Some(position), _) => Some(hidden.swap_remove(position).path),
                    (None, Some(_)) => None,
                    (None, None) => continue,
                };
                let others = hidden.extract_if(.., |text| tells(text) && text.is_of(&name));
                let others = others.map(|text| text.path).collect();
                self.finish_commit(context, name, home, text, others);
            }
        }
        self.finish_numbered(context, listed, &mut hidden);
        let marks = listed[&Folder::Running].iter();
        for mark in marks.filter_map(|name| DeathMark::parse(name)) {
            if !self.jobs.uses_mark(&mark) {
                context.call(FileTag::Sweep, FileCall::Remove(mark.path));
            }
        }
        for text in hidden {
            self.jobs.spare(&text);
            if !self.jobs.uses(&text, &context.config.run, context.epoch) {
                context.call(FileTag::Sweep, FileCall::Remove(text.path));
            }
        }
    }

    /// A committed job gets a number if its own is another's text: first its hidden text, and then its file.
    /// Goes on where somebody ended between the two.
    fn finish_numbered(
        &mut self,
        context: &mut Context<'_>,
        listed: &BTreeMap<Folder, Vec<Vec<u8>>>,
        hidden: &mut Vec<HiddenText>,
    ) {
        let stands = |folder, job: &str| {
            let file = job_file(folder, job).name;
            listed[&folder].contains(&file)
        };
        let is_between = |text: &HiddenText| {
            text.state == TextState::CompleteFor(Folder::Done)
                && text.numbered().is_some_and(|(name, numbered)| {
                    stands(Folder::Done, name)
                        && !stands(Folder::Done, numbered)
                        && !stands(Folder::Running, numbered)
                })
        };
        for text in hidden.extract_if(.., |text| is_between(text)) {
            let open = self.jobs.names_in(Folder::Done);
            if let Some((name, _)) = text.numbered()
                && !open.contains(name)
            {
                let name = name.to_owned();
                let text = Some(text.path);
                let key = self.finish_commit(context, name, Folder::Done, text, BTreeSet::new());
                if let Some(job) = self.jobs.get_mut(key) {
                    job.has_doubtful_text = true;
                }
            }
        }
    }

    fn finish_commit(
        &mut self,
        context: &mut Context<'_>,
        name: String,
        home: Folder,
        text: Option<FilePath>,
        others: BTreeSet<FilePath>,
    ) -> u64 {
        let key = self.add_found(name, home);
        if let Some(job) = self.jobs.get_mut(key) {
            job.text = text;
            job.spared = others;
            // Nobody could make the reasons anew.
            if home == Folder::Failed {
                job.stage = Stage::Naming;
                self.recovery.unread.remove(&key);
            }
        }
        self.issue(context, key);
        key
    }
}
