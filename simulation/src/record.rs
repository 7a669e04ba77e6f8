//! The trace of a run, and how it is printed: a lane a node, time downwards.

use std::fmt::Write;

use protocol::id::NodeId;
use protocol::time::Time;

/// Longest text of an entry that is kept.
const TEXT: usize = 360;

/// What happened, in order, if anybody wants to know.
#[derive(Debug, Default)]
pub struct Record {
    on: bool,
    entries: Vec<Entry>,
    /// What each node is at present, as its lane shows it.
    lanes: Vec<Lane>,
}

/// What a node is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Dead,
    Stopped,
    Alive,
    Acting,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    /// Where it happened; nowhere for what a person or the supervisor does.
    node: Option<NodeId>,
    /// Whose message it was.
    from: Option<NodeId>,
    /// Only of interest to somebody who looks at everything.
    minor: bool,
    lanes: Vec<Lane>,
    text: String,
}

impl Record {
    /// A record that keeps what it is told, or does not.
    pub(crate) fn new(on: bool, nodes: u8) -> Record {
        Record {
            on,
            entries: Vec::new(),
            lanes: vec![Lane::Dead; usize::from(nodes)],
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn lane(&mut self, node: NodeId, lane: Lane) {
        self.lanes[usize::from(node.0)] = lane;
    }

    /// Something that the world did.
    pub(crate) fn note(&mut self, at: Time, node: Option<NodeId>, text: impl FnOnce() -> String) {
        self.enter(at, node, None, false, text);
    }

    pub(crate) fn enter(
        &mut self,
        at: Time,
        node: Option<NodeId>,
        from: Option<NodeId>,
        minor: bool,
        text: impl FnOnce() -> String,
    ) {
        if !self.on {
            return;
        }
        let mut text = text();
        if let Some((end, _)) = text.char_indices().nth(TEXT) {
            text.truncate(end);
            text.push('…');
        }
        self.entries.push(Entry {
            at,
            node,
            from,
            minor,
            lanes: self.lanes.clone(),
            text,
        });
    }

    /// The last `most` entries, heartbeats left out unless `all`; the whole of it without a limit.
    pub fn listing(&self, most: Option<usize>, all: bool) -> String {
        let shown: Vec<&Entry> = self.entries.iter().filter(|e| all || !e.minor).collect();
        let skipped = most.map_or(0, |most| shown.len().saturating_sub(most));
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:>14}  {}",
            "ms",
            (0..self.lanes.len())
                .map(|id| format!("{id} "))
                .collect::<String>()
        );
        if skipped > 0 {
            let _ = writeln!(out, "{:>14}  ({skipped} entries before)", "…");
        }
        for entry in &shown[skipped..] {
            entry.print(&mut out);
        }
        out.push_str("lanes: │ alive  ║ acts  z stopped  ● here  ○ its message comes from there\n");
        out
    }
}

impl Entry {
    fn print(&self, out: &mut String) {
        let nanos = self.at.0;
        let _ = write!(
            out,
            "{:>10}.{:03}  ",
            nanos / 1_000_000,
            nanos / 1_000 % 1_000
        );
        for (id, lane) in self.lanes.iter().enumerate() {
            let is = |node: Option<NodeId>| node.is_some_and(|node| usize::from(node.0) == id);
            out.push(match lane {
                _ if is(self.node) => '●',
                _ if is(self.from) => '○',
                Lane::Dead => ' ',
                Lane::Stopped => 'z',
                Lane::Alive => '│',
                Lane::Acting => '║',
            });
            out.push(' ');
        }
        match self.node {
            Some(node) => {
                let _ = writeln!(out, " {node}: {}", self.text);
            }
            None => {
                let _ = writeln!(out, " == {}", self.text);
            }
        }
    }
}
