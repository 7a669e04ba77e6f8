//! Events out of lines, one after the other, also while a log grows.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::event::{Event, Op};

/// Makes events of lines, in the order of the file.
#[derive(Debug, Default)]
pub struct Reader {
    /// Positions of the lines that were no event.
    pub torn: Vec<usize>,
    /// How many lines there were.
    lines: usize,
    words: Words,
}

/// Words that come up in many events, each kept once.
#[derive(Debug, Default)]
pub(super) struct Words {
    known: BTreeSet<Arc<str>>,
}

impl Words {
    pub(super) fn share(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.known.get(word) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = Arc::from(word);
        self.known.insert(Arc::clone(&shared));
        shared
    }
}

impl Reader {
    /// The event of the next line, which comes without its end; none if the line holds no whole one.
    pub fn take(&mut self, line: &[u8]) -> Option<Event> {
        self.lines += 1;
        if line.is_empty() {
            return None;
        }
        if let Some(event) = self.event(line) {
            return Some(event);
        }
        self.torn.push(self.lines);
        // The whole event at the end of a line that begins with a torn one.
        let mut starts = (1..line.len()).filter(|&at| line[at] == b'{');
        starts.find_map(|at| self.event(&line[at..]))
    }

    fn event(&mut self, line: &[u8]) -> Option<Event> {
        let Value::Object(mut all) = serde_json::from_slice(line).ok()? else {
            return None;
        };
        let mut number = |field| all.remove(field).and_then(|value| value.as_u64());
        let (at, node, incarnation) = (number("mono_ns")?, number("node")?, number("incarnation")?);
        let (pid, term) = (number("pid"), number("term"));
        let words = &mut self.words;
        let mut word = |field| {
            let value = all.remove(field)?;
            value.as_str().map(|text| words.share(text))
        };
        let (name, role) = (word("event")?, word("role"));
        let op = all.remove("op").and_then(|op| self.op(&op));
        let fields = all.into_iter();
        Some(Event {
            line: self.lines,
            at,
            node,
            incarnation,
            pid: pid.unwrap_or(u64::MAX),
            term: term.unwrap_or(u64::MAX),
            name,
            role,
            op,
            fields: fields
                .map(|(name, value)| (self.words.share(&name), value))
                .collect(),
        })
    }

    fn op(&mut self, op: &Value) -> Option<Op> {
        Some(Op {
            n: op["n"].as_u64()?,
            kind: self.words.share(op["kind"].as_str()?),
            level: op["level"].as_u64()?,
            index: op["index"].as_u64()?,
        })
    }
}

/// Reads a log file that grows.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    reader: Reader,
    /// What was read of a line that is not whole yet.
    begun: Vec<u8>,
}

impl Follower {
    /// Nothing is read yet; the file may be made later.
    pub fn new(path: &Path) -> Follower {
        Follower {
            path: path.to_owned(),
            file: None,
            reader: Reader::default(),
            begun: Vec::new(),
        }
    }

    /// The events that were written since the last time, in the order of the file.
    ///
    /// # Errors
    ///
    /// What `open(2)` and `read(2)` say, save that there is no file yet.
    pub fn read(&mut self) -> io::Result<Vec<Event>> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut self.begun)?;
        }
        let whole = self.begun.iter().rposition(|&byte| byte == b'\n');
        let rest = self.begun.split_off(whole.map_or(0, |end| end + 1));
        let lines = std::mem::replace(&mut self.begun, rest);
        let Some((_, lines)) = lines.split_last() else {
            return Ok(Vec::new());
        };
        let lines = lines.split(|&byte| byte == b'\n');
        Ok(lines.filter_map(|line| self.reader.take(line)).collect())
    }
}
