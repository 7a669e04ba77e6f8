//! What is told of a run.

use crate::failovers::Failover;
use crate::figures::Figures;
use crate::log::Log;
use crate::verdict::Violation;

/// A run, with what was found out about it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was run, in a few words.
    pub title: String,
    /// How it was set up: names and values, in the order in which they are shown.
    pub settings: Vec<(String, String)>,
    /// What was counted and measured, likewise.
    pub rows: Vec<(String, String)>,
    /// What these rows, and the cards of the page, are made of.
    pub figures: Figures,
    /// What is wrong with it: nothing if it is sound; none if it was not judged.
    pub verdict: Option<Vec<Violation>>,
    /// How long it was without a coordinator, each time: see [`Failover::all`].
    pub failovers: Vec<Failover>,
    /// All that happened.
    pub log: Log,
}
