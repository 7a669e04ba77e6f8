//! `bullpen experiment`: short ones, and what can go wrong with one.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::harness::{PATIENCE, children, eventually, is_alive, kill_node, run, stderr, stdout};
use crate::under_way::{UnderWay, experiment, temporary};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use tempfile::TempDir;

fn is_empty(folder: &TempDir) -> bool {
    fs::read_dir(folder.path()).unwrap().next().is_none()
}

/// A short experiment ends well, and leaves nothing; gives its JSON.
fn sound(args: &[&str]) -> Value {
    let temporary = temporary();
    let output = run(&mut experiment(
        &temporary,
        &[args, &["--json", "--seed", "7"]].concat(),
    ));
    let (said, json) = (stderr(&output), stdout(&output));
    assert_eq!(output.status.code(), Some(0), "{said}\n{json}");
    assert!(is_empty(&temporary));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sound"], true, "{json}");
    assert_eq!(json["seed"], 7);
    assert_eq!(json["rounds"]["completed"], json["rounds"]["asked"]);
    assert_eq!(json["jobs"]["done"], json["jobs"]["dropped"]);
    assert!(json["results"]["values"].as_u64() > Some(0), "{json}");
    json
}

#[test]
fn a_coordinator_that_is_killed_again_and_again() {
    let json = sound(&["--rounds", "4"]);
    assert_eq!(json["signals"]["SIGKILL"], 4);
    assert_eq!(json["figures"]["restarts"], 4);
    let failovers = &json["figures"]["failovers"]["SIGKILL"];
    assert_eq!(failovers["count"], 4, "{json}");
    assert!(failovers["max"].as_f64() > Some(0.0), "{json}");
    // Not each time: who comes back may win before the one in between has begun to act.
    assert!(
        json["figures"]["reached"]["hand_overs"].as_u64() > Some(0),
        "{json}"
    );
}

#[test]
fn a_coordinator_that_is_stopped_and_wakes_up() {
    let json = sound(&["--rounds", "4", "--signal", "STOP"]);
    assert_eq!(json["signals"]["SIGSTOP"], 4);
    assert_eq!(json["figures"]["restarts"], 0);
    assert!(
        json["figures"]["reached"]["stale_woken"].as_u64() > Some(0),
        "{json}"
    );
}

#[test]
fn workers_without_hints() {
    let args = ["--target", "worker", "--signal", "mixed", "--hints", "off"];
    let json = sound(&[&args[..], &["--rounds", "4", "--nodes", "4"]].concat());
    assert_eq!(
        json["figures"]["failovers"],
        serde_json::json!({}),
        "{json}"
    );
}

#[test]
fn any_node_of_two_that_never_preempt() {
    let args = [
        "--target",
        "any",
        "--signal",
        "mixed",
        "--preemption",
        "never",
    ];
    sound(&[&args[..], &["--rounds", "5", "--nodes", "2"]].concat());
}

#[test]
fn all_nodes_at_once() {
    let json = sound(&["--rounds", "3", "--target", "all", "--nodes", "3"]);
    assert_eq!(json["signals"]["SIGKILL"], 9);
    let json = sound(&[
        "--rounds", "2", "--target", "all", "--nodes", "3", "--signal", "stop",
    ]);
    assert_eq!(json["signals"]["SIGSTOP"], 6);
}

#[test]
fn nodes_that_fail_by_themselves_as_well() {
    sound(&[
        "--rounds",
        "3",
        "--crash-probability",
        "0.005",
        "--target",
        "any",
    ]);
}

