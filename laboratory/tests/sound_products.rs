//! The verdict on lost products, put to the test: every cause to do something again excuses, in whatever
//! order the lines and clocks of those who do it may come.

use crate::course::cluster::{K, W0, W1, W2, is_sound, of};
use serde_json::json;

#[test]
fn whatever_is_done_again_with_a_cause_is_sound() {
    is_sound("nothing happens", |course| {
        course.does_all(K, &[W0, W1, W2], 0..6);
        course.ends(K, "a");
    });
    is_sound("a worker dies before it sends", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.tell(W0, of("computing", 0), &[assigned]);
        course.dies(W0, &[K]);
        course.takes_back(K, 0, "worker_died");
        course.does_all(K, &[W1], 0..6);
    });
    is_sound("a worker has completed it, and dies", |course| {
        course.computes(K, W0, 0);
        course.dies(W0, &[K]);
        course.takes_back(K, 0, "worker_died");
        course.does_all(K, &[W1], 0..6);
    });
    is_sound("a deadline passes", |course| {
        course.computes(K, W0, 0);
        course.takes_back(K, 0, "deadline");
        course.does_all(K, &[W1], 0..6);
        course.takes_back(K, 0, "deadline");
    });
    is_sound("a coordinator dies with all who held it", |course| {
        course.does(K, W0, 0);
        course.dies(W0, &[K, W1, W2]);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W1], &[]);
        course.accepts(W2, "a");
        course.does_all(W2, &[W1], 0..6);
        course.ends(W2, "a");
    });
}

#[test]
fn whatever_is_done_again_where_nobody_can_know_better_is_sound() {
    is_sound("who had it is slow, and passed over", |course| {
        course.computes(K, W0, 0);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W1], &[W0]);
        course.accepts(W2, "a");
        course.does_all(W2, &[W1], 0..6);
    });
    is_sound("who computes it is slow, and passed over", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W1], &[W0]);
        course.accepts(W2, "a");
        course.tell(W0, of("computing", 0), &[assigned]);
        course.does_all(W2, &[W1], 0..3);
        course.tell(W0, of("completed", 0), &[]);
        course.does_all(W2, &[W1], 3..6);
    });
    is_sound("who had it was taken for down", |course| {
        course.computes(K, W0, 0);
        course.loses(W2, W0, "silence", &[]);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W1], &[]);
        course.accepts(W2, "a");
        course.does_all(W2, &[W1], 0..6);
    });
    is_sound("who had it is lost while the winner collects", |course| {
        course.computes(K, W0, 0);
        course.dies(K, &[W1, W2]);
        let now = course.act(W2, &[]);
        course.terms.insert(W2, 2);
        let won = course.tell(W2, json!({"event": "election_won"}), &[now]);
        course.terms.insert(W1, 2);
        let promised = course.act(W1, &[(won, 0)]);
        course.dies(W0, &[W2]);
        course.tell(W2, json!({"event": "acting"}), &[promised]);
        course.accepts(W2, "a");
        course.does_all(W2, &[W1], 0..6);
    });
    is_sound(
        "it had promised to another when the assignment came",
        |course| {
            course.assigns(K, W0, 0);
            course.dies(K, &[W1, W2]);
            course.takes_over(W2, 2, &[W0, W1], &[]);
            course.accepts(W2, "a");
            course.does_all(W2, &[W1], 0..6);
        },
    );
    is_sound(
        "a stopped coordinator goes on, with one that knows no other",
        |course| {
            course.does(K, W1, 0);
            course.supervise(K, json!({"event": "node_stopped"}), &[]);
            course.takes_over(W2, 2, &[W1], &[W0]);
            course.accepts(W2, "a");
            course.does(W2, W1, 1);
            course.does_all(K, &[W0], 1..5);
            course.does_all(W2, &[W1], 2..6);
            course.tell_in(2, K, json!({"event": "stepped_down", "why": "stale"}), &[]);
        },
    );
    is_sound(
        "who computes it wins in the term of the next winner",
        |course| {
            let assigned = course.assigns(K, W1, 0);
            course.tell(W1, of("computing", 0), &[assigned]);
            course.dies(K, &[W0, W1, W2]);
            course.takes_over(W1, 2, &[W0], &[]);
            // Of two that win one term, the higher node's epoch is the higher.
            course.takes_over(W2, 2, &[W0, W1], &[]);
            course.accepts(W2, "a");
            course.does_all(W2, &[W1, W0], 0..6);
        },
    );
    is_sound("who computes it stops once the winner acts", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.tell(W0, of("computing", 0), &[assigned]);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W0, W1], &[]);
        let stopped = course.supervise(W0, json!({"event": "node_stopped"}), &[]);
        course.loses(W2, W0, "hint", &[stopped]);
        course.accepts(W2, "a");
        course.does_all(W2, &[W1], 0..6);
    });
    is_sound(
        "who completed it waits with it, and dies once the winner acts",
        |course| {
            course.computes(K, W0, 0);
            course.dies(K, &[W0, W1, W2]);
            course.takes_over(W2, 2, &[W0, W1], &[]);
            course.dies(W0, &[W1, W2]);
            course.accepts(W2, "a");
            course.does_all(W2, &[W1], 0..6);
        },
    );
    is_sound("who computed it wins, and drops it", |course| {
        let assigned = course.assigns(K, W2, 0);
        course.tell(W2, of("computing", 0), &[assigned]);
        course.dies(K, &[W1, W2, W0]);
        course.takes_over(W2, 2, &[W0, W1], &[]);
        course.accepts(W2, "a");
        let assigned = course.assigns(W2, W1, 0);
        course.tell(W1, of("computing", 0), &[assigned]);
        // A third takes over, passes over who computes it, and hands it to the one that dropped it.
        course.takes_over(W0, 3, &[W2], &[W1]);
        course.accepts(W0, "a");
        course.does_all(W0, &[W2], 0..6);
    });
}

