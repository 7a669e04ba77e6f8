//! What a search came to, in words.

use std::fmt;
use std::time::Duration;

use stateright::{Checker, Expectation, Model};

use super::{Bounds, Choice, Search, Start};

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Report {
    bounds: Bounds,
    /// Different states that were reached.
    pub states: usize,
    /// Steps from one state to another.
    pub transitions: usize,
    /// The longest way to a state, in steps.
    pub depth: usize,
    took: Duration,
    findings: Vec<Finding>,
}

/// What was found about one property.
#[derive(Clone, Debug)]
struct Finding {
    name: &'static str,
    /// Whether it must always hold; else it must be reachable.
    always: bool,
    /// A way to a counterexample, or to an example.
    way: Option<Vec<Choice>>,
    /// Whether it is the shortest way there is.
    shortest: bool,
    /// What went wrong there.
    broken: Option<String>,
}

impl Report {
    pub(super) fn new(bounds: &Bounds, checker: &impl Checker<Search>, took: Duration) -> Report {
        let mut discoveries = checker.discoveries();
        let properties = checker.model().properties().into_iter();
        let findings = properties.map(|property| {
            let path = discoveries.remove(property.name);
            let broken = path.as_ref().and_then(|path| path.last_state().broken());
            Finding {
                name: property.name,
                shortest: bounds.shortest,
                always: property.expectation == Expectation::Always,
                broken: broken.map(|broken| broken.message.clone()),
                way: path.map(stateright::Path::into_actions),
            }
        });
        Report {
            findings: findings.collect(),
            states: checker.unique_state_count(),
            transitions: checker.state_count(),
            depth: checker.max_depth() - 1,
            bounds: bounds.clone(),
            took,
        }
    }

    /// What must always hold and does not.
    pub fn violated(&self) -> Vec<&'static str> {
        self.named(|finding| finding.always && finding.way.is_some())
    }

    /// What must be reachable somewhere, and was reached here.
    pub fn reached(&self) -> Vec<&'static str> {
        self.named(|finding| !finding.always && finding.way.is_some())
    }

    /// What must be reachable somewhere, and was not reached here.
    pub fn unreached(&self) -> Vec<&'static str> {
        self.named(|finding| !finding.always && finding.way.is_none())
    }

    fn named(&self, is_meant: impl Fn(&Finding) -> bool) -> Vec<&'static str> {
        let meant = self.findings.iter().filter(|finding| is_meant(finding));
        meant.map(|finding| finding.name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = &self.bounds;
        let start = match bounds.start {
            Start::Cold => "from a cold start",
            Start::Led => "from a coordinator that all follow",
            Start::MidJob => "from the middle of a job",
        };
        let hints = if bounds.hints { "hints" } else { "no hints" };
        writeln!(
            f,
            "{} nodes {start}; up to {} crashes with restarts, {} pauses, {} timeouts at any moment; {hints}",
            bounds.nodes, bounds.crashes, bounds.pauses, bounds.timeouts
        )?;
        let extent = match bounds.depth {
            Some(depth) => format!("all within {depth} steps"),
            None => "all that can be reached".to_owned(),
        };
        writeln!(
            f,
            "  {} states, {} transitions, {} steps deep, in {:.1?}: {extent}",
            self.states, self.transitions, self.depth, self.took
        )?;
        self.findings.iter().try_for_each(|finding| finding.fmt(f))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match (&self.way, self.always) {
            (None, true) => return writeln!(f, "  always     {}: holds", self.name),
            (None, false) => {
                return writeln!(f, "  sometimes  {}: not within these bounds", self.name);
            }
            (Some(way), false) => {
                writeln!(f, "  sometimes  {}: reached", self.name)?;
                way
            }
            (Some(way), true) => {
                let broken = self.broken.as_deref().unwrap_or_default();
                writeln!(f, "  always     {}: VIOLATED: {broken}", self.name)?;
                way
            }
        };
        if self.always || self.shortest {
            for (number, choice) in way.iter().enumerate() {
                writeln!(f, "{:>12}. {choice}", number + 1)?;
            }
        }
        Ok(())
    }
}
