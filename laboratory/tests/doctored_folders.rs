//! The verdict on what the jobs directory shows: what failed has a reason that its content or an event
//! proves, and what stands under a name is what was dropped under it.

use std::fs;

use crate::both::Judged;
use crate::made::{Made, assert_sound, breaks, op};
use laboratory::log::Log;
use laboratory::verdict::Run;
use serde_json::json;

/// Digests of jobs that ask for 0! and for 1!.
const OF_0: &str = "9a271f2a916b0b6e";
const OF_1: &str = "4355a46b19d348dc";

/// A job that has failed, with this content and this text.
fn failed(content: &str, text: &str) -> impl Fn(&mut Made) {
    move |made: &mut Made| {
        made.job(600, "job_rejected", "other");
        made.job(610, "result_published", "other");
        made.job(620, "job_done", "other");
        made.write("failed/other.job", content);
        made.write("failed/other.txt", text);
    }
}

fn sound(spoil: impl Fn(&mut Made)) {
    let mut made = Made::new();
    spoil(&mut made);
    assert_sound(&made.run().judged());
}

#[test]
fn l2_a_sound_job_fails_for_nothing_that_is_on_record() {
    for text in [
        "nobody liked it\n",
        "5!: 10 workers died one after the other while they computed one operation (Multiply level 0 index 0), \
         see --attempts\n",
        "10 nodes died for want of memory, or aborted, while it was computed, see --attempts and --max-n\n",
        "the results would have some 900 digits together, more than the 800 that one job may have here: split it \
         into several jobs\n",
        "it is a symbolic link: only regular files are read\n",
        "the file name holds control characters: rename the file and drop it again\n",
    ] {
        breaks("L2", failed("5!\n", text));
    }
}

#[test]
fn s9_the_text_of_a_rejected_job_has_nothing_to_do_with_its_content() {
    breaks("S9", failed("5!\nabc\n", "nobody liked it\n"));
}

#[test]
fn s10_what_was_parsed_is_not_the_whole_content() {
    let of_abc = "line 2: \"abc\": expected N or N!, with N in decimal digits\n";
    sound(failed("5!\nabc\n", of_abc));
    for content in [
        "5!\nabcd\n",
        "5!\n6!\nabc\n",
        "5!\nabc\nabd\n",
        "5!\n",
        "5!\n120!\n",
    ] {
        breaks("S10", failed(content, of_abc));
    }
    breaks(
        "S10",
        failed(
            "5!\n",
            "the file is empty: expected a line N or N! for each factorial\n",
        ),
    );
    // Its beginning was taken for all of it.
    let made = Made::new();
    made.write("done/none.job", "0!\nabc\n");
    let mut run = made.run();
    run.dropped[0].content = b"0!\nabc\n".to_vec();
    assert_eq!(broken(&run), ["S10"]);
}

fn broken(run: &Run) -> Vec<&'static str> {
    let violations = run.judged().into_iter();
    violations.map(|found| found.invariant).collect()
}

#[test]
fn what_proves_the_reason_of_a_sound_job_excuses_it() {
    let died = |node: u64| json!({"event": "node_exited", "signal": "SIGKILL", "node": node});
    let deadly = "5!: 3 workers died one after the other while they computed one operation (Multiply level 0 \
                  index 0), see --attempts\n";
    let spoilt = |deaths: u64| {
        let mut made = Made::new();
        for node in 10..10 + deaths {
            for own in [
                json!({"event": "node_spawned"}),
                json!({"event": "started"}),
                died(node),
            ] {
                made.add(500 + node, node, 0, own);
            }
        }
        failed("5!\n", deadly)(&mut made);
        broken(&made.run())
    };
    assert_eq!((spoilt(3), spoilt(2)), (vec![], vec!["L2"]));
    sound(failed(
        "1000!\n",
        "the results would have some 2569 digits together, more than the 800 that one job may have here: split it \
         into several jobs\n",
    ));
    sound(failed(
        "5!\n",
        "it cannot be read: Permission denied (os error 13)\n",
    ));
}

/// Whoever reads a FIFO waits for a writer.
#[test]
fn what_is_no_file_is_not_read() {
    let fifo = |text: &'static str| {
        move |made: &mut Made| {
            failed("", text)(made);
            let path = made.path("failed/other.job");
            fs::remove_file(&path).unwrap();
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
    };
    sound(fifo("it is a FIFO: only regular files are read\n"));
    breaks("S9", fifo("it is a socket: only regular files are read\n"));
}

#[test]
fn a_limit_is_the_one_that_the_run_was_begun_with() {
    let begun = |max_n: u64| {
        move |made: &mut Made| {
            made.add(
                1,
                0,
                0,
                json!({"event": "run_begun", "max_n": max_n, "max_digits": 800}),
            );
            failed(
                "5!\n101!\n",
                "line 2: \"101!\": N is larger than the limit of 100, see --max-n\n",
            )(made);
        }
    };
    sound(begun(100));
    breaks("S10", begun(101));
    breaks("S10", begun(99));
}

