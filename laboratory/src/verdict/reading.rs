//! Reads a log to judge it: lines that no law needs are discarded at once, see [`super::ordinary`].

use std::io::{self, BufReader, Read, Seek};

use super::Run;
use super::ordinary::Survey;
use crate::log::parts::{self, Part};
use crate::log::{Log, Text};

/// Reads the files of a run, oldest first, for a verdict and nothing else. Each is read twice, as far as it went the
/// first time.
///
/// # Errors
///
/// One of them cannot be read.
pub fn read_parts(parts: &[Part]) -> io::Result<Log> {
    let is_cut = !parts::are_all(parts);
    let (mut survey, mut text) = (Survey::new(is_cut), Text::default());
    let mut lengths = Vec::new();
    for part in parts {
        lengths.push(text.read(BufReader::new(&part.file), |event| survey.take(event))?);
    }
    let (mut gathering, mut again) = (survey.end(), Text::default());
    for (part, length) in parts.iter().zip(lengths) {
        let mut file = &part.file;
        file.rewind()?;
        again.read(BufReader::new(file.take(length)), |event| {
            gathering.take(event);
        })?;
    }
    Ok(gathering.end(text.end(is_cut)))
}

impl Run {
    /// The same as read by [`read_parts`], with the same verdict.
    #[must_use]
    pub fn without_ordinary(&self) -> Run {
        let log = &self.log;
        let events = log.in_order_of_lines();
        let mut survey = Survey::new(log.is_cut);
        events.iter().for_each(|&event| survey.take(event.clone()));
        let mut gathering = survey.end();
        events
            .iter()
            .for_each(|&event| gathering.take(event.clone()));
        Run {
            log: gathering.end(log.clone()),
            ..self.clone()
        }
    }
}
