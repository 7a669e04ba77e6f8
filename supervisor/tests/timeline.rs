//! `bullpen timeline`: what a run tells afterwards, and while it goes on.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::harness::{Cluster, Home, PATIENCE, assert_one_sentence, eventually, invoke, stdout};

#[test]
fn without_a_run_it_says_so_in_one_sentence() {
    let home = Home::new();
    let complaint = assert_one_sentence(&invoke(&home, "timeline", &[]), 3);
    assert!(complaint.contains("--run-dir"), "{complaint}");

    fs::create_dir_all(home.run_dir()).unwrap();
    fs::write(home.run_dir().join("events.jsonl"), "").unwrap();
    let complaint = assert_one_sentence(&invoke(&home, "timeline", &["--html", "-"]), 3);
    assert!(complaint.contains("holds no event"), "{complaint}");
}

#[test]
fn a_run_that_goes_on_is_told_as_text_and_as_a_page() {
    let cluster = Cluster::start(&[]);
    eventually(PATIENCE, "somebody coordinates", || {
        let told = stdout(&invoke(&cluster.home, "timeline", &[]));
        told.contains("node 5  acts as coordinator").then_some(())
    });
    // Another process is in the middle of a line, or died there.
    let events = cluster.home.run_dir().join("events.jsonl");
    let mut log = OpenOptions::new().append(true).open(events).unwrap();
    log.write_all(b"{\"ts\":\"2026").unwrap();

    let page = stdout(&invoke(&cluster.home, "timeline", &["--html", "-"]));
    assert!(page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("of the log"), "{page}");

    let file = cluster.home.run_dir().join("run.html");
    let written = invoke(
        &cluster.home,
        "timeline",
        &["--html", file.to_str().unwrap()],
    );
    assert_eq!(written.status.code(), Some(0));
    assert_eq!(stdout(&written), "");
    assert!(
        fs::read_to_string(file)
            .unwrap()
            .starts_with("<!DOCTYPE html>")
    );
}

#[test]
fn a_page_that_cannot_be_written_is_told_in_one_sentence() {
    let cluster = Cluster::start(&[]);
    cluster.await_coordinator();
    let nowhere = cluster.home.run_dir().join("none/run.html");
    let output = invoke(
        &cluster.home,
        "timeline",
        &["--html", nowhere.to_str().unwrap()],
    );
    let complaint = assert_one_sentence(&output, 1);
    assert!(complaint.contains("none/run.html"), "{complaint}");
}
