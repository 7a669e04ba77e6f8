//! The verdict on lost products, put to the test: whatever is handed out, computed or checkpointed without
//! need or cause is found.

use crate::course::cluster::{
    K, LAYOUTS, W0, W1, W2, is_broken, is_broken_if_prompt, of, op, words,
};
use crate::course::{Course, Life, Pace};
use serde_json::{Value, json};

#[test]
fn a_coordinator_that_hands_out_again_what_it_knows() {
    is_broken(
        "handed out to another, and not taken back",
        "S7",
        |course| {
            course.computes(K, W0, 0);
            course.does_all(K, &[W1], 0..6);
        },
    );
    is_broken(
        "handed out to the same, and not taken back",
        "S7",
        |course| {
            course.assigns(K, W0, 0);
            course.does_all(K, &[W0], 0..6);
        },
    );
    is_broken("taken back once, handed out three times", "S7", |course| {
        course.computes(K, W0, 0);
        course.takes_back(K, 0, "deadline");
        course.assigns(K, W2, 0);
        course.does_all(K, &[W1], 0..6);
    });
    is_broken(
        "handed out though it is in the checkpoint",
        "S7",
        |course| {
            course.does(K, W0, 0);
            course.does_all(K, &[W1], 0..6);
        },
    );
    is_broken(
        "taken back though it is in the checkpoint",
        "S7",
        |course| {
            course.does(K, W0, 0);
            course.takes_back(K, 0, "deadline");
            course.does_all(K, &[W1], 0..6);
        },
    );
    is_broken(
        "handed out twice, for a job that asks again for what was done",
        "S7",
        |course| {
            course.write("done/b.job", "12!\n");
            course.does_all(K, &[W0], 0..6);
            course.ends(K, "a");
            course.accepts(K, "b");
            course.assigns(K, W0, 0);
            course.does(K, W1, 0);
        },
    );
    is_broken("again, of a job that was asked for twice", "S7", |course| {
        course.write("done/b.job", "12!\n");
        course.does_all(K, &[W0], 0..6);
        course.ends(K, "a");
        course.accepts(K, "b");
        course.does(K, W1, 0);
        course.does(K, W0, 0);
    });
}

#[test]
fn a_takeover_that_loses_what_it_must_have_learnt() {
    let goes_on = |course: &mut Course, life: Life, from: &[Life], worker: Life| {
        course.takes_over(life, 2, from, &[]);
        course.accepts(life, "a");
        course.does_all(life, &[worker], 0..6);
    };
    is_broken_if_prompt("what a peer has completed", |course| {
        course.computes(K, W0, 0);
        course.dies(K, &[W0, W1, W2]);
        goes_on(course, W2, &[W0, W1], W1);
    });
    is_broken_if_prompt("what a peer computes", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.tell(W0, of("computing", 0), &[assigned]);
        course.dies(K, &[W0, W1, W2]);
        goes_on(course, W2, &[W0, W1], W1);
    });
    is_broken_if_prompt("what a peer computes, said to be nobody's", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.tell(W0, of("computing", 0), &[assigned]);
        course.computes(K, W2, 1);
        course.dies(K, &[W0, W1, W2]);
        course.takes_over(W2, 2, &[W0, W1], &[]);
        course.takes_back(W2, 0, "takeover");
        course.accepts(W2, "a");
        course.does(W2, W1, 0);
        course.does_all(W2, &[W1], 2..6);
    });
    is_broken_if_prompt("what the last coordinator has, which lives", |course| {
        course.does(K, W0, 0);
        course.dies(W0, &[K, W1, W2]);
        goes_on(course, W2, &[K, W1], W1);
    });
    is_broken_if_prompt("what a follower was sent before its work", |course| {
        course.does(K, W0, 0);
        course.does(K, W1, 1);
        course.dies(W0, &[K, W1, W2]);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W1], &[]);
        course.accepts(W2, "a");
        course.does(W2, W1, 0);
        course.does_all(W2, &[W1], 2..6);
    });
    is_broken("what the winner was sent before its work", "S7", |course| {
        course.does(K, W0, 0);
        course.does(K, W2, 1);
        course.dies(W0, &[K, W1, W2]);
        course.dies(K, &[W1, W2]);
        course.takes_over(W2, 2, &[W1], &[]);
        course.accepts(W2, "a");
        course.does(W2, W1, 0);
        course.does_all(W2, &[W1], 2..6);
    });
    is_broken("what the winner has completed itself", "S7", |course| {
        course.computes(K, W2, 0);
        course.dies(K, &[W0, W1, W2]);
        goes_on(course, W2, &[W0, W1], W1);
    });
    is_broken(
        "what the winner put into the checkpoint when it led before",
        "S7",
        |course| {
            course.does(K, W0, 0);
            course.dies(W0, &[K, W1, W2]);
            course.tell(K, json!({"event": "stepped_down", "why": "gap"}), &[]);
            goes_on(course, K, &[W1, W2], W1);
        },
    );
}

