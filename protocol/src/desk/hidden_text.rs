//! Names under which texts stand in `running/` until they are delivered, and what they say.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::words::file::{FilePath, Folder};
use crate::words::id::{Epoch, Incarnation, NodeId, Term};

/// A name of at most so many bytes stands in hidden names as it is; of a longer one its beginning, and
/// a hash of it all. So a hidden name fits wherever the job's own does: the least that a file system in
/// use allows is 143 bytes.
const WHOLE_LABEL: usize = 60;
const CUT_LABEL: usize = 32;

/// A text under a hidden name: `.LABEL.RUN.EPOCH.done.txt`, `….failed.txt`, `….part`, or `….anew`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HiddenText {
    pub(super) path: FilePath,
    /// Stands for the job's name.
    label: String,
    pub(super) state: TextState,
    run: String,
    epoch: Epoch,
}

/// What a hidden text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextState {
    /// It is being written.
    Part,
    /// It is complete, for a job that is to end in this folder.
    CompleteFor(Folder),
    /// It is not the text of the job, which was committed: one must be made anew.
    Wrong,
}

/// The ends of hidden names, and what they say.
const ENDINGS: [(&str, TextState); 4] = [
    (".part", TextState::Part),
    (".done.txt", TextState::CompleteFor(Folder::Done)),
    (".failed.txt", TextState::CompleteFor(Folder::Failed)),
    (".anew", TextState::Wrong),
];

impl HiddenText {
    /// Reads a hidden name; nothing for any other.
    pub(super) fn parse(file: &[u8]) -> Option<HiddenText> {
        let name = std::str::from_utf8(file).ok()?.strip_prefix('.')?;
        let state = |&(ending, state)| Some((name.strip_suffix(ending)?, state));
        let (name, state) = ENDINGS.iter().find_map(state)?;
        // From the end, since the job's name may hold dots.
        let mut parts = name.rsplitn(5, '.');
        let incarnation = Incarnation(parts.next()?.parse().ok()?);
        let node = NodeId(parts.next()?.parse().ok()?);
        let term = Term(parts.next()?.parse().ok()?);
        Some(HiddenText {
            path: FilePath::new(Folder::Running, file),
            epoch: Epoch {
                term,
                node,
                incarnation,
            },
            run: parts.next()?.to_owned(),
            label: parts.next()?.to_owned(),
            state,
        })
    }

    /// Whether it was written for a job of this name.
    pub(super) fn is_of(&self, job: &str) -> bool {
        self.label == label(job)
    }

    /// The names of its job before and after it got a number, where both stand in the hidden name.
    pub(super) fn numbered(&self) -> Option<(&str, &str)> {
        let (name, number) = self.label.rsplit_once('.')?;
        let is_numbered = self.label.len() <= WHOLE_LABEL && number.parse::<u32>().is_ok();
        is_numbered.then_some((name, &self.label))
    }

    /// Whether it is being written in this coordinatorship of this run.
    pub(super) fn belongs_to(&self, run: &str, epoch: Epoch) -> bool {
        self.run == run && self.epoch == epoch
    }
}

/// The hidden name of a job's text in one coordinatorship of a run.
pub(super) fn hidden_path(job: &str, run: &str, epoch: Epoch, state: TextState) -> FilePath {
    let ending = ENDINGS.iter().find(|(_, of)| *of == state);
    let ending = ending.map_or("", |(ending, _)| ending);
    let label = label(job);
    FilePath::new(Folder::Running, format!(".{label}.{run}.{epoch}{ending}"))
}

/// What stands for a job's name in hidden names.
pub(super) fn label(name: &str) -> Cow<'_, str> {
    if name.len() <= WHOLE_LABEL {
        return name.into();
    }
    let cut = name.floor_char_boundary(CUT_LABEL);
    let hash = Sha256::digest(name);
    let hash: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Longer than any whole name.
    format!("{:~<CUT_LABEL$}{hash}", &name[..cut]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch {
        term: Term(1_000_000),
        node: NodeId(15),
        incarnation: Incarnation(1_000_000),
    };

    #[test]
    fn a_hidden_name_is_read_as_it_was_made() {
        let long = "n".repeat(200);
        for name in ["ten", "a.b.c", "", &long] {
            for (_, state) in ENDINGS {
                let path = hidden_path(name, "r1", EPOCH, state);
                let text = HiddenText::parse(&path.name).unwrap();
                assert!(text.is_of(name) && text.state == state && text.path == path);
                assert!(text.belongs_to("r1", EPOCH) && !text.belongs_to("r2", EPOCH));
            }
        }
        for other in [
            ".ten",
            "ten.1.1.1.r.part",
            ".ten.r.1.1.x.part",
            ".ten.r.1.1.1.txt",
        ] {
            assert_eq!(HiddenText::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn hidden_names_fit_wherever_the_name_of_a_job_does_and_tell_jobs_apart() {
        let mut names: Vec<String> = (0..=200).map(|length| "n".repeat(length)).collect();
        names.extend((0..=60).map(|length| format!("{}é{}", "n".repeat(length), "o".repeat(100))));
        names.push(label(&names[200]).into_owned());
        let hidden = |name: &String| {
            let path = hidden_path(
                name,
                "0123456789abcdef",
                EPOCH,
                TextState::CompleteFor(Folder::Failed),
            );
            assert!(path.name.len() <= 143, "{}", path.name.escape_ascii());
            path
        };
        let distinct: std::collections::BTreeSet<FilePath> = names.iter().map(hidden).collect();
        assert_eq!(distinct.len(), names.len());
    }
}
