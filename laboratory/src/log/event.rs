//! One line of an event log.

use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use nix::unistd::Pid;
use serde_json::{Map, Value};

/// One line of the log. Small, since a traced run has hundreds of thousands.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its position in the file, from 1.
    pub line: usize,
    pub(super) at: u64,
    pub(super) node: u64,
    pub(super) incarnation: u64,
    pub(super) pid: u64,
    pub(super) term: u64,
    pub(super) name: Arc<str>,
    pub(super) role: Option<Arc<str>>,
    pub(super) op: Option<Op>,
    /// The event's own fields, the operation aside, and the wall-clock time.
    pub fields: Fields,
}

/// Names and values. A missing one is null.
#[derive(Clone, Debug, Default)]
pub struct Fields(Box<[(Arc<str>, Value)]>);

/// The name of an operation in the plan of n!, see `protocol`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Op {
    /// The factorial that it belongs to.
    pub n: u64,
    /// Its kind: a multiplication, a step of the chain, or a part of one.
    pub kind: Arc<str>,
    /// Its level in the plan, 0 for the leaves; of a step or a part, the bit of the exponents.
    pub level: u64,
    /// Its position in the level.
    pub index: u64,
}

/// An incarnation of a node, with its ID.
pub type Life = (u64, u64);

impl Event {
    /// What happened.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The ID of the node that it is about.
    pub fn node(&self) -> u64 {
        self.node
    }

    /// The incarnation of that node.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Node and incarnation.
    pub fn life(&self) -> Life {
        (self.node, self.incarnation)
    }

    /// The process that it is about; the greatest number if the line names none.
    pub fn pid(&self) -> u64 {
        self.pid
    }

    /// [`Event::pid`], if the line has it.
    pub fn told_pid(&self) -> Option<u64> {
        (self.pid != u64::MAX).then_some(self.pid)
    }

    /// The highest known term; the greatest number if the line has none.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// [`Event::term`], if the line has it.
    pub fn told_term(&self) -> Option<u64> {
        (self.term != u64::MAX).then_some(self.term)
    }

    /// The node's role; empty if the writer did not know it.
    pub fn role(&self) -> &str {
        self.role.as_deref().unwrap_or_default()
    }

    /// One of its own fields that is a number; the greatest one if it is not.
    pub fn number(&self, field: &str) -> u64 {
        self.fields[field].as_u64().unwrap_or(u64::MAX)
    }

    /// One of its own fields that is text; empty if it is not.
    pub fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    /// The operation that it is about, if any.
    pub fn op(&self) -> Option<&Op> {
        self.op.as_ref()
    }

    /// [`Event::pid`], for signals and comparisons; an invalid one if the line names none.
    pub fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid).unwrap_or(i32::MAX))
    }

    /// Whether it has this name and is about this node.
    pub fn is(&self, name: &str, node: u64) -> bool {
        self.name() == name && self.node == node
    }

    /// Whether the supervisor wrote it, about a node: the term is then what the supervisor knew.
    pub fn is_of_supervisor(&self) -> bool {
        self.name.starts_with("node_") || self.name() == "events_lost"
    }

    /// Whether only `--trace-operations` writes such events.
    pub fn is_traced(&self) -> bool {
        matches!(
            self.name(),
            "assigned" | "computing" | "completed" | "checkpointed"
        )
    }

    /// The exit of its process by SIGKILL, as the supervisor would have logged it.
    pub(super) fn exit_of(&self, line: usize, at: u64) -> Event {
        let signal = (Arc::from("signal"), Value::from("SIGKILL"));
        Event {
            line,
            at,
            name: Arc::from("node_exited"),
            role: None,
            op: None,
            fields: Fields::from_iter([signal]),
            ..self.clone()
        }
    }

    /// What remains when its operation does not matter: that its writer was alive.
    pub(crate) fn without_operation(self, name: &Arc<str>) -> Event {
        Event {
            name: Arc::clone(name),
            role: None,
            op: None,
            fields: Fields::default(),
            ..self
        }
    }

    /// Whether it is an injected stall.
    pub fn is_stall(&self) -> bool {
        self.name() == "fault_injected" && self.text("do") == "stall"
    }

    /// Its fields beyond those that all events have, including the operation.
    pub fn own(&self) -> Map<String, Value> {
        let fields = self.fields.0.iter();
        let fields = fields
            .filter(|(name, _)| **name != *"ts")
            .map(|(name, value)| (name.to_string(), value.clone()));
        let op = self.op.as_ref().map(|op| ("op".to_owned(), op.to_json()));
        fields.chain(op).collect()
    }

    /// As in the file.
    pub fn to_json(&self) -> Value {
        let header = [
            ("mono_ns", self.at),
            ("node", self.node),
            ("incarnation", self.incarnation),
            ("pid", self.pid),
            ("term", self.term),
        ];
        let mut all: Map<String, Value> = header
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into_iter()
            .collect();
        all.insert("role".to_owned(), self.role.as_deref().into());
        all.insert("event".to_owned(), self.name().into());
        all.insert("ts".to_owned(), self.fields["ts"].clone());
        all.extend(self.own());
        Value::Object(all)
    }
}

impl Op {
    /// Its name without its n!: the plan, which determines what it multiplies, is not known here.
    pub(crate) fn name(&self) -> String {
        let Op {
            kind, level, index, ..
        } = self;
        match &**kind {
            "step" => format!("step to F{level}"),
            "part" => format!("part {} of F{level}", index.saturating_add(1)),
            "multiply" => format!("multiplication {index} of level {level}"),
            _ => format!("{kind} {index} of level {level}"),
        }
    }

    fn to_json(&self) -> Value {
        serde_json::json!({
            "n": self.n, "kind": &*self.kind, "level": self.level, "index": self.index,
        })
    }
}

/// As in `multiplication 3 of level 1 of 1000!`.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}!", self.name(), self.n)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.to_json())
    }
}

impl Index<&str> for Fields {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        const NONE: &Value = &Value::Null;
        let mut all = self.0.iter();
        all.find(|(known, _)| **known == *name)
            .map_or(NONE, |(_, value)| value)
    }
}

impl FromIterator<(Arc<str>, Value)> for Fields {
    fn from_iter<T: IntoIterator<Item = (Arc<str>, Value)>>(all: T) -> Fields {
        Fields(all.into_iter().collect())
    }
}
