//! What must hold after every step of a node, whatever it was told.

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
}

impl Invariants {
    pub(crate) fn new(id: NodeId, incarnation: Incarnation) -> Invariants {
        Invariants { id, incarnation }
    }

    /// Looks at one step.
    pub(crate) fn check(
        &self,
        before: &Node,
        event: &Event,
        after: &Node,
        actions: &[Action],
    ) -> TestCaseResult {
        prop_assert!(
            after.highest() >= before.highest(),
            "went back from epoch {} to {}",
            before.highest(),
            after.highest()
        );
        if let Some(epoch) = after.acting() {
            prop_assert!(self.owns(epoch), "acts in {epoch}, which is another's");
            prop_assert_eq!(epoch, after.highest(), "acts below the highest epoch seen");
        }
        // A node that is alone may win, act, and have to win again in one step.
        let mut highest = before.highest();
        for action in actions {
            self.check_action(&mut highest, after, action)?;
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

    fn check_action(&self, highest: &mut Epoch, after: &Node, action: &Action) -> TestCaseResult {
        match action {
            Action::Send { to, message } => {
                prop_assert!(!to.contains(&self.id), "{message:?} to itself");
                if let Some(epoch) = message.authority() {
                    self.check_authority(highest, after, epoch, message.name())?;
                }
                if let Some(epoch) = obeyed(message) {
                    prop_assert!(epoch >= *highest, "{message:?} to an epoch that is over");
                }
            }
            Action::File { epoch, .. } => {
                self.check_authority(highest, after, *epoch, "a file call")?;
            }
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
}

impl Invariants {
    /// What a node starts is in its own name, and in that of the highest epoch that it knew then.
    fn check_authority(
        &self,
        highest: &mut Epoch,
        after: &Node,
        epoch: Epoch,
        what: &str,
    ) -> TestCaseResult {
        prop_assert!(self.owns(epoch), "{what} in {epoch}, which is another's");
        prop_assert!(
            (*highest..=after.highest()).contains(&epoch),
            "{what} in {epoch}, with {highest} known before and {} after",
            after.highest()
        );
        *highest = epoch;
        Ok(())
    }
}

/// The epoch to which a message of a follower says that it obeys.
fn obeyed(message: &Message) -> Option<Epoch> {
    match *message {
        Message::Promise { epoch, .. }
        | Message::Pulse { epoch }
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
    let is_gap = |action: &Action| {
        matches!(
            action,
            Action::Trace {
                trace: Trace::Gap { .. },
                ..
            }
        )
    };
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
