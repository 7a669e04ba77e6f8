//! The marks that tell later coordinators of the deaths that a job caused, if every node dies.

use std::collections::BTreeSet;

use super::hidden_text::label;
use crate::words::deaths::Deaths;
use crate::words::file::{FilePath, Folder};

/// An empty file `running/.LABEL.RUN.CAUSED.COUNT.deaths`: nodes died COUNT times while the job was
/// computed, those counted that died until CAUSED in that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeathMark {
    pub(super) path: FilePath,
    label: String,
    pub(super) run: String,
    pub(super) caused: u64,
    pub(super) count: u64,
    /// It is on the disk; else somebody began to write it, under this name with [`PART`] behind it.
    is_whole: bool,
}

const ENDING: &str = ".deaths";
const PART: &str = ".part";

impl DeathMark {
    /// Reads a mark's name; nothing for any other.
    pub(super) fn parse(file: &[u8]) -> Option<DeathMark> {
        let name = std::str::from_utf8(file).ok()?.strip_prefix('.')?;
        let part = name.strip_suffix(PART);
        let is_whole = part.is_none();
        let name = part.unwrap_or(name);
        // From the end, since the job's name may hold dots.
        let mut parts = name.strip_suffix(ENDING)?.rsplitn(4, '.');
        let count = parts.next()?.parse().ok()?;
        let caused = parts.next()?.parse().ok()?;
        Some(DeathMark {
            path: FilePath::new(Folder::Running, file),
            run: parts.next()?.to_owned(),
            label: parts.next()?.to_owned(),
            caused,
            count,
            is_whole,
        })
    }

    /// Whether it stands beside a job of this name.
    pub(super) fn is_of(&self, job: &str) -> bool {
        self.label == label(job)
    }
}

/// What is known of the deaths that one job may have caused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Charge {
    /// How often nodes died while it was computed. Once there were any, it is computed alone, so that
    /// the next ones are its own.
    pub(super) count: u64,
    /// Up to which death of this run they are counted.
    upto: u64,
    /// The marks that stand beside it.
    pub(super) marks: BTreeSet<FilePath>,
}

impl Charge {
    /// What the marks say that stand beside a job.
    pub(super) fn found<'a>(marks: impl Iterator<Item = &'a DeathMark>, run: &str) -> Charge {
        let mut charge = Charge::default();
        for mark in marks {
            charge.marks.insert(mark.path.clone());
            if !mark.is_whole {
                continue;
            }
            charge.count = charge.count.max(mark.count);
            if mark.run == run {
                charge.upto = charge.upto.max(mark.caused);
            }
        }
        charge
    }

    /// Counts the deaths since the last time; of one job among several nobody knows whether it caused
    /// any.
    pub(super) fn add(&mut self, deaths: Deaths, is_alone: bool) {
        let fresh = deaths.caused - deaths.charged.max(self.upto).min(deaths.caused);
        if fresh > 0 {
            self.count = if is_alone {
                self.count + fresh
            } else {
                self.count.max(1)
            };
            self.upto = deaths.caused;
        }
    }

    /// The mark that says so, and its name while it is written.
    pub(super) fn mark(&self, job: &str, run: &str) -> (FilePath, Vec<u8>) {
        let (label, upto, count) = (label(job), self.upto, self.count);
        let name = format!(".{label}.{run}.{upto}.{count}{ENDING}");
        let part = format!("{name}{PART}").into_bytes();
        (FilePath::new(Folder::Running, name), part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Charge {
        let marks = names.iter().map(|name| DeathMark::parse(name.as_bytes()));
        let marks: Vec<DeathMark> = marks.map(Option::unwrap).collect();
        Charge::found(marks.iter(), "r2")
    }

    fn deaths(caused: u64, charged: u64) -> Deaths {
        Deaths { caused, charged }
    }

    #[test]
    fn a_mark_is_read_as_it_was_made() {
        let long = "n".repeat(200);
        for name in ["ten", "a.b.c", "", &long] {
            let mut charge = Charge::default();
            charge.add(deaths(u64::MAX, 0), true);
            let (path, part) = charge.mark(name, "01234567");
            assert!(part.len() <= 143, "{}", part.escape_ascii());
            assert!(DeathMark::parse(&part).unwrap().is_of(name));
            let mark = DeathMark::parse(&path.name).unwrap();
            assert!(mark.is_of(name) && mark.path == path);
            assert_eq!((mark.caused, mark.count), (u64::MAX, u64::MAX));
        }
        for other in [
            "ten.r.1.1.deaths",
            ".ten.r.1.x.deaths",
            ".ten.r.1.1.part",
            ".deaths",
        ] {
            assert_eq!(DeathMark::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_death_counts_once_however_often_it_is_told() {
        let mut charge = found(&[".ten.r1.40.3.deaths", ".ten.r2.2.5.deaths"]);
        assert_eq!(charge.count, 5);
        let part = found(&[".ten.r2.9.9.deaths.part"]);
        assert_eq!(
            (part.count, part.marks.len()),
            (0, 1),
            "it may be on no disk"
        );
        charge.add(deaths(2, 0), true);
        assert_eq!(
            charge.count, 5,
            "its predecessor had marked it and could not say so"
        );
        charge.add(deaths(4, 0), true);
        charge.add(deaths(4, 2), true);
        assert_eq!(charge.count, 7);
    }

    #[test]
    fn one_of_several_is_under_suspicion_and_no_more() {
        let mut charge = Charge::default();
        charge.add(deaths(7, 0), false);
        charge.add(deaths(9, 7), false);
        assert_eq!(charge.count, 1);
        charge.add(deaths(11, 9), true);
        assert_eq!(charge.count, 3);
    }
}
