//! The model checker: every order of events of a small cluster, within bounds.
//!
//! The same `Node` as everywhere. Time stands still here, and is not part of a node's state: any armed timer
//! may fire at any moment, so whatever real time may do to timers is among the orders. What is bounded is how
//! often something goes wrong, never how it coincides with the rest. See `state` for what surrounds the nodes
//! here, `choice` for what can happen next, `transition` for its effects, `reduction` for what need not be
//! explored twice, `monitor` for what must hold.
//!
//! Left out is what a node learns by comparing two times, since none passes:
//!
//! - that it slept or stood still: `notice_gap`, and `woke_just_now` after that;
//! - that a dropped file has held still, or was incomplete, empty or kept from being read for long (`desk`):
//!   here each look at the directory ends at once, and finds what is complete;
//! - that it lost its office long ago (`damping`): here it waits by the number of its losses, and the end of
//!   the wait is a timer;
//! - that another file call hung long ago (`hang`): here none hangs.

mod choice;
mod monitor;
mod reduction;
mod report;
mod state;
mod transition;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use stateright::{Checker, HasDiscoveries, Model, Property};

pub use choice::Choice;
use monitor::Law;
pub use report::Report;
pub use state::{ModelState, Start};

/// Interval at which the progress is told.
const PROGRESS: Duration = Duration::from_millis(200);

/// How often something may go wrong, and where the search begins.
#[derive(Clone, Debug, Args)]
pub struct Bounds {
    /// Where the search begins.
    #[arg(long, value_enum, default_value_t = Start::Led)]
    pub start: Start,
    /// Nodes of the cluster.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=5))]
    pub nodes: u8,
    /// Processes that may die; each may be started again, at any later moment.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub crashes: u8,
    /// Processes that may be stopped, with hints; each may go on at any later moment. Without hints
    /// a stop is no more than an order of events, and all are searched.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub pauses: u8,
    /// Timers that may fire, each at any moment, however early.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub timeouts: u8,
    /// The supervisor tells the nodes, at any moment, what became of the others.
    #[arg(long)]
    pub hints: bool,
    /// Look no further than so many steps.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Find the shortest way to each situation that must be reachable, and print it; takes more
    /// memory.
    #[arg(long)]
    pub shortest: bool,
}

/// The searches that are made if no bounds are given.
pub fn standard() -> Vec<Bounds> {
    let search = |start, crashes, pauses, timeouts| Bounds {
        start,
        nodes: 3,
        crashes,
        pauses,
        timeouts,
        hints: pauses > 0,
        depth: None,
        shortest: false,
    };
    vec![
        search(Start::Cold, 0, 0, 1),
        search(Start::Cold, 1, 0, 0),
        search(Start::Led, 0, 1, 1),
        search(Start::Led, 1, 0, 0),
        search(Start::MidJob, 1, 0, 0),
        search(Start::MidJob, 0, 1, 0),
        search(Start::Led, 2, 0, 0),
        Bounds {
            depth: Some(7),
            ..search(Start::Led, 2, 1, 2)
        },
        Bounds {
            depth: Some(7),
            ..search(Start::MidJob, 2, 1, 2)
        },
    ]
}

/// Searches everything that can happen within the bounds.
pub fn check(bounds: &Bounds) -> Report {
    let search = Search {
        bounds: bounds.clone(),
        found: Default::default(),
    };
    let builder = search.checker().finish_when(HasDiscoveries::AnyFailures);
    let report = match bounds.order() {
        Order::DepthFirst => follow(bounds, builder.spawn_dfs()),
        // The checker counts states on the way, the first included.
        Order::BreadthFirst(Some(depth)) => {
            follow(bounds, builder.target_max_depth(depth + 1).spawn_bfs())
        }
        Order::BreadthFirst(None) => follow(bounds, builder.spawn_bfs()),
    };
    if report.violated().is_empty() || bounds.shortest {
        return report;
    }
    // Once more, for a way that a reader can follow.
    check(&Bounds {
        shortest: true,
        ..bounds.clone()
    })
}

/// Waits for the end of a search.
fn follow(bounds: &Bounds, mut checker: impl Checker<Search>) -> Report {
    let begun = Instant::now();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        bar.set_style(style);
    }
    for handle in checker.handles() {
        while !handle.is_finished() {
            std::thread::sleep(PROGRESS);
            bar.set_message(format!("{} states", checker.unique_state_count()));
            bar.tick();
        }
        // The panic has been told by then, and is a violation like any other.
        if let Err(panic) = handle.join() {
            std::panic::resume_unwind(panic);
        }
    }
    bar.finish_and_clear();
    Report::new(bounds, &checker, begun.elapsed())
}

/// In which order states are visited.
enum Order {
    /// In little memory.
    DepthFirst,
    /// With the shortest way to each finding; perhaps no further than so many steps.
    BreadthFirst(Option<usize>),
}

impl Bounds {
    fn order(&self) -> Order {
        if self.shortest || self.depth.is_some() {
            Order::BreadthFirst(self.depth)
        } else {
            Order::DepthFirst
        }
    }
}

/// The search, as the checker knows it.
#[derive(Debug)]
struct Search {
    bounds: Bounds,
    /// What must be reachable and has been reached: the first way to it is kept.
    found: [AtomicBool; 4],
}

impl Search {
    fn is_first(&self, which: usize, reached: bool) -> bool {
        reached && !self.found[which].swap(true, Ordering::Relaxed)
    }
}

impl Model for Search {
    type State = ModelState;
    type Action = Choice;

    fn init_states(&self) -> Vec<ModelState> {
        vec![ModelState::new(&self.bounds)]
    }

    fn actions(&self, cluster: &ModelState, choices: &mut Vec<Choice>) {
        // What comes after a violation proves nothing.
        if cluster.broken().is_none() {
            cluster.choices(choices);
        }
    }

    fn next_state(&self, cluster: &ModelState, choice: Choice) -> Option<ModelState> {
        let mut next = cluster.clone();
        next.make(choice);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Search>> {
        fn keeps(cluster: &ModelState, law: Law) -> bool {
            cluster.broken().is_none_or(|broken| broken.law != law)
        }
        vec![
            Property::always("an epoch has one owner", |_, cluster| {
                keeps(cluster, Law::UniqueEpoch)
            }),
            Property::always("the highest epoch seen never falls", |_, cluster| {
                keeps(cluster, Law::MonotonicEpoch)
            }),
            Property::always("no act below the highest epoch seen", |_, cluster| {
                keeps(cluster, Law::Fence)
            }),
            Property::always("a coordinator computes nothing", |_, cluster| {
                keeps(cluster, Law::CoordinatorIdle)
            }),
            Property::always(
                "a takeover loses nothing that it was promised",
                |_, cluster| keeps(cluster, Law::Merge),
            ),
            Property::always("what a dead life said is void", |_, cluster| {
                keeps(cluster, Law::DeadLives)
            }),
            Property::sometimes(
                "a coordinator is elected",
                |search: &Search, cluster: &ModelState| search.is_first(0, cluster.is_led()),
            ),
            Property::sometimes(
                "two coordinators overlap",
                |search: &Search, cluster: &ModelState| {
                    search.is_first(1, cluster.acting().count() > 1)
                },
            ),
            Property::sometimes(
                "a deposed coordinator steps down",
                |search: &Search, cluster: &ModelState| search.is_first(2, cluster.has_deposed()),
            ),
            Property::sometimes(
                "a product outlives its coordinator",
                |search: &Search, cluster: &ModelState| search.is_first(3, cluster.has_inherited()),
            ),
        ]
    }
}

#[cfg(test)]
mod tests;