/// As a coordinator dies that has committed a job and not said so; or one wakes, that was stopped, and says
/// that it took the job which is over.
#[test]
fn whatever_is_done_again_for_another_job_is_sound() {
    is_sound("the job is over, and all say so", |course| {
        course.write("done/b.job", "12!\n");
        course.does_all(K, &[W0, W1], 0..6);
        course.ends(K, "a");
        course.accepts(K, "b");
        course.does_all(K, &[W1, W0], 0..6);
        course.ends(K, "b");
    });
    is_sound("who committed it dies before it says so", |course| {
        course.write("done/b.job", "12!\n");
        course.does_all(K, &[W0, W1], 0..6);
        course.dies(K, &[W0, W1, W2]);
        course.takes_over(W2, 2, &[W0, W1], &[]);
        course.accepts(W2, "b");
        course.does_all(W2, &[W1, W0], 0..6);
        course.ends(W2, "b");
    });
    is_sound(
        "a stopped coordinator says late that it took it",
        |course| {
            course.write("done/b.job", "12!\n");
            course.write("done/c.job", "12!\n");
            course.supervise(K, json!({"event": "node_stopped"}), &[]);
            course.takes_over(W2, 2, &[W0, W1], &[]);
            course.accepts(W2, "a");
            course.accepts(W2, "b");
            course.does_all(W2, &[W1, W0], 0..6);
            course.ends(W2, "a");
            course.ends(W2, "b");
            let over = course.last_of(W2);
            course.act(K, &[(over, 0)]);
            course.accepts(K, "b");
            course.tell_in(2, K, json!({"event": "stepped_down", "why": "stale"}), &[]);
            course.accepts(W2, "c");
            course.does_all(W2, &[W0, W1], 0..6);
            course.ends(W2, "c");
        },
    );
    is_sound("it fails, and is asked for again", |course| {
        course.write("failed/a.job", "12!\n");
        course.computes(K, W0, 0);
        course.tell(K, json!({"event": "job_rejected", "job": "a"}), &[]);
        course.write("done/b.job", "12!\n");
        course.accepts(K, "b");
        course.does_all(K, &[W1, W0], 0..6);
    });
}