#[test]
fn a_worker_that_begins_again_what_it_has() {
    is_broken(
        "what it has completed, for another coordinator",
        "S7",
        |course| {
            course.computes(K, W0, 0);
            course.dies(K, &[W1, W2]);
            course.takes_over(W2, 2, &[W1], &[W0]);
            course.accepts(W2, "a");
            course.terms.insert(W0, 2);
            course.does_all(W2, &[W0], 0..6);
        },
    );
    is_broken("what it computes", "S7", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.tell(W0, of("computing", 0), &[assigned]);
        course.tell(W0, of("computing", 0), &[]);
        course.does_all(K, &[W1], 1..6);
    });
}

#[test]
fn work_out_of_nothing() {
    is_broken("computed, and assigned to nobody", "S7", |course| {
        course.tell(W0, of("computing", 0), &[]);
        course.does_all(K, &[W1], 0..6);
    });
    is_broken("computed, and assigned to another", "S7", |course| {
        let assigned = course.assigns(K, W0, 0);
        course.tell(W1, of("computing", 0), &[assigned]);
    });
    is_broken("assigned by one who owned no epoch", "S7", |course| {
        let assigned = course.assigns(W2, W0, 0);
        course.tell(W0, of("computing", 0), &[assigned]);
    });
    is_broken("assigned only after it was computed", "S7", |course| {
        let computing = course.tell(W0, of("computing", 0), &[]);
        course.act(K, &[(computing, 0)]);
        course.assigns(K, W0, 0);
    });
    is_broken(
        "assigned in an epoch that its worker did not know",
        "S7",
        |course| {
            course.takes_over(W2, 2, &[W1], &[W0]);
            let assigned = course.assigns(W2, W0, 0);
            course.tell(W0, of("computing", 0), &[assigned]);
        },
    );
    is_broken("completed, and never begun", "S7", |course| {
        course.assigns(K, W0, 0);
        course.tell(W0, of("completed", 0), &[]);
    });
    is_broken("completed twice, and begun once", "S7", |course| {
        course.computes(K, W0, 0);
        course.tell(W0, of("completed", 0), &[]);
    });
    is_broken(
        "in the checkpoint, and completed by nobody",
        "S5",
        |course| {
            let assigned = course.assigns(K, W0, 0);
            course.tell(W0, of("computing", 0), &[assigned]);
            course.tell(K, of("checkpointed", 0), &[]);
        },
    );
    is_broken(
        "in the checkpoint before it was completed",
        "S5",
        |course| {
            let assigned = course.assigns(K, W0, 0);
            let kept = course.tell(K, of("checkpointed", 0), &[]);
            course.tell(W0, of("computing", 0), &[assigned]);
            course.act(W0, &[(kept, 0)]);
            course.tell(W0, of("completed", 0), &[]);
        },
    );
}

