//! S1 to S3, S8 and L4, and L1 in part: who coordinates, in whose name, and who obeys.

use protocol::event::{Action, ChildState, Event};
use protocol::file::{FileCall, FileTag};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Message, Update};
use protocol::plan::Plan;
use protocol::status::RoleName;
use protocol::timer::Timer;
use protocol::trace::{ElectionCause, StepDownCause, Trace};

use super::{BOSS, Doctored, FIRST, Kind, SECOND, epoch, life, linked, promise, pulse, term};
use crate::fact::{Fact, Life};

pub(super) const KINDS: &[Kind] = &[
    ("S1", "an epoch that is won twice", |story| {
        story.led();
        story.step(Doctored::winning(BOSS(), 1));
    }),
    ("S1", "acting in an epoch that nobody has won", |story| {
        story.step(Doctored::acting(BOSS(), 4));
    }),
    ("S1", "acting in an epoch that another has won", |story| {
        story.led();
        let mut thief = Doctored::knowing(FIRST(), term(1));
        thief.after.acting = Some(term(1));
        story.step(thief);
    }),
    ("S2", "going back to a lower epoch", |story| {
        story.led();
        story.step(Doctored::knowing(FIRST(), Epoch::NONE));
    }),
    ("S2", "a stale message that changes something", |story| {
        let mut stale = Doctored::knowing(FIRST(), newer()).gets(BOSS(), heartbeat(term(1)));
        stale.unchanged = Some(false);
        story.step(stale);
    }),
    ("S2", "a stale message that is obeyed", |story| {
        let stale = Doctored::knowing(FIRST(), newer()).gets(BOSS(), heartbeat(term(1)));
        story.step(stale.does(Action::CancelCompute));
    }),
    ("S2", "a promise below what the same step told", |story| {
        story.step(learns(challenge()).sends(NodeId(2), promise(term(1), &[])));
    }),
    ("S2", "a pulse below what the same step told", |story| {
        story.step(learns(Message::Stale { highest: newer() }).sends(NodeId(2), pulse(term(1))));
    }),
    ("S2", "a pulse below what a greeting told", |story| {
        let greeted = linked(FIRST(), newer(), SECOND(), newer()).knew(term(1));
        story.step(greeted.sends(NodeId(2), pulse(term(1))));
    }),
    (
        "S2",
        "to follow one below what the same step told",
        |story| {
            let epoch = term(1);
            story.step(learns(challenge()).sends(NodeId(1), Message::Following { epoch }));
        },
    ),
    (
        "S2",
        "to ask one for operands below what is known",
        |story| {
            let missing = Message::Missing {
                epoch: term(1),
                operations: vec![],
            };
            story.step(Doctored::knowing(FIRST(), newer()).sends(NodeId(2), missing));
        },
    ),
    (
        "S2",
        "a promise below what was told before it wins",
        |story| {
            let mine = epoch(3, FIRST());
            let step = Doctored::knowing(FIRST(), mine).knew(term(1));
            let step = step.gets(SECOND(), challenge());
            let step = step.sends(NodeId(2), promise(term(1), &[]));
            story.step(step.trace(Trace::ElectionWon));
        },
    ),
    ("S2", "a promise to an epoch that nobody told of", |story| {
        story.step(Doctored::knowing(FIRST(), term(1)).sends(NodeId(1), promise(newer(), &[])));
    }),
    (
        "S2",
        "to obey a life of which a newer one was told",
        |story| {
            story.led();
            story.step(hint(5, ChildState::Running));
            story.step(obeys());
        },
    ),
    (
        "S2",
        "to obey a life of which a newer one greeted",
        |story| {
            story.led();
            let next = life(2, 5);
            story.step(linked(FIRST(), term(1), next, term(1)));
            story.step(obeys());
        },
    ),
    (
        "S2",
        "to obey a life that the supervisor called gone",
        |story| {
            story.led();
            story.step(hint(3, ChildState::Gone));
            story.step(obeys());
        },
    ),
    ("S2", "to obey a life whose link went down", |story| {
        story.led();
        story.step(link_down());
        story.step(obeys());
    }),
    (
        "S2",
        "to obey what is gone for a link that stood",
        |story| {
            story.led();
            story.step(hint(3, ChildState::Gone));
            story.step(linked(FIRST(), term(1), BOSS(), term(1)));
            story.step(obeys());
        },
    ),
    ("S3", "to assign below what is known", |story| {
        let update = Update::default();
        let epoch = term(1);
        let over = Doctored::knowing(BOSS(), newer());
        story.step(over.sends(NodeId(0), Message::Checkpoint { epoch, update }));
    }),
    ("S3", "to claim another's office", |story| {
        let thief = Doctored::knowing(FIRST(), term(1));
        story.step(thief.sends(NodeId(1), heartbeat(term(1))));
    }),
    (
        "S3",
        "to ask for a file call below what is known",
        |story| {
            story.step(Doctored::knowing(BOSS(), newer()).does(Action::File {
                epoch: term(1),
                tag: FileTag::Sync,
                call: FileCall::Sync(vec![]),
            }));
        },
    ),
    ("S3", "two elections that are won at once", |story| {
        let twice = Doctored::winning(BOSS(), 3).knew(term(1));
        story.step(twice.does(Action::Trace {
            role: RoleName::Candidate,
            term: Term(2),
            trace: Trace::ElectionWon,
        }));
    }),
    ("S3", "to act after stepping down", |story| {
        story.led();
        let why = StepDownCause::Isolated;
        let mut down = Doctored::acting(BOSS(), 1).trace(Trace::SteppedDown { why });
        down.after.acting = None;
        story.step(down.sends(NodeId(0), heartbeat(term(1))));
    }),
    ("S3", "a file call below what was known", |story| {
        story.tell(&called(BOSS(), term(1), newer()));
    }),
    ("S3", "a file call in another's name", |story| {
        story.tell(&called(FIRST(), term(1), term(1)));
    }),
    ("S8", "to act without what a peer told", |story| {
        let leaf = Plan::new(40).leaf(0);
        story.won();
        let first = Doctored::knowing(BOSS(), term(1));
        story.step(first.gets(FIRST(), promise(term(1), &[leaf])));
        let second = Doctored::acting(BOSS(), 1).begins_to_act();
        story.step(second.gets(SECOND(), promise(term(1), &[])));
    }),
    ("S8", "to win and act at once, asking nobody", |story| {
        story.step(linked(BOSS(), Epoch::NONE, FIRST(), Epoch::NONE));
        let mut wins = Doctored::winning(BOSS(), 1).knew(Epoch::NONE);
        wins.after.acting = Some(term(1));
        story.step(wins.trace(Trace::Acting));
    }),
    ("S8", "to act before one of two has answered", |story| {
        story.won();
        let hears = Doctored::acting(BOSS(), 1).begins_to_act();
        story.step(hears.gets(FIRST(), promise(term(1), &[])));
    }),
    ("S8", "to act on a promise to an earlier epoch", |story| {
        story.led();
        let wins = Doctored::winning(BOSS(), 2).knew(term(1));
        let epoch = term(2);
        story.step(wins.sends(NodeId(0), Message::Collect { epoch }));
        let hears = |acts: Doctored| acts.gets(FIRST(), promise(term(2), &[]));
        let acts = Doctored::acting(BOSS(), 2).begins_to_act();
        story.step(hears(acts));
    }),
    (
        "S8",
        "to act without asking one that is heard again",
        |story| {
            story.led();
            for state in [ChildState::Stopped, ChildState::Running] {
                story.step(Doctored::acting(BOSS(), 1).event(Event::Hint {
                    peer: NodeId(0),
                    incarnation: Incarnation(1),
                    state,
                }));
            }
            let mut wins = Doctored::winning(BOSS(), 2).knew(term(1));
            wins.before.acting = Some(term(1));
            story.step(wins);
            let late = Event::Timeout(Timer::Collect(NodeId(1)));
            story.step(Doctored::acting(BOSS(), 2).begins_to_act().event(late));
        },
    ),
    ("L1", "to wait for too long", |story| {
        for incarnation in [3, 5] {
            story.step(Doctored::winning(life(2, incarnation), incarnation));
            story.tell(&Fact::Died(life(2, incarnation)));
        }
        story.step(waits(life(2, 7), epoch(5, life(2, 5)), 30_001));
    }),
    (
        "L1",
        "to wait without having lost the office again",
        |story| {
            story.step(waits(SECOND(), term(1), 2_000));
        },
    ),
    ("L4", "an election while the cluster stops", |story| {
        story.step(stopping(FIRST(), Epoch::NONE));
        let why = ElectionCause::Start;
        let elects = Doctored::knowing(FIRST(), Epoch::NONE);
        story.step(elects.trace(Trace::ElectionStarted { why }));
    }),
    ("L4", "to win while the cluster stops", |story| {
        story.step(stopping(BOSS(), Epoch::NONE));
        story.step(Doctored::winning(BOSS(), 1).knew(Epoch::NONE));
    }),
    ("L4", "to begin to act while the cluster stops", |story| {
        story.won();
        let hears = Doctored::knowing(BOSS(), term(1));
        story.step(hears.gets(FIRST(), promise(term(1), &[])));
        story.step(stopping(BOSS(), term(1)));
        let last = Doctored::acting(BOSS(), 1).begins_to_act();
        story.step(last.gets(SECOND(), promise(term(1), &[])));
    }),
];

