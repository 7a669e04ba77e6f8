//! Summaries of single operations, each in a few bytes: for most of them no law needs anything else, see
//! [`super::ordinary`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deeds::{Epoch, epoch};
use crate::log::{Event, Life, Op};

/// Number of adjacent operations that share one entry.
const ROW: usize = 16;

/// A small value for each operation; the default means none.
#[derive(Clone, Debug)]
pub(super) struct Table<T>(BTreeMap<Level, BTreeMap<u64, [T; ROW]>>);

/// The factorial, the kind, the level.
type Level = (u64, Arc<str>, u64);

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table(BTreeMap::new())
    }
}

impl<T: Copy + Default> Table<T> {
    pub(super) fn get(&self, op: &Op) -> T {
        let (level, row, place) = address(op);
        let row = self.0.get(&level).and_then(|rows| rows.get(&row));
        row.map_or_else(T::default, |row| row[place])
    }

    pub(super) fn entry(&mut self, op: &Op) -> &mut T {
        let (level, row, place) = address(op);
        let rows = self.0.entry(level).or_default();
        &mut rows.entry(row).or_insert([T::default(); ROW])[place]
    }

    /// By index, in order, those of one level, including default values between them.
    pub(super) fn level(&self, n: u64, kind: &str, level: u64) -> impl Iterator<Item = (u64, T)> {
        let rows = self.0.get(&(n, Arc::from(kind), level));
        let rows = rows.into_iter().flatten();
        rows.flat_map(|(row, all)| (row * ROW as u64..).zip(all.iter().copied()))
    }

    /// All of a factorial, likewise.
    fn of_factorial(&self, n: u64) -> impl Iterator<Item = T> {
        let levels = self.0.range((n, Arc::from(""), 0)..);
        let levels = levels.take_while(move |((of, ..), _)| *of == n);
        levels.flat_map(|(_, rows)| rows.values().flatten().copied())
    }
}

fn address(op: &Op) -> (Level, u64, usize) {
    let row = op.index / ROW as u64;
    let place = (op.index % ROW as u64) as usize;
    ((op.n, Arc::clone(&op.kind), op.level), row, place)
}

/// What was done with operations, as far as any law needs it for all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// When each was first completed, by its timestamp; 0 if never.
    pub(super) completed: Table<u64>,
    /// Where an incarnation shows, as coordinator, that it has a factorial.
    pub(super) done: BTreeMap<(Life, u64), Vec<usize>>,
    /// The coordinators that handed out operations of a factorial, with the timestamp and the line of the
    /// first time.
    assigned: BTreeMap<u64, BTreeMap<Epoch, (u64, usize)>>,
}

impl Work {
    pub(super) fn take(&mut self, event: &Event) {
        if event.name() == "product_done" {
            let done = self
                .done
                .entry((event.life(), event.number("n")))
                .or_default();
            done.push(event.line);
        }
        let Some(op) = event.op() else {
            return;
        };
        match event.name() {
            "assigned" => {
                let place = (event.at(), event.line);
                let by = self.assigned.entry(op.n).or_default();
                let first = by.entry(epoch(event)).or_insert(place);
                *first = place.min(*first);
            }
            "completed" => {
                let (first, at) = (self.completed.entry(op), event.at().max(1));
                *first = if *first == 0 { at } else { at.min(*first) };
            }
            _ => {}
        }
    }

    /// When each operation of a factorial was first completed, without those that never were.
    pub(super) fn first_completed(&self, n: u64) -> impl Iterator<Item = u64> {
        self.completed.of_factorial(n).filter(|&at| at > 0)
    }

    /// Whether a coordinatorship other than the one of this event had handed out anything of a factorial by then.
    pub(super) fn was_assigned_by_another(&self, n: u64, event: &Event) -> bool {
        let now = (event.at(), event.line);
        let mut by = self.assigned.get(&n).into_iter().flatten();
        by.any(|(&by, &first)| by != epoch(event) && first < now)
    }

    /// Where an incarnation last showed that it has a factorial.
    pub(super) fn last_done(&self, life: Life, n: u64) -> Option<usize> {
        self.done.get(&(life, n))?.last().copied()
    }
}
