//! S1 to S3: who coordinates, and in whose name.

use protocol::event::Action;
use protocol::event::{ChildState, Event};
use protocol::file::{FileCall, FileTag};
use protocol::id::{Incarnation, NodeId};
use protocol::message::Message;
use protocol::trace::{StepDownCause, Trace};

use super::{Doctored, epoch, life};
use crate::checkers::Checker;
use crate::checkers::authority::Authority;
use crate::checkers::damping::Damping;
use crate::checkers::dead_lives::DeadLives;
use crate::checkers::obedience::Obedience;
use crate::checkers::stopping::Stopping;
use crate::checkers::unique_epoch::UniqueEpoch;
use crate::fact::Fact;

#[test]
fn s1_an_epoch_that_is_won_twice() {
    let mut checker = UniqueEpoch::default();
    let step = Doctored::winning(life(2, 3), 1);
    assert_eq!(step.shown_to(&mut checker), Ok(()));
    assert_eq!(
        Doctored::winning(life(2, 3), 2).shown_to(&mut checker),
        Ok(())
    );
    assert!(step.shown_to(&mut checker).is_err());
}

#[test]
fn s1_acting_in_an_epoch_that_nobody_has_won() {
    let mut checker = UniqueEpoch::default();
    let acting = Doctored::acting(life(2, 3), 1);
    assert!(acting.shown_to(&mut checker).is_err());
    let mut checker = UniqueEpoch::default();
    assert_eq!(
        Doctored::winning(life(2, 3), 1).shown_to(&mut checker),
        Ok(())
    );
    assert_eq!(acting.shown_to(&mut checker), Ok(()));
}

#[test]
fn s2_going_back_to_a_lower_epoch() {
    let mut checker = Obedience::default();
    let (low, high) = (epoch(1, life(2, 3)), epoch(2, life(1, 2)));
    let me = life(0, 1);
    assert_eq!(Doctored::knowing(me, low).shown_to(&mut checker), Ok(()));
    assert_eq!(Doctored::knowing(me, high).shown_to(&mut checker), Ok(()));
    assert!(Doctored::knowing(me, low).shown_to(&mut checker).is_err());
}

#[test]
fn s2_a_stale_message_that_has_an_effect() {
    let (low, high) = (epoch(1, life(2, 3)), epoch(2, life(1, 2)));
    let stale = || {
        let message = Message::Heartbeat { epoch: low };
        Doctored::knowing(life(0, 1), high).gets(life(2, 3), message)
    };
    let refusal = Message::Stale { highest: high };
    let mut refused = stale().sends(NodeId(2), refusal);
    refused.unchanged = Some(true);
    assert_eq!(refused.shown_to(&mut Obedience::default()), Ok(()));
    refused.unchanged = Some(false);
    assert!(refused.shown_to(&mut Obedience::default()).is_err());
    let obeyed = stale().sends(
        NodeId(2),
        Message::Pulse {
            epoch: low,
            hangs: false,
        },
    );
    assert!(obeyed.shown_to(&mut Obedience::default()).is_err());
}

#[test]
fn s3_authority_that_is_over_or_another_s() {
    let (me, other) = (life(2, 3), life(1, 2));
    let assign = |term, life| Message::Assign {
        epoch: epoch(term, life),
        operations: vec![],
    };
    let shown = |step: Doctored| step.shown_to(&mut Authority);
    assert_eq!(
        shown(Doctored::acting(me, 4).sends(NodeId(0), assign(4, me))),
        Ok(())
    );
    let over = Doctored::knowing(me, epoch(5, other)).sends(NodeId(0), assign(4, me));
    assert!(shown(over).is_err());
    let stolen = Doctored::knowing(me, epoch(5, other)).sends(NodeId(0), assign(5, other));
    assert!(shown(stolen).is_err());
    let file = Doctored::knowing(me, epoch(5, other)).does(Action::File {
        epoch: epoch(4, me),
        tag: FileTag::Sync,
        call: FileCall::Sync(vec![]),
    });
    assert!(shown(file).is_err());
    let called = |highest| Fact::Called {
        life: me,
        epoch: epoch(4, me),
        highest,
        known: None,
    };
    assert_eq!(Authority.see(&called(epoch(4, me))), Ok(()));
    assert!(Authority.see(&called(epoch(5, other))).is_err());
}