#[test]
fn a_cause_that_has_not_happened() {
    is_broken("a worker that did not die", "S7", |course| {
        course.computes(K, W0, 0);
        course.loses(K, W0, "link", &[]);
        course.takes_back(K, 0, "worker_died");
        course.does_all(K, &[W1], 0..6);
    });
    is_broken("a worker that goes on after its death", "S7", |course| {
        course.computes(K, W0, 0);
        course.loses(K, W0, "link", &[]);
        course.takes_back(K, 0, "worker_died");
        let lost = course.last_of(K);
        course.does_all(K, &[W1], 0..6);
        course.act(W0, &[(lost, 0)]);
        course.tell(W0, json!({"event": "gap", "ms": 1}), &[]);
        course.kill(W0);
    });
    is_broken("a worker that was not stopped", "S7", |course| {
        course.computes(K, W0, 0);
        course.loses(K, W0, "hint", &[]);
        course.takes_back(K, 0, "worker_stopped");
        course.does_all(K, &[W1], 0..6);
    });
}

/// The line of an event of this name and operation, and a life.
fn find(lines: &[Value], name: &str, index: usize, life: Life) -> Option<usize> {
    lines.iter().position(|line| {
        line["event"] == name
            && (index == usize::MAX || line["op"] == op(index))
            && (&line["node"], &line["incarnation"]) == (&json!(life.0), &json!(life.1))
    })
}

/// One torn line excuses what it can have told, and nothing else.
#[test]
fn a_torn_line_excuses_what_could_have_stood_in_it() {
    let make = |spoil: &dyn Fn(&mut Course)| {
        let mut course = Course::begun();
        spoil(&mut course);
        course
    };
    let twice = make(&|course| {
        course.does(K, W2, 5);
        course.computes(K, W0, 0);
        course.does_all(K, &[W1], 0..5);
    });
    let nobodys = make(&|course| {
        course.tell(W0, of("computing", 0), &[]);
        course.tell(W0, of("computing", 1), &[]);
        course.does_all(K, &[W1], 0..6);
    });
    let taken = make(&|course| {
        course.computes(K, W0, 0);
        course.takes_back(K, 0, "deadline");
        course.does_all(K, &[W1], 0..6);
    });
    let sound = make(&|course| {
        course.does_all(K, &[W1], 0..6);
        course.ends(K, "a");
    });
    for seed in 0..LAYOUTS / 10 {
        let judge = |course: &Course, name: &str, index: usize, life: Life| {
            course.judge(seed, Pace::Any, &|lines| {
                find(lines, name, index, life).into_iter().collect()
            })
        };
        // Elsewhere: before it was first handed out, or after it was again.
        for (name, index, life) in [("started", usize::MAX, K), ("checkpointed", 4, K)] {
            let found = judge(&twice, name, index, life);
            assert_eq!(found.len(), 1, "seed {seed}, {name}: {}", words(&found));
        }
        // Two were computed that nobody had handed out, and one line is torn.
        let found = judge(&nobodys, "started", usize::MAX, K);
        assert_eq!(found.len(), 1, "seed {seed}: {}", words(&found));
        // The very line.
        let found = judge(&taken, "operation_reassigned", 0, K);
        assert!(found.is_empty(), "seed {seed}: {}", words(&found));
        // Any line of a sound log.
        for line in 0..70 {
            let found = sound.judge(seed, Pace::Any, &|_| vec![line]);
            assert!(
                found.is_empty(),
                "seed {seed}, line {line}: {}",
                words(&found)
            );
        }
    }
}

#[test]
fn a_line_that_is_missing_without_a_tear_is_a_fault() {
    for name in ["assigned", "computing", "completed"] {
        let mut course = Course::begun();
        let assigned = course.assigns(K, W0, 0);
        let computing = course.tell(W0, of("computing", 0), &[assigned]);
        let completed = course.tell(W0, of("completed", 0), &[]);
        course.tell(K, of("checkpointed", 0), &[completed]);
        course.hide(match name {
            "assigned" => assigned,
            "computing" => computing,
            _ => completed,
        });
        for seed in 0..LAYOUTS / 10 {
            let found = course.judge(seed, Pace::Any, &|_| Vec::new());
            assert_eq!(found.len(), 1, "{name}, seed {seed}: {}", words(&found));
        }
    }
}
