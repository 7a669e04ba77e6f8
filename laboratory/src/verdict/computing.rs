//! S6: a coordinator computes nothing, nor does a winner that collects.
//!
//! It relies only on the order in which one incarnation wrote its lines: a winner drops its
//! operations in the step that logs its victory, and logs no completed operation until it has
//! stepped down.

use std::collections::BTreeMap;

use super::Violation;
use super::charges::{Charge, Lack, Missing, place};
use crate::log::{Event, Life};

const NAME: &str = "S6";

/// The nodes that lead, or are about to.
#[derive(Clone, Debug, Default)]
pub(super) struct Computing {
    leads: BTreeMap<Life, Event>,
    charges: Vec<Charge>,
}

impl Computing {
    pub(super) fn take(&mut self, event: &Event) {
        match event.name() {
            "election_won" | "acting" => {
                self.leads.insert(event.life(), event.clone());
            }
            "stepped_down" | "following" => {
                self.leads.remove(&event.life());
            }
            "computing" | "completed" => {
                // The missing line would have ended its office, once.
                let Some(since) = self.leads.remove(&event.life()) else {
                    return;
                };
                let leads = match since.name() {
                    "acting" => "coordinates",
                    _ => "takes office",
                };
                let message = format!("node {} computes while it {leads}", event.node());
                let violation = Violation::new(NAME, message, &[&since, event]);
                let lack = Lack::of(event.life(), place(&since), event.line);
                self.charges.push(Charge::new(violation, lack));
            }
            _ => {}
        }
    }

    pub(super) fn check(&self, missing: &Missing) -> Vec<Violation> {
        missing.sustain(self.charges.clone())
    }
}
