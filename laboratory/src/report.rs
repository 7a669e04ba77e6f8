//! The report on a run.

use crate::failovers::Failover;
use crate::figures::Figures;
use crate::log::Log;
use crate::verdict::Violation;

/// A run and its analysis.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was run, in a few words.
    pub title: String,
    /// How it was set up: names and values, in the order in which they are shown.
    pub settings: Vec<(String, String)>,
    /// What was counted and measured, likewise.
    pub rows: Vec<(String, String)>,
    /// The source of these rows and of the cards of the page.
    pub figures: Figures,
    /// Its violations: empty if it is sound; none if it was not judged.
    pub verdict: Option<Vec<Violation>>,
    /// How long it was without a coordinator, each time: see [`Failover::all`].
    pub failovers: Vec<Failover>,
    /// All that happened.
    pub log: Log,
}
