//! A batch of seeds that every change must pass, and what a seed promises.

use simulation::batch::batch;
use simulation::run::run;

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
