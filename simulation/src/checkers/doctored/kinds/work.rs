//! S5 to S7: what is computed, by whom, and what is not computed again.

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;
use protocol::event::{Action, Event, Task};
use protocol::id::NodeId;
use protocol::message::{Message, Update};
use protocol::packed;
use protocol::plan::{Kind as What, Method, OperationId, Plan, Shape};
use protocol::trace::{StepDownCause, Trace};

use super::{
    BOSS, Doctored, FIRST, Kind, SECOND, Story, assign, computing, epoch, life, product, promise,
    term,
};

pub(super) const KINDS: &[Kind] = &[
    ("S2", "to compute what nobody assigned", |story| {
        story.led();
        story.step(computing(FIRST(), leaf(0), numbers(&[3..=6])));
    }),
    ("S2", "to compute what was assigned to another", |story| {
        story.led();
        story.assigns(leaf(0));
        story.step(computing(SECOND(), leaf(0), numbers(&[3..=6])));
    }),
    (
        "S2",
        "to compute for one who does not own the epoch",
        |story| {
            story.led();
            let told = Doctored::knowing(FIRST(), term(1)).gets(SECOND(), assign(term(1), leaf(0)));
            story.step(told);
            story.step(computing(FIRST(), leaf(0), numbers(&[3..=6])));
        },
    ),
    (
        "S2",
        "to compute for an earlier life of the owner",
        |story| {
            story.led();
            let told = Doctored::knowing(FIRST(), term(1));
            story.step(told.gets(life(2, 2), assign(term(1), leaf(0))));
            story.step(computing(FIRST(), leaf(0), numbers(&[3..=6])));
        },
    ),
    ("S2", "to compute twice what was assigned once", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[3..=6]));
        story.step(computing(FIRST(), leaf(0), numbers(&[3..=6])));
    }),
    (
        "S2",
        "to compute what was assigned before an office",
        |story| {
            story.led();
            story.assigns(leaf(0));
            story.step(Doctored::winning(FIRST(), 2).knew(term(1)));
            let (next, why) = (epoch(3, SECOND()), StepDownCause::Promised);
            let down = Doctored::knowing(FIRST(), next).knew(epoch(2, FIRST()));
            story.step(down.trace(Trace::SteppedDown { why }));
            story.step(Doctored::knowing(FIRST(), next).does(compute(leaf(0), numbers(&[3..=6]))));
        },
    ),
    ("S5", "an operation on five numbers", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[2..=6]));
    }),
    (
        "S5",
        "an operation on five numbers, in two leaves",
        |story| {
            story.led();
            story.computes(leaf(0), numbers(&[3..=6, 2..=2]));
        },
    ),
    ("S5", "an operation on five products", |story| {
        story.led();
        story.computes(root(), Task::Products(twos(5)));
    }),
    ("S5", "an operation on five products of a block", |story| {
        story.led();
        story.computes(root(), block(5, vec![5]));
    }),
    ("S5", "a block that leaves out a product", |story| {
        story.led();
        story.computes(root(), block(5, vec![4]));
    }),
    ("S5", "a step on five values", |story| {
        story.led_by_powers();
        // The first counts twice.
        story.computes(chain(What::Step, 0), Task::Step(twos(4)));
    }),
    ("S5", "a part of a step on five values", |story| {
        story.led_by_powers();
        story.computes(chain(What::Part, 0), part(4, 0));
    }),
    ("S5", "a part beyond the last", |story| {
        story.led_by_powers();
        story.computes(chain(What::Part, 2), part(2, 2));
    }),
    ("S5", "five parts that make a step", |story| {
        story.led_by_powers();
        story.computes(chain(What::Step, 0), Task::Join(twos(5)));
    }),
    ("S5", "a prime in two leaves", |story| {
        story.led_by_powers();
        story.computes(of_powers(0), primes(14, 1, 0..1));
        story.computes(of_powers(1), primes(14, 1, 0..1));
    }),
    ("S5", "a leaf without a prime", |story| {
        story.led_by_powers();
        story.computes(of_powers(0), primes(14, 1, 1..2));
    }),
    ("S5", "primes of another factorial", |story| {
        story.led_by_powers();
        story.computes(of_powers(0), primes(13, 1, 0..1));
    }),
    ("S5", "other primes when it is computed again", |story| {
        story.led_by_powers();
        story.computes(of_powers(0), primes(14, 1, 0..1));
        story.computes(of_powers(0), primes(14, 0, 0..1));
    }),
    ("S5", "prime powers of which one is left out", |story| {
        story.led_by_powers();
        // 14! = 10^2 · 2^9 · 3^5 · 7^2 · 11 · 13.
        for (leaf, bit) in [3, 2, 1].into_iter().enumerate() {
            story.computes(of_powers(leaf as u32), primes(14, bit, 0..1));
        }
        story.step(done(14, Method::Powers));
    }),
    (
        "S5",
        "prime powers of another plan than was told",
        |story| {
            story.led();
            story.computes_all_of_six();
            story.step(done(6, Method::Powers));
        },
    ),
    ("S5", "a number that is in two leaves", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[3..=6]));
        story.computes(leaf(1), numbers(&[1..=3]));
    }),
    (
        "S5",
        "a number that is in two leaves of one block",
        |story| {
            story.led();
            story.assigns(leaf(0));
            let step = Doctored::knowing(FIRST(), term(1)).trace(Trace::Computing { op: leaf(0) });
            let step = step.trace(Trace::Computing { op: leaf(1) });
            story.step(step.does(compute(leaf(0), numbers(&[3..=6, 1..=3]))));
        },
    ),
    ("S5", "other numbers when it is computed again", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[3..=6]));
        story.computes(leaf(0), numbers(&[4..=6]));
    }),
    ("S5", "a number that is none of n!", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[4..=7]));
    }),
    ("S5", "a product without one of its leaves", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[3..=6]));
        story.step(done(6, Method::Tree));
    }),
    (
        "S5",
        "a product of nothing, which nobody computed",
        |story| {
            story.led();
            story.step(done(0, Method::Tree));
        },
    ),
    ("S5", "a product that is done twice", |story| {
        story.led();
        story.computes_all_of_six();
        story.step(done(6, Method::Tree));
    }),
    (
        "S5",
        "a second product of which nothing was computed",
        |story| {
            story.led();
            story.computes_all_of_six();
            let update = Update {
                forgotten: vec![6],
                ..Update::default()
            };
            let epoch = term(1);
            let forget = Message::Checkpoint { epoch, update };
            let forgets = Doctored::acting(BOSS(), 1).sends(NodeId(0), forget.clone());
            story.step(forgets.sends(NodeId(1), forget.clone()));
            for worker in [FIRST(), SECOND()] {
                story.step(Doctored::knowing(worker, term(1)).gets(BOSS(), forget.clone()));
            }
            story.step(done(6, Method::Tree));
        },
    ),
    ("S5", "two values for one operation", |story| {
        story.led();
        story.step(Doctored::acting(BOSS(), 1).trace(Trace::ValuesDiffer { op: root() }));
    }),
    ("S6", "a coordinator that computes", |story| {
        story.led();
        story.step(Doctored::acting(BOSS(), 1).does(compute(leaf(0), numbers(&[3..=6]))));
    }),
    ("S6", "a winner that computes before it acts", |story| {
        story.won();
        story.step(Doctored::knowing(BOSS(), term(1)).does(compute(leaf(0), numbers(&[3..=6]))));
    }),
    ("S7", "to assign what a peer said that it holds", |story| {
        holds_first_leaf(story);
        let (op, worker) = (leaf(0), NodeId(1));
        story.step(Doctored::acting(BOSS(), 1).trace(Trace::Assigned { op, worker }));
    }),
    ("S7", "to assign without owning an epoch", |story| {
        let (op, worker) = (leaf(0), NodeId(1));
        story.step(Doctored::knowing(FIRST(), term(1)).trace(Trace::Assigned { op, worker }));
    }),
    ("S7", "to compute again what a worker keeps", |story| {
        story.led();
        story.computes(leaf(0), numbers(&[3..=6]));
        let sent = Message::Products {
            products: vec![product(leaf(0))],
        };
        let finished = Event::Computed {
            products: vec![product(leaf(0))],
        };
        let finished = Doctored::knowing(FIRST(), term(1)).event(finished);
        story.step(finished.sends(NodeId(2), sent));
        story.computes(leaf(0), numbers(&[3..=6]));
    }),
];

