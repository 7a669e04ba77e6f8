//! The processes of a run, each with a small number to refer to it.

use std::collections::BTreeMap;

use crate::log::{Life, Log};

/// All lives, numbered.
#[derive(Debug, Default)]
pub(super) struct Lives {
    numbers: BTreeMap<Life, u64>,
    /// Node, incarnation and pid (0 if no event names it), by number.
    pub(super) rows: Vec<[u64; 3]>,
}

impl Lives {
    pub(super) fn of(log: &Log) -> Lives {
        let mut lives = Lives::default();
        for event in &log.events {
            let next = lives.rows.len() as u64;
            let number = *lives.numbers.entry(event.life()).or_insert(next);
            if number == next {
                let pid = event.told_pid().unwrap_or(0);
                lives.rows.push([event.node(), event.incarnation(), pid]);
            }
        }
        lives
    }

    /// The number of a life that the log names; that of the first for one that it does not.
    pub(super) fn index(&self, life: Life) -> u64 {
        self.numbers.get(&life).copied().unwrap_or(0)
    }

    /// The IDs of all nodes, the highest first.
    pub(super) fn nodes(&self) -> Vec<u64> {
        let mut nodes: Vec<u64> = self.rows.iter().map(|row| row[0]).collect();
        nodes.sort_unstable_by(|a, b| b.cmp(a));
        nodes.dedup();
        nodes
    }
}
