//! Inputs that once found something, each by what it found.

use protocol::config::{Config, Preemption};
use protocol::event::ChildState;
use protocol::id::{Incarnation, NodeId};
use protocol::message::Product;
use protocol::plan::{Kind, OperationId};
use protocol::timer::Timer;

use super::anything::MAX_N;
use super::stimulus::{EpochOf, LifeOf, Saying, Stimulus, run};

fn config(nodes: u8) -> Config {
    Config {
        nodes,
        max_n: MAX_N,
        ..Config::default()
    }
}

fn said(from: u8, saying: Saying) -> Stimulus {
    Stimulus::Said(NodeId(from), LifeOf::Present, saying)
}

fn of_four(level: u8) -> OperationId {
    OperationId {
        n: 4,
        kind: Kind::Multiply,
        level,
        index: 0,
    }
}

#[test]
fn a_missing_operation_that_is_part_of_no_plan_harms_nobody() {
    let product = Product {
        operation: of_four(0),
        value: b"24".to_vec().into(),
    };
    let stimuli = [
        said(0, Saying::Products(vec![product])),
        Stimulus::Stray(Timer::Collect(NodeId(0))),
        said(0, Saying::Missing(EpochOf::Highest, vec![of_four(1)])),
    ];
    run(&config(2), 1, &stimuli).unwrap();
}

#[test]
fn a_message_that_makes_a_node_win_is_not_obeyed_after_that() {
    let immediate = Config {
        preemption: Preemption::Immediate,
        ..config(4)
    };
    let messages = [
        Saying::Heartbeat(EpochOf::Speaker(1)),
        Saying::Assign(EpochOf::Speaker(1), vec![of_four(0)]),
    ];
    for message in messages {
        let stimuli = [
            said(0, Saying::Assign(EpochOf::Speaker(0), Vec::new())),
            Stimulus::Stray(Timer::Answers),
            said(0, message),
        ];
        run(&immediate, 2, &stimuli).unwrap();
    }
}

#[test]
fn a_node_that_is_told_of_a_stopped_successor_wins_once() {
    let stopped = |peer, life| Stimulus::Hint(NodeId(peer), Incarnation(life), ChildState::Stopped);
    let stimuli = [
        stopped(2, 1),
        Stimulus::Stray(Timer::Elect),
        stopped(1, 100),
    ];
    run(&config(3), 0, &stimuli).unwrap();
}

#[test]
fn who_returns_with_news_of_a_higher_epoch_is_not_asked_in_a_lower_one() {
    let stimuli = [
        Stimulus::Hint(NodeId(2), Incarnation(1), ChildState::Stopped),
        said(3, Saying::Pull(EpochOf::Speaker(0), Vec::new())),
        Stimulus::Stray(Timer::CoordinatorSilence),
        said(3, Saying::Election(EpochOf::Speaker(0), false)),
    ];
    run(&config(4), 1, &stimuli).unwrap();
}
