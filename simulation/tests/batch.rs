//! A batch of seeds that every change must pass, and what a seed promises.

use simulation::batch::batch;
use simulation::run::run;

/// Seeds that found a defect once. What a seed means has changed since, with the faults that are
/// drawn, so they are a batch like any other, and cheap; each defect has its own test among those
/// of the protocol, in `regressions.rs`, `sleepers.rs` and `election.rs`.
const ONCE_FAILED: [u64; 19] = [
    1030, 1069, 1530, 1616, 3164, 6225, 7714, 10732, 10808, 21597, 34059, 1001978, 1039111,
    1063462, 2105012209, 31000271, 31000464, 300003003, 600007565,
];

/// Seeds of the batch. Enough for every situation that must be reached, in a build for tests.
const SEEDS: u64 = 300;

#[test]
fn a_batch_of_seeds_finds_no_violation_and_reaches_every_situation() {
    let summary = batch(0, SEEDS, 1);
    assert_eq!(summary.violations, []);
    assert_eq!(summary.reached.lacking(), [""; 0]);
    assert!(
        summary.with_takeover * 5 >= summary.seeds,
        "only {} of {} seeds took over in mid-job",
        summary.with_takeover,
        summary.seeds
    );
}

#[test]
fn seeds_that_once_failed_find_no_violation() {
    let failed = ONCE_FAILED.map(|seed| (seed, run(seed, false).violation));
    let failed: Vec<_> = failed.iter().filter(|(_, found)| found.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in [1, 12, 123] {
        let traces = [run(seed, true), run(seed, true)].map(|run| run.record.listing(None, true));
        assert!(traces[0].len() > 10_000, "seed {seed} has hardly a trace");
        assert!(traces[0] == traces[1], "seed {seed} gave two traces");
    }
}

#[test]
fn a_run_is_the_same_whether_it_is_recorded_or_not() {
    let [recorded, unrecorded] = [run(7, true), run(7, false)];
    assert_eq!(recorded.steps, unrecorded.steps);
    assert_eq!(recorded.lasted, unrecorded.lasted);
    assert_eq!(recorded.reached, unrecorded.reached);
}
