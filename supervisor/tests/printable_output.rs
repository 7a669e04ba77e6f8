//! Words of others on the way to a terminal: shown, and not obeyed.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::harness::fake::{run_to_its_end, serve};
use crate::harness::{
    self, Cluster, Home, PATIENCE, assert_one_sentence, command, eventually, invoke, stderr, stdout,
};
use serde_json::{Value, json};

/// A name that clears a screen, in two ways, and turns what follows; and what is harmless in it.
const NAME: &str = "zé\u{301}\"十\\\u{1b}[2J\u{9b}2J\u{202e}gpj\u{200b}";
const SHOWN: &str = "zé\u{301}\"十\\\\u{1b}[2J\\u{9b}2J\\u{202e}gpj\\u{200b}";

/// What neither a terminal nor a reader may come across.
fn assert_harmless(text: &str) {
    for letter in ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}', '\r'] {
        assert!(!text.contains(letter), "{text:?}");
    }
}

/// A run directory where a cluster seems to run.
fn home(answer: &Value) -> Home {
    let home = Home::new();
    fs::create_dir(home.run_dir()).unwrap();
    serve(&home.run_dir(), &answer.to_string());
    home
}

fn status() -> Value {
    let job = json!({ "name": NAME, "state": "running", "done": 1, "total": 2 });
    json!({ "term": 7, "coordinator": null, "watch": "poll", "nodes": [], "ignored": [], "jobs": [job] })
}

#[test]
fn the_status_shows_the_names_of_jobs() {
    let home = home(&json!({ "status": status() }));
    let page = stdout(&invoke(&home, "status", &[]));
    assert_harmless(&page);
    assert!(page.contains(&format!("\n{SHOWN}  running")), "{page}");

    let line = stdout(&invoke(&home, "status", &["--json"]));
    assert_harmless(&line);
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told, status());
    assert!(line.contains(r"\u202e"), "{line}");
}

#[test]
fn the_lines_of_top_show_them_too() {
    let home = home(&json!({ "status": status() }));
    let mut top = command(&home, "top", &[])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(top.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let _ = top.kill();
    let _ = top.wait();
    assert_harmless(&line);
    assert!(line.ends_with(&format!("; {SHOWN} 1/2\n")), "{line}");
}

#[test]
fn a_sentence_of_a_failure_is_shown() {
    for answer in [json!({ "nothing": NAME }), json!({ "refused": NAME })] {
        let home = home(&answer);
        for (name, args) in [("kill", &["all"][..]), ("status", &[]), ("metrics", &[])] {
            let output = run_to_its_end(&mut command(&home, name, args));
            let complaint = stderr(&output);
            assert_harmless(&complaint);
            assert!(complaint.contains(SHOWN), "{complaint}");
            assert_eq!(complaint.lines().count(), 1);
        }
    }
    let home = Home::new();
    let run_dir = home.run_dir().join("\u{1b}[2J");
    let mut command = harness::bullpen();
    command.arg("status").arg("--run-dir").arg(run_dir);
    let complaint = assert_one_sentence(&run_to_its_end(&mut command), 3);
    assert_harmless(&complaint);
}

#[test]
fn the_timeline_shows_them() {
    let home = Home::new();
    fs::create_dir(home.run_dir()).unwrap();
    let event = json!({
        "mono_ns": 1, "node": 5, "incarnation": 6, "event": "job_accepted", "job": NAME,
    });
    fs::write(home.run_dir().join("events.jsonl"), format!("{event}\n")).unwrap();
    let told = stdout(&invoke(&home, "timeline", &[]));
    assert_harmless(&told);
    assert!(told.contains(&format!("accepted job {SHOWN}")), "{told}");
}

#[test]
fn the_log_of_a_cluster_shows_the_names_of_jobs() {
    for format in ["text", "json"] {
        let cluster = Cluster::start(&["--log-format", format, "--log-digits", "20"]);
        cluster.drop_job("turned\u{202e}", "70!\n");
        cluster.await_results("turned\u{202e}", PATIENCE);
        let line = eventually(PATIENCE, "the result is logged", || {
            Some(cluster.stdout()).filter(|text| text.ends_with('\n'))
        });
        assert_harmless(&line);
        assert!(line.contains(r"done/turned\u{202e}.txt"), "{line}");

        // The job cannot be moved there, and the coordinator warns of it.
        let done = cluster.home.jobs().join("done");
        fs::set_permissions(&done, Permissions::from_mode(0o500)).unwrap();
        cluster.drop_job("stuck\u{202e}", "5!\n");
        let shown = if format == "json" {
            r"job stuck\u202e: "
        } else {
            r"job stuck\u{202e}: "
        };
        let said = eventually(PATIENCE, "it warns of the job", || {
            Some(cluster.stderr()).filter(|said| said.contains("job stuck"))
        });
        fs::set_permissions(&done, Permissions::from_mode(0o700)).unwrap();
        assert_harmless(&said);
        assert!(said.contains(shown), "{said}");
    }
}
