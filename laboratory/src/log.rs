//! Reading an event log.

use std::cmp::Ordering;
use std::fmt;
use std::fs;
use std::path::Path;

use nix::unistd::Pid;
use serde_json::Value;

/// The events of a run, in the order of the clock that all processes share.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What happened, sorted by time.
    pub events: Vec<Event>,
    /// Positions of the lines that are no event: a process or the disk ended within them.
    pub torn: Vec<usize>,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its position in the file, from 1.
    pub line: usize,
    /// The object that the line holds.
    pub fields: Value,
}

/// The name of an operation: a step of the plan of n!, see `protocol`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Op {
    /// The factorial that it belongs to.
    pub n: u64,
    /// What is done: multiply, or a step of the conversion to decimal.
    pub kind: String,
    /// Its level in the plan, 0 for the leaves.
    pub level: u64,
    /// Its position in the level.
    pub index: u64,
}

/// One life of a node: its ID and its incarnation.
pub type Life = (u64, u64);

impl Log {
    /// Reads a log file; an empty one if there is none.
    pub fn read(path: &Path) -> Log {
        Log::parse(&fs::read(path).unwrap_or_default())
    }

    /// Reads the text of a log. What is no whole event is counted and left out; a line may hold
    /// the beginning of one event and all of the next, which counts.
    pub fn parse(text: &[u8]) -> Log {
        let mut log = Log::default();
        let lines = text.split(|&byte| byte == b'\n').enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let position = index + 1;
            let whole = event(line);
            if whole.is_none() {
                log.torn.push(position);
            }
            if let Some(fields) = whole.or_else(|| rescue(line)) {
                log.events.push(Event {
                    line: position,
                    fields,
                });
            }
        }
        log.events.sort_by(Event::order);
        log
    }

    /// The events of a name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| event.name() == name)
    }

    /// Whether a torn line stands between two events.
    pub fn is_torn_between(&self, first: &Event, second: &Event) -> bool {
        let lines = first.line.min(second.line)..=first.line.max(second.line);
        self.torn.iter().any(|line| lines.contains(line))
    }
}

fn event(line: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let has = |field| value.get(field).is_some_and(Value::is_u64);
    let complete = has("mono_ns") && has("node") && has("incarnation");
    (complete && value["event"].is_string()).then_some(value)
}

/// The whole event at the end of a line that begins with a torn one.
fn rescue(line: &[u8]) -> Option<Value> {
    let mut starts = (1..line.len()).filter(|&at| line[at] == b'{');
    starts.find_map(|at| event(&line[at..]))
}

impl Event {
    fn order(&self, other: &Event) -> Ordering {
        (self.at(), self.line).cmp(&(other.at(), other.line))
    }

    /// What happened.
    pub fn name(&self) -> &str {
        self.fields["event"].as_str().unwrap_or_default()
    }

    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn at(&self) -> u64 {
        self.number("mono_ns")
    }

    /// The ID of the node that it tells of.
    pub fn node(&self) -> u64 {
        self.number("node")
    }

    /// Which life of that node.
    pub fn incarnation(&self) -> u64 {
        self.number("incarnation")
    }

    /// Node and incarnation.
    pub fn life(&self) -> Life {
        (self.node(), self.incarnation())
    }

    /// The process that it tells of.
    pub fn pid(&self) -> u64 {
        self.number("pid")
    }

    /// The term that was known then.
    pub fn term(&self) -> u64 {
        self.number("term")
    }

    /// A field that is a number; the greatest one if it is not.
    pub fn number(&self, field: &str) -> u64 {
        self.fields[field].as_u64().unwrap_or(u64::MAX)
    }

    /// A field that is text; empty if it is not.
    pub fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    /// The operation that it tells of, if any.
    pub fn op(&self) -> Option<Op> {
        let op = self.fields.get("op")?;
        Some(Op {
            n: op["n"].as_u64()?,
            kind: op["kind"].as_str()?.to_owned(),
            level: op["level"].as_u64()?,
            index: op["index"].as_u64()?,
        })
    }

    /// [`Event::pid`], for signals and comparisons; none of the system's if the line does not name one.
    pub fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid()).unwrap_or(i32::MAX))
    }

    /// Whether it has this name and tells of this node.
    pub fn is(&self, name: &str, node: u64) -> bool {
        self.name() == name && self.node() == node
    }

    /// Whether it is one of those that only `--trace-operations` writes.
    pub fn is_traced(&self) -> bool {
        matches!(
            self.name(),
            "assigned" | "computing" | "completed" | "checkpointed"
        )
    }

    /// An injected stall: it answered nothing for a while.
    pub fn is_stall(&self) -> bool {
        self.name() == "fault_injected" && self.text("do") == "stall"
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fields)
    }
}