#[test]
fn s9_a_job_was_replaced_by_another() {
    let replace = |made: &mut Made| {
        made.write("done/none.job", "1!\n");
        made.write("done/none.txt", "1!=1\n");
    };
    breaks("S9", replace);
    // Where nobody knows what was dropped, the log does: by a digest of what was accepted.
    let mut made = Made::new();
    replace(&mut made);
    let told = |made: &Made, numbers: &str| {
        let mut run = made.run();
        run.dropped.clear();
        let text = String::from_utf8(made.text()).unwrap();
        let asks = format!("\"job_accepted\",\"asks\":\"{numbers}\"");
        run.log = Log::parse(text.replace("\"job_accepted\"", &asks).as_bytes());
        broken(&run)
    };
    assert_eq!(told(&made, OF_0), ["S9"]);
    assert_eq!(told(&made, OF_1), [""; 0]);
    assert_eq!(told(&Made::new(), OF_0), [""; 0]);
}

/// A service's directory, in which others work too.
fn shared(spoil: impl Fn(&mut Made)) -> Vec<&'static str> {
    let mut made = Made::new();
    spoil(&mut made);
    let mut run = made.run();
    run.dropped.clear();
    run.is_shared = true;
    broken(&run)
}

#[test]
fn jobs_of_earlier_runs_and_what_people_collect_are_no_violation() {
    let none: [&str; 0] = [];
    assert_eq!(
        shared(|made| {
            for folder in ["done", "failed"] {
                made.write(&format!("{folder}/earlier.job"), "3!\n");
            }
            made.write("failed/earlier.txt", "whatever\n");
            made.write("done/wrong.job", "3!\n");
            made.write("done/wrong.txt", "3!=7\n");
        }),
        none
    );
    for gone in ["done/none.txt", "failed/bad.txt"] {
        assert_eq!(
            shared(|made| fs::remove_file(made.path(gone)).unwrap()),
            none
        );
    }
    assert_eq!(
        shared(|made| {
            for gone in ["done/none.txt", "done/none.job", "failed/bad.job"] {
                fs::remove_file(made.path(gone)).unwrap();
            }
        }),
        none
    );
    // Its name came up again after it was collected.
    assert_eq!(
        shared(|made| {
            for (at, event) in [
                (600, "job_accepted"),
                (610, "result_published"),
                (620, "job_done"),
            ] {
                made.job(at, event, "none");
            }
        }),
        none
    );
}

/// What a job needed that was collected, or whose name another has by now, its file does not tell.
#[test]
fn what_is_computed_again_for_another_job_needs_no_cause() {
    for (left, of_second) in [(None, "0!\n"), (Some("1!\n"), "0!\n"), (None, "")] {
        let broken = shared(|made| {
            made.add(600, 2, 1, json!({"event": "job_accepted", "job": "again"}));
            for (at, n) in [(610, 0), (620, 1)] {
                let assigned = json!({"event": "assigned", "op": op(n), "worker": 0});
                made.add(at, 2, 1, assigned);
                made.operation(at + 1, 0, "computing", n);
                made.operation(at + 2, 0, "completed", n);
                made.operation(at + 3, 2, "checkpointed", n);
            }
            made.job(630, "result_published", "again");
            made.job(640, "job_done", "again");
            if !of_second.is_empty() {
                made.write("done/again.job", of_second);
                made.write("done/again.txt", "0!=1\n");
            }
            let first = made
                .lines
                .iter_mut()
                .find(|line| line["event"] == "job_accepted");
            first.unwrap()["asks"] = json!(OF_0);
            fs::remove_file(made.path("done/none.txt")).unwrap();
            fs::remove_file(made.path("done/none.job")).unwrap();
            if let Some(content) = left {
                // It was dropped again, and is under way.
                made.add(
                    650,
                    2,
                    1,
                    json!({"event": "job_accepted", "job": "none", "asks": OF_1}),
                );
                made.write("running/none.job", content);
            }
        });
        let broken: Vec<&str> = broken.into_iter().filter(|law| *law == "S7").collect();
        assert!(broken.is_empty(), "{left:?}: {broken:?}");
    }
}

#[test]
fn in_a_shared_directory_too_each_law_sees_its_own_kind() {
    assert_eq!(shared(|made| made.job(600, "job_accepted", "lost")), ["S9"]);
    assert_eq!(
        shared(|made| made.job(600, "result_published", "none")),
        ["S4"]
    );
    assert_eq!(shared(|made| made.write("done/none.txt", "0!=2\n")), ["S4"]);
    assert_eq!(shared(|made| made.write("done/none.txt", "")), ["S4", "S9"]);
    assert_eq!(shared(failed("5!\n", "nobody liked it\n")), ["L2"]);
    assert_eq!(shared(failed("a\n", "nobody liked it\n")), ["S9"]);
}
