//! S4: one published result per job, equal to n!; and a job fails for a cause that there was.
//!
//! Relies on the order of the changes of the jobs directory, which is one place, and on the deaths that
//! there were until then. Results are computed here, without the protocol's help.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::file::{FilePath, Folder};

use super::casualties::Casualties;
use super::{Checker, on_change};
use crate::directory::{Change, File};
use crate::fact::Fact;
use crate::job::{Job, Verdict};

/// The committed jobs and their texts, by name.
#[derive(Debug, Default)]
pub struct Results {
    /// Committed job files, by folder and name.
    committed: BTreeMap<(Folder, Vec<u8>), Bytes>,
    /// The epochs whose texts were delivered.
    delivered: BTreeMap<(Folder, Vec<u8>), Vec<u64>>,
    casualties: Casualties,
    /// Those whose texts were taken away.
    collected: BTreeSet<(Folder, Vec<u8>)>,
}

impl Checker for Results {
    fn property(&self) -> &'static str {
        "S4"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        self.casualties.see(fact);
        match fact {
            Fact::Collected(text) => {
                let name = text.name.strip_suffix(b".txt").unwrap_or_default();
                self.collected.insert((text.folder, name.to_vec()));
                Ok(())
            }
            Fact::PowerLost(files) => {
                let jobs = files.iter().filter_map(|(path, file)| {
                    let name = path.name.strip_suffix(b".job")?;
                    Some(((path.folder, name.to_vec()), file.content.clone()))
                });
                self.committed = jobs.collect();
                // A name that was never on the disk comes back as it was before.
                self.collected.clear();
                Ok(())
            }
            _ => on_change(fact, |change| self.changed(change)),
        }
    }
}

impl Results {
    fn changed(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::Moved {
                from,
                to,
                file,
                clobbered,
            } => {
                unless_text(from, "was renamed")?;
                // A hidden text may be written again.
                if clobbered.is_some() && to.folder != Folder::Running {
                    return Err(format!("{} was renamed over {}", show(from), show(to)));
                }
                self.appeared(from, to, file)
            }
            Change::Written {
                path,
                before: Some(_),
                ..
            } => unless_text(path, "was written over"),
            Change::Removed { file, .. } if file.is_reservation() => Ok(()),
            Change::Written { .. } => Ok(()),
            Change::Removed { path, .. } => unless_text(path, "was removed"),
        }
    }

    fn appeared(&mut self, from: &FilePath, path: &FilePath, file: &File) -> Result<(), String> {
        if !matches!(path.folder, Folder::Done | Folder::Failed) {
            return Ok(());
        }
        if let Some(name) = path.name.strip_suffix(b".job") {
            let key = (path.folder, name.to_vec());
            self.collected.remove(&key);
            self.committed.insert(key, file.content.clone());
            return Ok(());
        }
        let Some(name) = path.name.strip_suffix(b".txt") else {
            return Err(format!("{} is neither a job nor a text", show(path)));
        };
        let key = (path.folder, name.to_vec());
        let epoch = epoch_of(from);
        let before = self.delivered.insert(key.clone(), epoch.clone());
        // A coordinator that went on after another had delivered may leave a text of its own, and
        // the other die before it finds that: nobody can tell it from one that was not delivered.
        let is_left_over = before.is_some_and(|before| epoch != before);
        if self.collected.contains(&key) && !is_left_over {
            return Err(format!("{} was collected, and came back", show(path)));
        }
        let Some(job) = self.committed.get(&key) else {
            return Err(format!(
                "{} appeared, and no such job was committed",
                show(path)
            ));
        };
        if file.open {
            return Err(format!("{} is half written", show(path)));
        }
        let right = match (Job::verdict(job), path.folder) {
            (Verdict::Results(text), Folder::Done) => text == file.content,
            (Verdict::Rejected, Folder::Failed) => !file.content.is_empty(),
            // No worker survives one of its operations, or no node the whole of it.
            (Verdict::Results(_), _) => self.casualties.explain(&file.content, job),
            (Verdict::Rejected, _) => false,
        };
        if right {
            return Ok(());
        }
        Err(format!(
            "{} of the job {:?} holds {:?}",
            show(path),
            String::from_utf8_lossy(job),
            String::from_utf8_lossy(&file.content)
        ))
    }
}

/// Term, node and incarnation of who wrote a hidden text.
fn epoch_of(hidden: &FilePath) -> Vec<u64> {
    let name = String::from_utf8_lossy(&hidden.name);
    let name = name
        .trim_end_matches(".done.txt")
        .trim_end_matches(".failed.txt");
    let mut numbers: Vec<u64> = name
        .rsplitn(4, '.')
        .take(3)
        .filter_map(|n| n.parse().ok())
        .collect();
    numbers.reverse();
    numbers
}

fn unless_text(path: &FilePath, what: &str) -> Result<(), String> {
    let published = matches!(path.folder, Folder::Done | Folder::Failed);
    if published && path.name.ends_with(b".txt") {
        return Err(format!("the published text {} {what}", show(path)));
    }
    Ok(())
}

pub(crate) fn show(path: &FilePath) -> String {
    let folder = match path.folder {
        Folder::Inbox => "",
        Folder::Running => "running/",
        Folder::Done => "done/",
        Folder::Failed => "failed/",
    };
    format!("{folder}{}", path.name.escape_ascii())
}
