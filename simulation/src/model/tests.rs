use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use protocol::id::NodeId;

use super::*;

fn bounds(start: Start, crashes: u8, pauses: u8, timeouts: u8) -> Bounds {
    Bounds {
        start,
        nodes: 3,
        crashes,
        pauses,
        timeouts,
        hints: pauses > 0,
        depth: None,
        shortest: false,
    }
}

/// Searches that differ in what can go wrong, and are small.
fn small() -> [Bounds; 4] {
    [
        bounds(Start::Cold, 0, 0, 0),
        bounds(Start::Led, 1, 0, 0),
        bounds(Start::Led, 0, 1, 0),
        bounds(Start::MidJob, 0, 0, 1),
    ]
}

type Choices = fn(&ModelState, &mut Vec<Choice>);

fn fingerprint(value: &impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// Whether a state is on the way to the one that is being looked at, by fingerprint.
type Visited = HashMap<u64, bool>;

/// Goes through all that can be reached, and shows each state once; tells whether a way led back
/// to itself.
fn walk(bounds: &Bounds, choices: Choices, mut see: impl FnMut(&ModelState)) -> bool {
    let mut visited = Visited::new();
    let mut way: Vec<(u64, Vec<ModelState>)> = Vec::new();
    let mut next = Some(ModelState::new(bounds));
    let mut circles = false;
    loop {
        let Some(cluster) = next.take() else {
            let Some((here, others)) = way.last_mut() else {
                return circles;
            };
            next = others.pop();
            if next.is_none() {
                visited.insert(*here, false);
                way.pop();
            }
            continue;
        };
        let here = fingerprint(&cluster);
        if let Some(&on_the_way) = visited.get(&here) {
            circles |= on_the_way;
            continue;
        }
        visited.insert(here, true);
        see(&cluster);
        let mut possible = Vec::new();
        choices(&cluster, &mut possible);
        let after = possible.into_iter().map(|choice| {
            let mut after = cluster.clone();
            after.make(choice);
            after
        });
        way.push((here, after.collect()));
    }
}

#[test]
fn every_order_of_a_crash_and_a_restart_is_safe() {
    let report = check(&bounds(Start::Led, 1, 0, 0));
    assert_eq!(report.violated(), [""; 0], "{report}");
    assert!(report.states > 10_000, "{report}");
    assert!(
        report
            .reached()
            .contains(&"a deposed coordinator steps down")
    );
}

#[test]
fn no_order_of_events_leads_back_to_where_it_was() {
    for bounds in small() {
        assert!(!walk(&bounds, ModelState::choices, |_| {}), "{bounds:?}");
    }
}

#[test]
fn every_process_goes_through_the_same_whether_or_not_others_wait() {
    for bounds in small() {
        let met = |choices: Choices| {
            let mut met: BTreeSet<(NodeId, u64)> = BTreeSet::new();
            let mut states = 0;
            walk(&bounds, choices, |cluster| {
                states += 1;
                let nodes = cluster.nodes();
                met.extend(nodes.map(|(life, node)| (life.node, fingerprint(node))));
            });
            (met, states)
        };
        let (all, of_all) = met(ModelState::all_choices);
        let (chosen, of_chosen) = met(ModelState::choices);
        assert!(of_chosen < of_all, "{of_chosen} of {of_all}: {bounds:?}");
        assert_eq!(all.len(), chosen.len(), "{bounds:?}");
        assert!(all == chosen, "{bounds:?}");
    }
}