#[test]
fn s3_two_elections_won_at_once_and_acts_after_stepping_down() {
    let me = life(2, 3);
    let heartbeat = |term| Message::Heartbeat {
        epoch: epoch(term, me),
    };
    let rewinning = || {
        let mut step = Doctored::winning(me, 5);
        step.before.highest = epoch(4, me);
        step
    };
    let shown = |step: Doctored| step.shown_to(&mut Authority);
    let why = StepDownCause::Isolated;
    let mut again = Doctored::knowing(me, epoch(5, me)).sends(NodeId(0), heartbeat(4));
    again.before.highest = epoch(4, me);
    let again = again.trace(Trace::SteppedDown { why });
    let again = again.trace(Trace::ElectionWon);
    assert_eq!(shown(again.sends(NodeId(0), heartbeat(5))), Ok(()));
    assert!(shown(rewinning().sends(NodeId(0), heartbeat(4))).is_err());
    assert!(shown(rewinning().trace(Trace::ElectionWon)).is_err());
    let over = Doctored::acting(me, 4).trace(Trace::SteppedDown { why });
    assert!(shown(over.sends(NodeId(0), heartbeat(4))).is_err());
}

#[test]
fn s2_obeying_a_life_that_is_known_to_be_over() {
    let (me, high) = (life(0, 1), epoch(2, life(1, 2)));
    let says = |incarnation| {
        let message = Message::Heartbeat { epoch: high };
        let step = Doctored::knowing(me, high).gets(life(1, incarnation), message);
        step.sends(
            NodeId(1),
            Message::Pulse {
                epoch: high,
                hangs: false,
            },
        )
    };
    let mut checker = DeadLives::default();
    assert_eq!(says(2).shown_to(&mut checker), Ok(()));
    let news = Doctored::knowing(me, high).event(Event::Hint {
        peer: NodeId(1),
        incarnation: Incarnation(4),
        state: ChildState::Running,
    });
    assert_eq!(news.shown_to(&mut checker), Ok(()));
    assert!(says(2).shown_to(&mut checker).is_err());
    assert_eq!(says(4).shown_to(&mut checker), Ok(()));
}

#[test]
fn l4_an_election_while_the_cluster_stops() {
    let me = life(2, 3);
    let mut checker = Stopping::default();
    let elects = Doctored::winning(me, 1);
    assert_eq!(elects.shown_to(&mut checker), Ok(()));
    let told = Doctored::knowing(me, epoch(1, me)).event(Event::Stopping);
    assert_eq!(told.shown_to(&mut checker), Ok(()));
    assert!(elects.shown_to(&mut checker).is_err());
}

#[test]
fn l1_waiting_for_too_long_or_without_having_lost_the_office_again() {
    let (me, other) = (life(2, 3), life(1, 2));
    let waits = |ms| {
        let trace = Trace::PreemptionDamped { ms };
        Doctored::knowing(me, epoch(9, other)).trace(trace)
    };
    let mut checker = Damping::default();
    for term in 1..=2 {
        assert!(waits(2_000).shown_to(&mut checker).is_err());
        let won = Doctored::knowing(me, epoch(term, me));
        assert_eq!(won.shown_to(&mut checker), Ok(()));
        assert_eq!(checker.see(&Fact::Died(me)), Ok(()));
    }
    assert_eq!(waits(30_000).shown_to(&mut checker), Ok(()));
    assert!(waits(30_001).shown_to(&mut checker).is_err());
}
