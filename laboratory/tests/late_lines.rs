//! Sound runs that the verdict once held for broken, each reduced from a simulated one: what it took for too
//! late, too silent or too strange may happen.

use std::collections::BTreeSet;

use crate::both::Judged;
use crate::made::{Made, assert_sound};
use laboratory::verdict::Dropped;
use serde_json::json;

#[test]
fn a_supervisor_that_has_no_time_tells_of_a_death_long_after_its_links_ended() {
    let mut made = Made::new();
    for node in [1, 2] {
        let lost = json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": "link"});
        made.add(700, node, 1, lost);
    }
    made.remove(|line| line["event"] == "node_exited" && line["node"] == 0);
    made.add(
        3_000,
        0,
        1,
        json!({"event": "node_exited", "signal": "SIGKILL"}),
    );
    made.add_of(3_001, 0, 4, 1, json!({"event": "node_spawned"}));
    made.add_of(3_010, 0, 4, 1, json!({"event": "started"}));
    let follows = json!({"event": "following", "coordinator": 2});
    made.add_of(3_020, 0, 4, 1, follows);
    assert_sound(&made.run().judged());
}

#[test]
fn a_node_that_stands_still_for_a_little_again_and_again_is_silent_and_tells_of_no_gap() {
    let mut made = Made::new();
    let begun = json!({"event": "run_begun", "suspect_after_ms": 500});
    made.add(1, 0, 0, begun);
    let lost = json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": "silence"});
    made.add(3_000, 2, 1, lost.clone());
    made.add(3_100, 1, 1, lost.clone());
    made.add(8_000, 2, 1, lost.clone());
    assert_sound(&made.run().judged());
    // It is not silent all the time.
    made.add(9_900, 2, 1, lost);
    assert_eq!(made.broken(), BTreeSet::from(["L3"]));
}

#[test]
fn a_name_that_was_numbered_at_the_claim_is_numbered_again_at_the_commit() {
    let mut made = Made::new();
    made.write("done/none.2.2.job", "0!\n");
    made.write("done/none.2.2.txt", "0!=1\n");
    made.job(590, "job_accepted", "none.2");
    for (at, event) in [(600, "result_published"), (610, "job_done")] {
        made.job(at, event, "none.2.2");
    }
    let mut run = made.run();
    run.dropped.push(Dropped::new("none", "0!\n"));
    assert_sound(&run.judged());
}
