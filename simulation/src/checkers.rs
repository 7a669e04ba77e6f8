//! What must always hold, a file a property. Each checker sees all that happens and keeps no more
//! of it than it needs for the next look.

pub mod assignments;
pub mod authority;
mod casualties;
pub mod collect;
pub mod coordinator_death;
pub mod coordinator_idle;
pub mod damping;
pub mod dead_lives;
pub mod false_deaths;
pub mod forgetting;
pub mod job_files;
pub mod links;
pub mod liveness;
mod material;
pub mod merge;
pub mod obedience;
pub mod operands;
mod promises;
pub mod recomputation;
pub mod results;
pub mod sleepers;
pub mod stopping;
pub mod unique_epoch;
pub mod whole_files;

#[cfg(test)]
mod doctored;

use std::fmt;

use protocol::plan::{Kind, OperationId, Shape};

use crate::directory::Change;
use crate::fact::Fact;

/// Something that must not happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property, as the design numbers them.
    pub property: &'static str,
    /// What happened, in a sentence.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.message)
    }
}

/// One property.
pub trait Checker {
    /// Its number in the design.
    fn property(&self) -> &'static str;

    /// Looks at what happened.
    ///
    /// # Errors
    ///
    /// A sentence that says what must not have happened.
    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String>;
}

/// All properties that hold at every moment.
pub struct Checkers(Vec<Box<dyn Checker>>);

impl Checkers {
    /// Those of every run, whose plans have this shape.
    pub fn new(shape: Shape) -> Checkers {
        Checkers(vec![
            Box::<unique_epoch::UniqueEpoch>::default(),
            Box::<obedience::Obedience>::default(),
            Box::<dead_lives::DeadLives>::default(),
            Box::<authority::Authority>::default(),
            Box::<results::Results>::default(),
            Box::<operands::Operands>::default(),
            Box::<coordinator_idle::CoordinatorIdle>::default(),
            Box::new(recomputation::Recomputation::new(shape)),
            Box::<forgetting::Forgetting>::default(),
            Box::<assignments::Assignments>::default(),
            Box::<false_deaths::FalseDeaths>::default(),
            Box::new(merge::Merge::new(shape)),
            Box::<collect::Collect>::default(),
            Box::<job_files::JobFiles>::default(),
            Box::<stopping::Stopping>::default(),
            Box::<damping::Damping>::default(),
        ])
    }

    /// Adds a property that holds in some runs only.
    pub fn add(&mut self, checker: impl Checker + 'static) {
        self.0.push(Box::new(checker));
    }

    /// Shows all of them what happened.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn see(&mut self, fact: &Fact<'_>) -> Result<(), Violation> {
        for checker in &mut self.0 {
            checker.see(fact).map_err(|message| Violation {
                property: checker.property(),
                message,
            })?;
        }
        Ok(())
    }
}

/// Looks at a change of the jobs directory, if that is what happened.
pub(crate) fn on_change(
    fact: &Fact<'_>,
    look: impl FnOnce(&Change) -> Result<(), String>,
) -> Result<(), String> {
    match fact {
        Fact::Changed { change, .. } => look(change),
        _ => Ok(()),
    }
}

/// Whether one of these products shows that `id` is done: it is that operation, or was made of it. A part
/// of a step shows nothing but itself.
pub(crate) fn is_done(shape: Shape, held: &[OperationId], id: OperationId) -> bool {
    let plan = shape.plan(id.n);
    let made_of = |&id: &OperationId| {
        let above = plan.needed_by(id).into_iter().next()?;
        match above.kind {
            Kind::Part => plan.needed_by(above).into_iter().next(),
            _ => Some(above),
        }
    };
    std::iter::successors(Some(id), made_of).any(|above| held.contains(&above))
}
