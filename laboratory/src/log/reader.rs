//! Parses lines into events.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::event::{Event, Life, Op};

/// A torn line. It may have contained one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Torn {
    /// Its position in the file, from 1.
    pub line: usize,
    /// The node that it was about, if the rest of it shows that.
    pub node: Option<u64>,
    /// The incarnation of that node, likewise.
    pub incarnation: Option<u64>,
}

impl Torn {
    fn of(line: usize, text: &[u8]) -> Torn {
        Torn {
            line,
            node: number(text, "\"node\":"),
            incarnation: number(text, "\"incarnation\":"),
        }
    }

    /// Whether it may have been about an incarnation.
    pub fn may_be_of(&self, life: Life) -> bool {
        self.node.is_none_or(|node| node == life.0)
            && self
                .incarnation
                .is_none_or(|incarnation| incarnation == life.1)
    }
}

/// The value of a key in the rest of a line, if something follows it: otherwise digits may be missing. A
/// quote within a value is escaped, so only a key looks like one.
fn number(text: &[u8], key: &str) -> Option<u64> {
    let mut places = text.windows(key.len());
    let found = places.position(|place| place == key.as_bytes())?;
    let value = text.get(found + key.len()..)?;
    let length = value.iter().position(|byte| !byte.is_ascii_digit())?;
    if !matches!(value[length], b',' | b'}') {
        return None;
    }
    std::str::from_utf8(&value[..length]).ok()?.parse().ok()
}

/// Lines of operations, nearly all lines of a long log: parsed without looking up each field by its name. A line
/// that differs in any way is parsed like all other events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Traced<'a> {
    ts: &'a str,
    mono_ns: u64,
    node: u64,
    incarnation: u64,
    pid: u64,
    term: u64,
    role: &'a str,
    event: &'a str,
    #[serde(borrow)]
    op: TracedOp<'a>,
    worker: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TracedOp<'a> {
    n: u64,
    kind: &'a str,
    level: u64,
    index: u64,
}

/// Parses lines into events, in file order.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The torn lines.
    pub(super) torn: Vec<Torn>,
    /// How many lines there were.
    pub(super) lines: usize,
    words: Words,
}

/// Words that occur in many events, each kept once.
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
    /// The event of the next line, given without its line end; none if the line contains no complete one.
    pub(super) fn take(&mut self, line: &[u8]) -> Option<Event> {
        self.lines += 1;
        if line.is_empty() {
            return None;
        }
        if let Some(event) = self.event(line) {
            return Some(event);
        }
        // The complete event at the end of a line that begins with a torn one.
        let mut starts = (1..line.len()).filter(|&at| line[at] == b'{');
        let whole = starts.find_map(|at| Some((at, self.event(&line[at..])?)));
        let torn = whole.as_ref().map_or(line, |&(at, _)| &line[..at]);
        self.torn.push(Torn::of(self.lines, torn));
        whole.map(|(_, event)| event)
    }

    fn event(&mut self, line: &[u8]) -> Option<Event> {
        self.traced(line).or_else(|| self.any(line))
    }

    /// The event of a line about an operation with the fields that all such lines have.
    fn traced(&mut self, line: &[u8]) -> Option<Event> {
        let line: Traced<'_> = serde_json::from_slice(line).ok()?;
        let words = &mut self.words;
        let ts = (words.share("ts"), Value::from(line.ts));
        let worker = line.worker;
        let worker = worker.map(|worker| (words.share("worker"), Value::from(worker)));
        Some(Event {
            line: self.lines,
            at: line.mono_ns,
            node: line.node,
            incarnation: line.incarnation,
            pid: line.pid,
            term: line.term,
            name: words.share(line.event),
            role: Some(words.share(line.role)),
            op: Some(Op {
                n: line.op.n,
                kind: words.share(line.op.kind),
                level: line.op.level,
                index: line.op.index,
            }),
            fields: [ts].into_iter().chain(worker).collect(),
        })
    }

    fn any(&mut self, line: &[u8]) -> Option<Event> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a line in both ways, if both apply.
    #[test]
    fn the_short_way_reads_what_the_long_one_reads() {
        let header = r#""ts":"now","mono_ns":5,"node":1,"incarnation":2,"pid":3,"term":4"#;
        let op = r#""op":{"n":9,"kind":"multiply","level":1,"index":0}"#;
        let tails = [
            r#""role":"worker","event":"computing","#,
            r#""role":"coordinator","event":"assigned","worker":7,"#,
            r#""role":"coordinator","event":"operation_reassigned","why":"deadline","#,
            r#""role":null,"event":"completed","#,
            r#""event":"completed","worker":null,"#,
            r#""role":"worker","event":"computed","worker":"two","#,
        ];
        let mut short = 0;
        for tail in tails {
            let line = format!("{{{header},{tail}{op}}}");
            let mut reader = Reader::default();
            let any = reader.any(line.as_bytes()).unwrap();
            let traced = reader.traced(line.as_bytes());
            short += usize::from(traced.is_some());
            let read = reader.event(line.as_bytes()).unwrap();
            assert_eq!(format!("{any:?}"), format!("{read:?}"));
        }
        assert_eq!(short, 2);
    }
}
