//! The verdict on what was multiplied, put to the test: of both plans each operation that is missing is found, and
//! each that the plan does not have.

use std::collections::BTreeSet;

use crate::both::Judged;
use crate::made::{Made, assert_sound};
use serde_json::json;

/// Kind, level, index.
type Name = (&'static str, u64, u64);

/// 60! is 2^42 · 3^28 · 7^9 · 11^5 · … · 53 · 59 and fourteen zeros, so its exponents have six bits. From the
/// lowest on these have 3, 2, 1, 1, 1 and 1 leaves. Of all numbers there are 15.
const N: u64 = 60;

fn level(level: u64, width: u64) -> impl Iterator<Item = Name> {
    (0..width).map(move |index| ("multiply", level, index))
}

fn tree() -> Vec<Name> {
    level(0, 15).chain(level(1, 4)).chain(level(2, 1)).collect()
}

/// With so many steps cut.
fn powers(cut: u64) -> Vec<Name> {
    let mut all: Vec<Name> = level(0, 9).chain(level(1, 2)).collect();
    for bit in (0..5).rev() {
        let parts = if bit < cut { 2 } else { 0 };
        all.extend((0..parts).map(|part| ("part", bit, part)));
        all.push(("step", bit, 0));
    }
    all
}

/// A sound run in which these operations of N! are done as well, and which says then that it is, if a plan is given.
fn run(names: &[Name], plan: Option<&str>) -> Made {
    let mut made = Made::new();
    let mut at = 600;
    for &(kind, level, index) in names {
        let op = json!({"n": N, "kind": kind, "level": level, "index": index});
        made.add(
            at,
            2,
            1,
            json!({"event": "assigned", "op": op, "worker": 0}),
        );
        made.add(at + 1, 0, 1, json!({"event": "computing", "op": op}));
        made.add(at + 2, 0, 1, json!({"event": "completed", "op": op}));
        made.add(at + 3, 2, 1, json!({"event": "checkpointed", "op": op}));
        at += 10;
    }
    if let Some(plan) = plan {
        let done = json!({"event": "product_done", "n": N, "plan": plan});
        made.add(at, 2, 1, done);
    }
    made
}

fn is_sound(names: &[Name], plan: Option<&str>) {
    assert_sound(&run(names, plan).run().judged());
}

/// S5 alone is broken, once; what is said of it.
fn broken(names: &[Name], plan: Option<&str>) -> String {
    let found = run(names, plan).run().judged();
    let laws: Vec<&str> = found.iter().map(|found| found.invariant).collect();
    assert_eq!(laws, ["S5"], "{names:?}: {found:#?}");
    found[0].message.clone()
}

fn without(names: &[Name], left_out: &[Name]) -> Vec<Name> {
    let rest = names.iter().filter(|name| !left_out.contains(name));
    rest.copied().collect()
}

#[test]
fn both_plans_are_sound_however_many_steps_are_cut() {
    is_sound(&tree(), Some("tree"));
    for cut in 0..=5 {
        is_sound(&powers(cut), Some("powers"));
        is_sound(&powers(cut), None);
    }
    // What is not done yet may lack anything.
    is_sound(&powers(0)[..7], None);
    is_sound(&tree()[..17], None);
}

#[test]
fn every_operation_that_is_missing_is_found() {
    let plans = [
        (tree(), "tree"),
        (powers(0), "powers"),
        (powers(1), "powers"),
        (powers(3), "powers"),
    ];
    for (names, plan) in plans {
        for &name in &names {
            broken(&without(&names, &[name]), Some(plan));
        }
    }
}

#[test]
fn what_is_missing_is_said_with_what_it_multiplies() {
    let told = |names: &[Name], plan: &str, left_out: Name| {
        broken(&without(names, &[left_out]), Some(plan))
    };
    let cut = powers(2);
    for (names, plan, left_out, words) in [
        (
            &tree(),
            "tree",
            ("multiply", 0, 14),
            "that is 4 × 3 × 2 × 1",
        ),
        (
            &tree(),
            "tree",
            ("multiply", 1, 3),
            "that is product of 4 (numbers 1 to 16)",
        ),
        (
            &cut,
            "powers",
            ("multiply", 0, 1),
            "that is P4: 3, 3^12 was multiplied instead of 3^28",
        ),
        (
            &cut,
            "powers",
            ("multiply", 0, 4),
            "that is P1: 2 × 17 × 19 × 23, 2^54 was multiplied instead of 2^56",
        ),
        (
            &cut,
            "powers",
            ("multiply", 1, 1),
            "that is P0: primes 7 to 59",
        ),
        (
            &cut,
            "powers",
            ("step", 4, 0),
            "that is F4 = P5 · (P5 · P4)",
        ),
        (&cut, "powers", ("step", 0, 0), "that is F0 from its parts"),
        (
            &cut,
            "powers",
            ("part", 1, 1),
            "nobody completed part 2 of F1",
        ),
    ] {
        let told = told(names, plan, left_out);
        assert!(told.ends_with(words), "{told}");
    }
}

#[test]
fn a_leaf_in_the_place_of_another_is_found() {
    for (names, plan) in [(tree(), "tree"), (powers(2), "powers")] {
        for other in [0, 1, 5, 8] {
            let mut names = names.clone();
            names[3] = names[other];
            let made = run(&names, Some(plan));
            // The other is computed twice, which is against S7.
            let expected = BTreeSet::from(["S5", "S7"]);
            assert_eq!(made.broken(), expected, "{other}");
        }
    }
}

#[test]
fn parts_of_steps_that_are_cut_in_another_way_are_found() {
    let cut = powers(3);
    // One of two; both of one that is not the highest that is cut.
    broken(&without(&cut, &[("part", 1, 1)]), Some("powers"));
    broken(&without(&cut, &[("part", 2, 0)]), Some("powers"));
    let parts = |bit: u64| [("part", bit, 0), ("part", bit, 1)];
    broken(&without(&cut, &parts(0)), Some("powers"));
    // As if fewer were cut: that nobody can tell.
    is_sound(&without(&cut, &parts(2)), Some("powers"));
}

#[test]
fn a_name_outside_of_the_plan_is_found() {
    let beyond = |names: Vec<Name>, plan: Option<&str>, name: Name| {
        let message = broken(&[names, vec![name]].concat(), plan);
        assert!(message.starts_with("60! has no "), "{message}");
    };
    for name in [
        ("multiply", 0, 15),
        ("multiply", 2, 1),
        ("multiply", 3, 0),
        ("step", 0, 0),
        ("part", 0, 0),
        ("decimal", 0, 0),
    ] {
        beyond(tree(), Some("tree"), name);
    }
    for plan in [Some("powers"), None] {
        for name in [
            ("multiply", 0, 9),
            ("multiply", 1, 2),
            ("multiply", 2, 0),
            ("step", 5, 0),
            ("step", 0, 1),
            ("part", 5, 0),
            ("part", 0, 4),
            ("decimal", 0, 0),
        ] {
            beyond(powers(2), plan, name);
        }
    }
    // In neither plan, whichever it is.
    beyond(Vec::new(), None, ("multiply", 0, 15));
}

#[test]
fn one_plan_is_not_taken_for_the_other() {
    let names = |found: &Made| found.broken();
    assert_eq!(names(&run(&tree(), Some("powers"))), BTreeSet::from(["S5"]));
    let by_powers = run(&powers(2), Some("tree"));
    assert_eq!(names(&by_powers), BTreeSet::from(["S5"]));
}

#[test]
fn a_torn_line_excuses_one_operation() {
    let judge = |left_out: &[Name]| {
        let made = run(&without(&powers(2), left_out), Some("powers"));
        let mut run = made.run();
        let mut text = made.text();
        text.extend_from_slice(b"{\"mono_ns\":5\n");
        run.log = laboratory::log::Log::parse(&text);
        run.judged().len()
    };
    assert_eq!(judge(&[("part", 0, 1)]), 0);
    assert_eq!(judge(&[("part", 0, 1), ("step", 3, 0)]), 1);
}
