//! The verdict, put to the test: a sound log passes, and for each invariant there is a doctored one
//! that breaks it and nothing else.

use std::fs;

use crate::both::Judged;
use crate::made::{Made, assert_sound, breaks};
use laboratory::verdict::Dropped;
use serde_json::json;

#[test]
fn the_made_up_run_is_sound() {
    assert_sound(&Made::new().run().judged());
}

#[test]
fn s4_a_wrong_value() {
    breaks("S4", |made| made.write("done/none.txt", "0!=0\n"));
    breaks("S4", |made| made.write("done/none.txt", "0!=1\n0!=1\n"));
    breaks("S4", |made| made.write("done/none.txt", "0!=1"));
    breaks("S4", |made| {
        fs::write(made.path("done/none.txt"), b"0!=1\n\xff").unwrap()
    });
    // What cannot be read is no result, either.
    breaks("S4", |made| {
        let text = made.path("done/none.txt");
        fs::remove_file(&text).unwrap();
        fs::create_dir(text).unwrap();
    });
}

#[test]
fn s4_published_twice() {
    breaks("S4", |made| made.job(505, "result_published", "none"));
}

#[test]
fn s4_published_and_never_done() {
    breaks("S4", |made| {
        made.remove(|line| line["event"] == "job_done" && line["job"] == "none");
    });
}

#[test]
fn s4_done_and_never_published() {
    breaks("S4", |made| {
        made.remove(|line| line["event"] == "result_published" && line["job"] == "none");
    });
}

#[test]
fn s9_a_job_that_never_ended_or_ended_twice() {
    breaks("S9", |made| made.job(600, "job_accepted", "lost"));
    breaks("S9", |made| {
        made.write("failed/none.job", "x\n");
        made.write("failed/none.txt", "line 1: \"x\": expected N or N!\n");
    });
}

#[test]
fn s9_an_end_without_its_text_and_a_text_without_its_end() {
    breaks("S9", |made| {
        fs::remove_file(made.path("failed/bad.txt")).unwrap()
    });
    breaks("S9", |made| made.write("failed/bad.txt", ""));
    breaks("S9", |made| made.write("done/other.txt", "0!=1\n"));
}

#[test]
fn s9_files_that_are_left() {
    breaks("S9", |made| made.write("running/ten.job", "10!\n"));
    breaks("S9", |made| {
        made.write("running/.none.ab.1.2.3.done.txt", "0!=1\n")
    });
    breaks("S9", |made| made.write("ten.job", "10!\n"));
}

#[test]
fn s9_a_dropped_file_that_nobody_has_accepted_and_that_is_nowhere() {
    let made = Made::new();
    let job = |name: &str| Dropped::new(name, if name == "bad" { "abc\n" } else { "0!\n" });
    let broken = |dropped: &[&str]| {
        let mut run = made.run();
        run.dropped = dropped.iter().map(|&name| job(name)).collect();
        let broken = run.judged();
        let broken: Vec<&str> = broken.iter().map(|found| found.invariant).collect();
        run.cut_short = true;
        assert_sound(&run.judged());
        broken.join(" ")
    };
    assert_eq!(broken(&["bad", "lost", "none"]), "S9");
    // Each of two of one name is there by itself, one with a number.
    assert_eq!(broken(&["none", "none"]), "S9");
    made.write("done/none.2.job", "0!\n");
    made.write("done/none.2.txt", "0!=1\n");
    assert_eq!(broken(&["none", "none"]), "");
    assert_eq!(broken(&["none", "none.2", "none"]), "S9");
}

#[test]
fn s9_a_job_that_somebody_deleted_is_not_lost_and_another_is() {
    let mut made = Made::new();
    for job in ["gone", "gone.2"] {
        made.job(600, "job_accepted", job);
        made.job(610, "result_published", job);
    }
    // Two coordinators may tell of one.
    made.job(620, "job_deleted", "gone");
    made.job(630, "job_deleted", "gone");
    let mut run = made.run();
    run.dropped = vec![Dropped::new("gone", "0!\n"); 2];
    let broken: Vec<&str> = run.judged().iter().map(|found| found.invariant).collect();
    assert_eq!(broken, ["S4", "S9", "S9"]);
    made.job(640, "job_deleted", "gone.2");
    let mut run = made.run();
    run.dropped = vec![Dropped::new("gone", "0!\n"); 2];
    assert_sound(&run.judged());
}

#[test]
fn l1_disbelief_and_the_wrong_coordinator() {
    breaks("L1", |made| {
        made.remove(|line| line["event"] == "following" && line["node"] == 1);
    });
    breaks("L1", |made| {
        made.add(700, 0, 2, json!({"event": "following", "coordinator": 1}));
    });
    breaks("L1", |made| {
        made.add(700, 2, 1, json!({"event": "stepped_down", "why": "gap"}));
    });
    let lower = |made: &mut Made| {
        made.add(700, 1, 2, json!({"event": "election_won"}));
        made.add(710, 1, 2, json!({"event": "acting"}));
        for node in [0, 2] {
            let following = json!({"event": "following", "coordinator": 1});
            made.add(720, node, 2, following);
        }
    };
    breaks("L1", lower);

    let mut made = Made::new();
    lower(&mut made);
    let mut run = made.run();
    run.highest_coordinates = false;
    assert_sound(&run.judged());
}
