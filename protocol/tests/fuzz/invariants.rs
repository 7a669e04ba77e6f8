//! What must hold after every step of a node, whatever it was told.

use std::ops::RangeInclusive;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use protocol::event::{Action, Event};
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use protocol::node::Node;
use protocol::status::RoleName;
use protocol::trace::Trace;

/// A node that knows of a cluster so small, and of factorials so small, needs no more than this to
/// say all that it knows.
const MOST_STATE: usize = 400_000;
/// One step asks for no more than this: one operation of each worker's window, a message to each
/// peer, a call for each job, and what each of them traces.
const MOST_ACTIONS: usize = 2_000;

/// What a node has bound itself to.
pub(crate) struct Invariants {
    id: NodeId,
    incarnation: Incarnation,
    nodes: u8,
}

/// What a node may do at one point of a step.
struct Bounds {
    /// The epoch in whose name it may do anything.
    own: Epoch,
    /// The epochs that it may say to obey.
    obeyed: RangeInclusive<Epoch>,
    stepped_down: bool,
}

impl Invariants {
    pub(crate) fn new(id: NodeId, incarnation: Incarnation, nodes: u8) -> Invariants {
        Invariants {
            id,
            incarnation,
            nodes,
        }
    }

    /// Looks at one step.
    pub(crate) fn check(
        &self,
        before: &Node,
        event: &Event,
        after: &Node,
        actions: &[Action],
    ) -> TestCaseResult {
        let (known, knows) = (before.highest(), after.highest());
        prop_assert!(knows >= known, "went back from epoch {known} to {knows}");
        if let Some(epoch) = after.acting() {
            prop_assert!(self.owns(epoch), "acts in {epoch}, which is another's");
            prop_assert_eq!(epoch, knows, "acts below the highest epoch seen");
        }
        let won = |action: &&Action| traces(action, |trace| matches!(trace, Trace::ElectionWon));
        let wins = actions.iter().filter(won).count();
        prop_assert!(wins <= 1, "{wins} elections won at once");
        let mut bounds = Bounds {
            own: if wins == 0 { knows } else { known },
            obeyed: if wins == 0 { knows } else { known }..=knows,
            stepped_down: false,
        };
        for action in actions {
            if won(&action) {
                bounds.own = knows;
                bounds.obeyed = knows..=knows;
                bounds.stepped_down = false;
            }
            bounds.stepped_down |=
                traces(action, |trace| matches!(trace, Trace::SteppedDown { .. }));
            self.check_action(&bounds, after, action)?;
        }
        prop_assert!(actions.len() <= MOST_ACTIONS, "{} actions", actions.len());
        refuses_what_is_stale(before, event, after, actions)
    }

    /// Looks at what is left after all.
    pub(crate) fn end(&self, node: &Node) -> TestCaseResult {
        let state = format!("{node:?}").len();
        prop_assert!(
            state <= MOST_STATE,
            "the state has grown to {state} characters"
        );
        Ok(())
    }

    fn owns(&self, epoch: Epoch) -> bool {
        epoch.node == self.id && epoch.incarnation == self.incarnation
    }

    fn check_action(&self, bounds: &Bounds, after: &Node, action: &Action) -> TestCaseResult {
        match action {
            Action::Send { to, message } => {
                let exists = |peer: &NodeId| peer.0 < self.nodes && *peer != self.id;
                prop_assert!(to.iter().all(exists), "{message:?} to {to:?}");
                if let Some(epoch) = message.authority() {
                    self.check_authority(bounds, epoch, message.name())?;
                }
                if let Some(epoch) = obeyed(message) {
                    let may = &bounds.obeyed;
                    prop_assert!(may.contains(&epoch), "{message:?}, not in {may:?}");
                }
            }
            Action::File { epoch, .. } => self.check_authority(bounds, *epoch, "a file call")?,
            Action::Compute { operation, .. } => {
                prop_assert_eq!(
                    after.acting(),
                    None,
                    "a coordinator computes {:?}",
                    operation
                );
                prop_assert!(after.role() != RoleName::Coordinator);
            }
            _ => {}
        }
        Ok(())
    }

    /// What a node starts is in its own name, and in that of the highest epoch that it knew then.
    fn check_authority(&self, bounds: &Bounds, epoch: Epoch, what: &str) -> TestCaseResult {
        prop_assert!(self.owns(epoch), "{what} in {epoch}, which is another's");
        prop_assert_eq!(epoch, bounds.own, "{} in an epoch that is over", what);
        prop_assert!(
            !bounds.stepped_down,
            "{what} in {epoch} after it stepped down"
        );
        Ok(())
    }
}

fn traces(action: &Action, is: impl Fn(&Trace) -> bool) -> bool {
    matches!(action, Action::Trace { trace, .. } if is(trace))
}

/// The epoch to which a message of a follower says that it obeys.
fn obeyed(message: &Message) -> Option<Epoch> {
    match *message {
        Message::Promise { epoch, .. }
        | Message::Pulse {
            epoch,
            hangs: false,
        }
        | Message::Following { epoch }
        | Message::Missing { epoch, .. } => Some(epoch),
        _ => None,
    }
}

/// What claims authority in an epoch below the highest seen is refused, and changes nothing.
fn refuses_what_is_stale(
    before: &Node,
    event: &Event,
    after: &Node,
    actions: &[Action],
) -> TestCaseResult {
    let Event::Received { message, .. } = event else {
        return Ok(());
    };
    let is_stale = |epoch: Epoch| epoch < before.highest();
    let is_gap = |action: &Action| traces(action, |trace| matches!(trace, Trace::Gap { .. }));
    if !message.authority().is_some_and(is_stale) || actions.iter().any(is_gap) {
        return Ok(());
    }
    prop_assert!(before == after, "{message:?} is over and changed the node");
    for action in actions {
        let refuses = match action {
            Action::Trace { trace, .. } => matches!(trace, Trace::StaleRefused { .. }),
            Action::Send { message, .. } => matches!(message, Message::Stale { .. }),
            _ => false,
        };
        prop_assert!(
            refuses,
            "{message:?} is over and was answered with {action:?}"
        );
    }
    Ok(())
}