pub(super) fn leaf(index: u32) -> OperationId {
    Plan::new(6).leaf(index)
}

pub(super) fn root() -> OperationId {
    Plan::new(6).last()
}

/// The operations of 6!, in order.
pub(super) fn all_of_six() -> [(OperationId, Task); 3] {
    let products = Task::Products(twos(2));
    [
        (leaf(0), numbers(&[3..=6])),
        (leaf(1), numbers(&[1..=2])),
        (root(), products),
    ]
}

fn numbers(leaves: &[RangeInclusive<u32>]) -> Task {
    Task::Numbers(leaves.to_vec())
}

/// Prime powers, with parts of each step.
pub(super) const POWERS: Shape = Shape {
    method: Method::Powers,
    least_blocks: u32::MAX,
    cut_from: 0,
};

/// A leaf of 14! by prime powers: each bit has one, the highest first.
fn of_powers(index: u32) -> OperationId {
    POWERS.plan(14).leaf(index)
}

/// The last step of 14!, or a part of it.
fn chain(kind: What, index: u32) -> OperationId {
    let last = POWERS.plan(14).last();
    OperationId {
        kind,
        index,
        ..last
    }
}

fn primes(n: u32, bit: u8, leaves: Range<u32>) -> Task {
    Task::Primes { n, bit, leaves }
}

fn part(values: usize, index: u8) -> Task {
    let step = twos(values);
    Task::Part { step, index }
}

fn twos(values: usize) -> Vec<Bytes> {
    vec![Bytes::from_static(b"2"); values]
}

fn done(n: u32, plan: Method) -> Doctored {
    Doctored::acting(BOSS(), 1).trace(Trace::ProductDone { n, plan })
}

fn compute(operation: OperationId, task: Task) -> Action {
    Action::Compute { operation, task }
}

fn block(values: usize, groups: Vec<u8>) -> Task {
    let below = packed::pack(std::iter::repeat_n(b"2", values));
    Task::Block { below, groups }
}

/// A coordinator that was told by the first worker that it holds a leaf, and has it too.
fn holds_first_leaf(story: &mut Story) {
    story.won();
    let hears = |worker, held: &[OperationId]| {
        let step = Doctored::knowing(BOSS(), term(1));
        step.gets(worker, promise(term(1), held))
    };
    story.step(hears(FIRST(), &[leaf(0)]));
    let mut acts = hears(SECOND(), &[]).holding(&[leaf(0)]);
    acts.after.acting = Some(term(1));
    story.step(acts);
}
