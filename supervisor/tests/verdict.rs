//! `bullpen verdict` on services of which somebody kills and stops nodes by hand.

use std::fs;
use std::time::Duration;

use crate::harness::{
    Cluster, Home, PATIENCE, assert_one_sentence, bullpen, eventually, invoke, kill_node, run,
    stderr, stdout,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const LONG: Duration = Duration::from_secs(120);
const TRACED: [&str; 5] = ["--nodes", "4", "--delay", "2ms", "--trace-operations"];

/// The exit code and the JSON of a verdict.
fn verdict(home: &Home, args: &[&str]) -> (Option<i32>, Value) {
    let output = invoke(home, "verdict", &[&["--json"], args].concat());
    let json = serde_json::from_str(&stdout(&output));
    let json = json.unwrap_or_else(|_| panic!("{}", stderr(&output)));
    (output.status.code(), json)
}

fn assert_sound(home: &Home, state: &str) -> Value {
    let (code, json) = verdict(home, &[]);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(
        (&json["sound"], &json["state"]),
        (&Value::Bool(true), &state.into())
    );
    assert_eq!(json["violations"], Value::Array(Vec::new()));
    json
}

fn law<'a>(json: &'a Value, name: &str) -> &'a Value {
    let laws = json["laws"].as_array().unwrap();
    laws.iter().find(|law| law["name"] == name).unwrap()
}

/// Waits until some operation of a job is in the checkpoint.
fn await_progress(cluster: &Cluster, n: u64) {
    eventually(PATIENCE, "the job is under way", || {
        let done = cluster.events_named("checkpointed");
        done.iter().any(|event| event["op"]["n"] == n).then_some(())
    });
}

/// Kills the coordinator, stops the one that follows until it is replaced, and lets it go on.
fn disturb(cluster: &Cluster) {
    let replaced = |pid: Pid| {
        eventually(PATIENCE, "another acts", || {
            let acting = cluster.events_named("acting");
            (acting.last()?["pid"] != pid.as_raw()).then_some(())
        });
    };
    let killed = cluster.await_coordinator();
    kill_node(killed);
    replaced(killed);
    let stopped = cluster.await_coordinator();
    kill(stopped, Signal::SIGSTOP).unwrap();
    replaced(stopped);
    kill(stopped, Signal::SIGCONT).unwrap();
}

#[test]
fn without_a_run_it_says_so_in_one_sentence() {
    let home = Home::new();
    let complaint = assert_one_sentence(&invoke(&home, "verdict", &[]), 4);
    assert!(complaint.contains("--run-dir"), "{complaint}");
    assert_eq!(
        assert_one_sentence(&invoke(&home, "verdict", &["--json"]), 4),
        complaint
    );
}

#[test]
fn a_service_that_is_disturbed_is_sound_while_it_works_when_it_is_idle_and_when_it_was_stopped() {
    let mut cluster = Cluster::start(&TRACED);
    fs::write(cluster.home.jobs().join("README.txt"), "not a job").unwrap();
    cluster.drop_job("long", "1500!\n700!\n");
    cluster.drop_job("bad", "10!\nabc\n");
    await_progress(&cluster, 700);
    let busy = assert_sound(&cluster.home, "running");
    assert_eq!(law(&busy, "S9")["held"], true, "{busy:#}");
    disturb(&cluster);
    assert_sound(&cluster.home, "running");
    cluster.await_results("long", LONG);
    cluster.drop_job("ten", "10!\n");
    cluster.await_results("ten", PATIENCE);
    // Somebody collects, and deletes.
    let jobs = cluster.home.jobs();
    fs::rename(
        jobs.join("done/ten.txt"),
        cluster.home.path().join("ten.txt"),
    )
    .unwrap();
    fs::remove_file(jobs.join("failed/bad.job")).unwrap();
    fs::remove_file(jobs.join("failed/bad.txt")).unwrap();
    let idle = eventually(PATIENCE, "nothing is open", || {
        let json = assert_sound(&cluster.home, "running");
        law(&json, "S9")["why"].is_null().then_some(json)
    });
    for name in ["S1", "S2", "S4", "S5", "S7", "S9", "S10"] {
        assert_eq!(law(&idle, name)["held"], true, "{idle:#}");
    }
    assert_eq!(law(&idle, "L4")["held"], Value::Null);
    let tried = &idle["tried"];
    assert_eq!(
        (&tried["kills"], &tried["stops"]),
        (&1.into(), &1.into()),
        "{idle:#}"
    );
    assert!(tried["takeovers"].as_u64() >= Some(2), "{idle:#}");
    assert_eq!(tried["done"], 3, "{idle:#}");

    cluster.signal(Signal::SIGTERM);
    assert!(cluster.await_exit(PATIENCE).success());
    let ended = assert_sound(&cluster.home, "stopped");
    assert_eq!(law(&ended, "L4")["held"], true, "{ended:#}");
}