#[test]
fn a_table_and_a_report_for_a_person() {
    let (temporary, report) = (temporary(), temporary());
    let folder = report.path().join("new");
    let mut command = experiment(&temporary, &["--rounds", "2", "--report"]);
    let output = run(command.arg(&folder));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    assert!(
        table.starts_with("2 rounds of SIGKILL to the coordinator, 6 nodes\n"),
        "{table}"
    );
    assert!(table.contains("failover after SIGKILL"), "{table}");
    assert!(table.ends_with("  sound\n"), "{table}");
    let seed = stderr(&output);
    let seed = seed.lines().next().unwrap().rsplit_once("seed ").unwrap().1;
    assert!(table.contains(&format!("--seed={seed}\n")), "{table}");
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("2 rounds of SIGKILL to the coordinator"));
    let events = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert_eq!(events.matches(r#""event":"node_signalled""#).count(), 2);
    assert!(is_empty(&temporary));
}

#[test]
fn a_run_directory_that_was_used_before_is_used_again() {
    let (temporary, kept) = (temporary(), temporary());
    for _ in 0..2 {
        let mut command = experiment(&temporary, &["--rounds", "1", "--nodes", "3", "--run-dir"]);
        let output = run(command.arg(kept.path()));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let logs = ["events.jsonl", "events.jsonl.1"].map(|name| kept.path().join(name));
    assert!(logs.iter().all(|log| log.exists()));
}

#[test]
fn a_torn_log_is_told_with_the_verdict() {
    let mut under_way = UnderWay::start(&["--rounds", "3"]);
    let done = under_way.await_folder("jobs/done");
    under_way.await_file_in(&done, ".txt");
    let log = under_way.await_folder("run/events.jsonl");
    let mut log = OpenOptions::new().append(true).open(log).unwrap();
    log.write_all(b"{\"ts\":\"2026\n").unwrap();
    assert_eq!(under_way.await_exit().code(), Some(0));
    let table = under_way.said("stdout");
    let counted = |line: &str| line.starts_with("torn lines ") && line.ends_with(" 1");
    assert!(table.lines().any(counted), "{table}");
    assert!(
        table.ends_with("  sound, as far as a log with torn lines tells\n"),
        "{table}"
    );
}

#[test]
fn a_wrong_result_is_found_and_told_beside_a_report_that_cannot_be_written() {
    let report = temporary();
    fs::create_dir(report.path().join("index.html")).unwrap();
    let folder = report.path().to_str().unwrap();
    let mut under_way = UnderWay::start(&["--rounds", "3", "--json", "--report", folder]);
    let done = under_way.await_folder("jobs/done");
    let text = under_way.await_file_in(&done, ".txt");
    let right = fs::read_to_string(&text).unwrap();
    fs::write(&text, right.replacen('=', "=1", 1)).unwrap();
    assert_eq!(under_way.await_exit().code(), Some(1));
    let json: Value = serde_json::from_str(&under_way.said("stdout")).unwrap();
    let job = text.file_stem().unwrap().to_str().unwrap();
    assert_eq!(json["results"]["wrong_jobs"], serde_json::json!([job]));
    assert_eq!(json["sound"], false);
    assert_eq!(json["torn_lines"], 0);
    let violations = json["violations"].as_array().unwrap();
    let names: Vec<&str> = violations
        .iter()
        .filter_map(|v| v["invariant"].as_str())
        .collect();
    assert_eq!(names, ["S4"], "{json}");
    let said = under_way.said("stderr");
    assert!(said.contains("cannot write the report to "), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("bullpen: the experiment found 1 violation"),
        "{said}"
    );
    assert!(last.contains("bullpen experiment --"), "{said}");
    assert!(is_empty(&under_way.temporary));
}

#[test]
fn a_supervisor_that_dies_is_found() {
    let mut under_way = UnderWay::start(&["--rounds", "100000"]);
    let done = under_way.await_folder("jobs/done");
    under_way.await_file_in(&done, ".txt");
    let processes = under_way.processes();
    kill_node(children(under_way.pid())[0]);
    assert_eq!(under_way.await_exit().code(), Some(1));
    let table = under_way.said("stdout");
    assert!(
        table.contains("the supervisor was killed by SIGKILL"),
        "{table}"
    );
    assert!(processes.iter().all(|&pid| !is_alive(pid)));
    assert!(is_empty(&under_way.temporary));
}

#[test]
fn a_node_that_never_comes_back_is_found_and_ends_it() {
    let mut under_way = UnderWay::start(&["--rounds", "100000"]);
    let done = under_way.await_folder("jobs/done");
    under_way.await_file_in(&done, ".txt");
    for id in 0..6 {
        // Where its next life would bind its socket. A folder that is empty could be removed.
        let socket = under_way.await_folder(&format!("run/node-{id}.sock"));
        fs::remove_file(&socket).unwrap();
        fs::create_dir(&socket).unwrap();
        fs::write(socket.join("held back"), "").unwrap();
    }
    assert_eq!(under_way.await_exit().code(), Some(1));
    let table = under_way.said("stdout");
    assert!(table.contains(" violation"), "{table}");
    assert!(table.contains("L1"), "{table}");
    assert!(is_empty(&under_way.temporary));
}

#[test]
fn interrupted_it_leaves_nothing_and_judges_what_ran() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut under_way = UnderWay::start(&["--rounds", "100000", "--signal", "mixed"]);
        let done = under_way.await_folder("jobs/done");
        under_way.await_file_in(&done, ".txt");
        let processes = under_way.processes();
        assert!(processes.len() > 2, "{processes:?}");
        kill(under_way.pid(), signal).unwrap();
        assert_eq!(under_way.await_exit().code(), Some(130), "{signal}");
        let (table, said) = (under_way.said("stdout"), under_way.said("stderr"));
        assert!(
            table.contains("  sound, up to where it was interrupted\n"),
            "{table}"
        );
        assert!(
            said.lines()
                .last()
                .unwrap()
                .starts_with("bullpen: interrupted after "),
            "{said}"
        );
        assert!(processes.iter().all(|&pid| !is_alive(pid)));
        assert!(is_empty(&under_way.temporary));
    }
}

#[test]
fn killed_it_takes_its_cluster_with_it() {
    let under_way = UnderWay::start(&["--rounds", "100000", "--target", "worker"]);
    let done = under_way.await_folder("jobs/done");
    under_way.await_file_in(&done, ".txt");
    let processes = under_way.processes();
    kill(under_way.pid(), Signal::SIGKILL).unwrap();
    eventually(PATIENCE, "its processes end", || {
        processes.iter().all(|&pid| !is_alive(pid)).then_some(())
    });
}

#[test]
fn what_cannot_start_says_why() {
    let temporary = temporary();
    let refused = |args: &[&str], code: i32, named: &str| {
        let output = run(&mut experiment(&temporary, args));
        let complaint = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(named), "{complaint}");
        assert_eq!(stdout(&output), "");
        assert!(is_empty(&temporary));
    };
    refused(&["--rounds", "0"], 2, "--rounds");
    refused(&["--nodes", "1"], 2, "--nodes");
    refused(&["--max-n", "100"], 2, "--n 400");
    refused(&["--report", "/proc/nowhere"], 3, "--report");
    refused(&["--run-dir", "/proc/nowhere"], 3, "--run-dir");
}
