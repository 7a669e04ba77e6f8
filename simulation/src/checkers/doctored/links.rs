//! S12: what the link machine promises.

use protocol::event::Event;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;

use super::{Doctored, life};
use crate::checkers::Checker;
use crate::checkers::links::Links;
use crate::fact::Fact;

const PEER: NodeId = NodeId(1);

fn up(incarnation: u64) -> Event {
    Event::LinkUp {
        peer: PEER,
        incarnation: Incarnation(incarnation),
        highest: Epoch::NONE,
    }
}

fn down(incarnation: u64) -> Event {
    Event::LinkDown {
        peer: PEER,
        incarnation: Incarnation(incarnation),
    }
}

fn heard(incarnation: u64) -> Event {
    Event::Received {
        from: PEER,
        incarnation: Incarnation(incarnation),
        message: Message::Stale {
            highest: Epoch::NONE,
        },
    }
}

/// How many of these events, one after the other, go by without a word.
fn sound(events: &[Event]) -> usize {
    let mut checker = Links::default();
    let goes = |event: &&Event| {
        let step = Doctored::knowing(life(0, 1), Epoch::NONE).event((*event).clone());
        step.shown_to(&mut checker).is_ok()
    };
    events.iter().take_while(goes).count()
}

#[test]
fn s12_a_life_is_heard_between_its_link_up_and_its_link_down() {
    let all = [up(2), heard(2), up(2), heard(2), down(2), up(3), heard(3)];
    assert_eq!(sound(&all), all.len());
    assert_eq!(sound(&[heard(2)]), 0);
    assert_eq!(sound(&[up(2), heard(3)]), 1);
    assert_eq!(sound(&[up(2), down(2), heard(2)]), 2);
}

#[test]
fn s12_of_a_peer_one_life_is_linked() {
    assert_eq!(sound(&[up(2), up(3)]), 1);
    assert_eq!(sound(&[down(2)]), 0);
    assert_eq!(sound(&[up(2), down(3)]), 1);
}

#[test]
fn s12_a_link_carries_nothing_before_its_node_knows_of_it() {
    let mut checker = Links::default();
    let mut see = |place, carried| {
        checker.see(&Fact::LinkUp {
            life: life(0, 1),
            peer: PEER,
            place,
            carried,
        })
    };
    assert_eq!(see(0, 0), Ok(()));
    assert!(see(1, 0).is_err());
    assert!(see(0, 1).is_err());
}