#[test]
fn a_service_whose_supervisor_was_killed_in_mid_job_is_sound() {
    let mut cluster = Cluster::start(&TRACED);
    cluster.drop_job("long", "2000!\n");
    await_progress(&cluster, 2000);
    disturb(&cluster);
    cluster.signal(Signal::SIGKILL);
    cluster.await_exit(PATIENCE);
    let killed = assert_sound(&cluster.home, "killed");
    assert_eq!(law(&killed, "S9")["why"], "1 job had not ended");

    // The next run finds what this one has left, and is judged by its own log.
    cluster.start_again(&TRACED);
    cluster.await_results("long", LONG);
    assert_sound(&cluster.home, "running");
    cluster.signal(Signal::SIGTERM);
    assert!(cluster.await_exit(PATIENCE).success());
    cluster.start_again(&TRACED);
    cluster.await_agreement();
    let next = assert_sound(&cluster.home, "running");
    assert_eq!(
        (&next["tried"]["done"], &next["results"]["values"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn what_was_not_traced_or_is_gone_is_named_as_not_told() {
    let cluster = Cluster::start(&["--nodes", "3", "--log-size", "2KB", "--log-files", "1"]);
    for round in 0..3 {
        kill_node(cluster.await_coordinator());
        let name = format!("job{round}");
        cluster.drop_job(&name, "30!\n");
        cluster.await_results(&name, PATIENCE);
        cluster.await_agreement();
    }
    eventually(PATIENCE, "the first file is gone", || {
        let json = assert_sound(&cluster.home, "running");
        let why = law(&json, "L3")["why"].as_str()?.to_owned();
        why.contains("first files").then_some(())
    });
    let json = assert_sound(&cluster.home, "running");
    for name in ["S5", "S6", "S7", "S8"] {
        let law = law(&json, name);
        assert_eq!(law["held"], Value::Null, "{json:#}");
        assert!(
            law["why"].as_str().unwrap().contains("not traced"),
            "{json:#}"
        );
    }
    // The folder is not where it was.
    let moved = cluster.home.path().join("moved");
    fs::rename(cluster.home.jobs(), &moved).unwrap();
    let (_, json) = verdict(&cluster.home, &[]);
    assert!(
        law(&json, "S4")["why"]
            .as_str()
            .unwrap()
            .contains("is not there"),
        "{json:#}"
    );
    let (_, json) = verdict(&cluster.home, &["--jobs", moved.to_str().unwrap()]);
    assert_eq!(law(&json, "S4")["held"], true, "{json:#}");
}

#[test]
fn what_is_wrong_is_told_with_its_law_a_count_and_an_example() {
    let mut cluster = Cluster::start(&["--nodes", "3", "--trace-operations"]);
    for name in ["one", "two"] {
        cluster.drop_job(name, "20!\n");
        cluster.await_results(name, PATIENCE);
    }
    cluster.signal(Signal::SIGTERM);
    assert!(cluster.await_exit(PATIENCE).success());
    for name in ["one", "two"] {
        let text = cluster.home.jobs().join(format!("done/{name}.txt"));
        fs::write(text, "20!=2432902008176640001\n").unwrap();
    }
    let (code, json) = verdict(&cluster.home, &[]);
    assert_eq!((code, &json["sound"]), (Some(1), &Value::Bool(false)));
    let violations = json["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{json:#}");
    assert_eq!(
        (&violations[0]["invariant"], &violations[0]["count"]),
        (&"S4".into(), &2.into())
    );
    assert!(
        violations[0]["example"]
            .as_str()
            .unwrap()
            .contains("job one"),
        "{json:#}"
    );
    assert_eq!(law(&json, "S4")["held"], false);

    let output = invoke(&cluster.home, "verdict", &[]);
    assert_eq!(output.status.code(), Some(1));
    let table = stdout(&output);
    assert!(table.contains("S4   BROKEN"), "{table}");
    assert!(
        table.contains("S4, 2 times: the text of job one"),
        "{table}"
    );
    assert_eq!(
        stderr(&output),
        "bullpen: the run was not sound: broken is S4 2 times\n"
    );
}

#[test]
fn a_log_that_is_too_torn_or_tells_of_nothing_is_no_verdict() {
    let mut cluster = Cluster::start(&["--nodes", "3"]);
    cluster.signal(Signal::SIGTERM);
    assert!(cluster.await_exit(PATIENCE).success());
    assert_sound(&cluster.home, "stopped");
    let path = cluster.home.run_dir().join("events.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    // One line is torn that nothing follows from: as much is told.
    let untold = |json: &Value| {
        let laws = json["laws"].as_array().unwrap().iter();
        let untold = laws.filter(|law| law["held"].is_null());
        untold
            .map(|law| law["name"].clone())
            .collect::<Vec<Value>>()
    };
    let whole = untold(&assert_sound(&cluster.home, "stopped"));
    let up = text
        .lines()
        .find(|line| line.contains("\"peer_up\""))
        .unwrap();
    fs::write(&path, text.replacen(up, "{\"ts\":\"20", 1)).unwrap();
    let json = assert_sound(&cluster.home, "stopped");
    assert_eq!(json["torn_lines"], 1);
    assert_eq!(untold(&json), whole);
    // The one that told of the victory is torn: nobody can tell whether there was one.
    let won = text
        .lines()
        .find(|line| line.contains("\"election_won\""))
        .unwrap();
    fs::write(&path, text.replacen(won, &won[..won.len() / 2], 1)).unwrap();
    let json = assert_sound(&cluster.home, "stopped");
    assert_ne!(untold(&json), whole, "{json:#}");
    let halves = |line: &str| format!("{}\n", &line[..line.len() / 2]);
    fs::write(&path, text.lines().map(halves).collect::<String>()).unwrap();
    let (code, json) = verdict(&cluster.home, &[]);
    assert_eq!((code, &json["sound"]), (Some(4), &Value::Null), "{json:#}");
    fs::write(&path, "").unwrap();
    let output = invoke(&cluster.home, "verdict", &[]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
}

#[test]
fn the_run_of_a_command_is_judged_too() {
    let home = Home::new();
    let computed = run(bullpen()
        .args([
            "compute",
            "100!",
            "--nodes",
            "3",
            "--trace-operations",
            "--run-dir",
        ])
        .arg(home.run_dir()));
    assert!(computed.status.success(), "{}", stderr(&computed));
    let json = assert_sound(&home, "stopped");
    assert_eq!(law(&json, "S4")["held"], Value::Null, "{json:#}");
}