/// What node 1 has won meanwhile.
fn newer() -> Epoch {
    epoch(2, SECOND())
}

fn challenge() -> Message {
    let (highest, hangs) = (newer(), false);
    Message::Election { highest, hangs }
}

fn heartbeat(epoch: Epoch) -> Message {
    Message::Heartbeat { epoch }
}

/// The first worker knows the first epoch and is told of the next.
fn learns(message: Message) -> Doctored {
    let step = Doctored::knowing(FIRST(), newer()).knew(term(1));
    step.gets(SECOND(), message)
}

/// The first worker answers the coordinator of the first epoch.
fn obeys() -> Doctored {
    let step = Doctored::knowing(FIRST(), term(1)).gets(BOSS(), heartbeat(term(1)));
    step.sends(NodeId(2), pulse(term(1)))
}

fn hint(incarnation: u64, state: ChildState) -> Doctored {
    Doctored::knowing(FIRST(), term(1)).event(Event::Hint {
        peer: NodeId(2),
        incarnation: Incarnation(incarnation),
        state,
    })
}

fn link_down() -> Doctored {
    let (peer, incarnation) = (NodeId(2), Incarnation(3));
    Doctored::knowing(FIRST(), term(1)).event(Event::LinkDown { peer, incarnation })
}

fn called(life: Life, epoch: Epoch, highest: Epoch) -> Fact<'static> {
    Fact::Called {
        life,
        epoch,
        highest,
        known: None,
    }
}

fn waits(life: Life, knows: Epoch, ms: u64) -> Doctored {
    Doctored::knowing(life, knows).trace(Trace::PreemptionDamped { ms })
}

fn stopping(life: Life, knows: Epoch) -> Doctored {
    Doctored::knowing(life, knows).event(Event::Stopping)
}
