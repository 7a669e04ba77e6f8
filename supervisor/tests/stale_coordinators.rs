//! A coordinator that was replaced and does not know it yet: nobody calls it the coordinator but itself.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU16;
use std::process::Stdio;

use crate::harness::{self, Cluster, Home, PATIENCE, command, eventually, invoke, stderr, stdout};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const ROWS: NonZeroU16 = NonZeroU16::new(30).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).unwrap();

fn status(home: &Home) -> Value {
    serde_json::from_str(&stdout(&invoke(home, "status", &["--json"]))).unwrap()
}

/// The nodes with a role, by ID.
fn with_role(status: &Value, role: &str) -> Vec<u64> {
    let nodes = status["nodes"].as_array().unwrap().iter();
    let nodes = nodes.filter(|node| node["role"] == role);
    nodes.map(|node| node["id"].as_u64().unwrap()).collect()
}

/// What `top` shows on a terminal, once it shows all nodes.
fn screen(home: &Home) -> String {
    let size = Winsize {
        ws_row: ROWS.get(),
        ws_col: COLUMNS.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut top = command(home, "top", &[]);
    top.env("TERM", "xterm")
        .stdin(end())
        .stdout(end())
        .stderr(end());
    let mut child = top.spawn().unwrap();
    let mut terminal = File::from(pty.master);
    let mut page = vt100::Parser::new(ROWS, COLUMNS, 0);
    fcntl(&terminal, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let contents = eventually(PATIENCE, "top shows all nodes", || {
        let mut buffer = [0; 4096];
        if let Ok(count) = terminal.read(&mut buffer) {
            page.process(&buffer[..count]);
        }
        let contents = page.screen().contents();
        (nodes(&contents).count() == 6).then_some(contents)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    contents
}

/// The first line of `top` without a terminal.
fn line(home: &Home) -> String {
    let mut top = command(home, "top", &[]);
    let mut child = top.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

/// The rows of nodes, none of which waits.
fn nodes(page: &str) -> impl Iterator<Item = &str> {
    let rows = page
        .lines()
        .map(|line| line.trim_start_matches('>').trim_start());
    rows.filter(|row| {
        let begins = row
            .split_whitespace()
            .next()
            .is_some_and(|word| word.parse::<u8>().is_ok());
        begins && (row.contains(" running ") || row.contains(" stopped "))
    })
}

/// Those whose second column begins so.
fn rows<'a>(page: &'a str, role: &str) -> Vec<&'a str> {
    let has_it = |line: &&str| line.split_whitespace().nth(1) == Some(role);
    nodes(page).filter(has_it).collect()
}

/// Stops the coordinator, node 5, and waits until node 4 has taken over.
fn replaced() -> (Cluster, Pid) {
    let cluster = Cluster::start(&["--nodes", "6"]);
    let old = cluster.await_agreement();
    kill(old, Signal::SIGSTOP).unwrap();
    eventually(PATIENCE, "node 4 coordinates", || {
        (status(&cluster.home)["coordinator"] == 4).then_some(())
    });
    (cluster, old)
}

#[test]
fn only_the_highest_epoch_is_called_the_coordinators() {
    let (cluster, old) = replaced();
    let home = &cluster.home;
    let told = status(home);
    assert_eq!(with_role(&told, "coordinator"), [4], "{told}");
    assert_eq!(with_role(&told, "stale"), [5], "{told}");
    let old_term = told["nodes"][5]["term"].as_u64().unwrap();
    let new_term = told["term"].as_u64().unwrap();
    let (old_epoch, new_epoch) = (format!("{old_term}.5"), format!("{new_term}.4"));

    for page in [stdout(&invoke(home, "status", &[])), screen(home)] {
        let coordinators = rows(&page, "coordinator");
        assert_eq!(coordinators.len(), 1, "{page}");
        assert!(coordinators[0].starts_with("4 "), "{page}");
        let stale = rows(&page, "stale");
        assert_eq!(stale.len(), 1, "{page}");
        let words: Vec<&str> = stale[0].split_whitespace().take(3).collect();
        assert_eq!(words, ["5", "stale", &old_epoch], "{page}");
        let who = format!(
            "node 4 coordinates in epoch {new_epoch}, node 5 is stale in epoch {old_epoch}"
        );
        assert!(page.contains(&who), "{page}");
    }
    let line = line(home);
    assert!(
        line.contains(&format!("node 4 coordinates in epoch {new_epoch}")),
        "{line}"
    );
    assert!(
        line.contains(&format!("node 5 is stale in epoch {old_epoch}")),
        "{line}"
    );

    let metrics = stdout(&invoke(home, "metrics", &[]));
    let set = metrics.lines().filter(|line| {
        line.starts_with("bullpen_node_role")
            && line.ends_with(" 1")
            && line.contains("coordinator")
    });
    assert_eq!(
        set.collect::<Vec<_>>(),
        [r#"bullpen_node_role{node="4",role="coordinator"} 1"#]
    );
    assert!(
        metrics.contains(r#"bullpen_node_role{node="5",role="stale"} 1"#),
        "{metrics}"
    );

    for epoch in [&old_epoch, &new_epoch] {
        let sentence = format!("is coordinator in epoch {epoch}");
        assert!(cluster.stderr().contains(&sentence), "{sentence}");
        let timeline = stdout(&invoke(home, "timeline", &[]));
        assert!(
            timeline.contains(&format!("acts as coordinator in epoch {epoch}")),
            "{timeline}"
        );
    }

    let killed = stdout(&invoke(
        home,
        "kill",
        &["coordinator", "5", "--signal", "CONT"],
    ));
    assert!(
        killed.contains("node 4 ") && killed.contains(", coordinator)"),
        "{killed}"
    );
    assert!(
        killed.contains(&format!("node 5 (pid {old}, stale)")),
        "{killed}"
    );
    eventually(PATIENCE, "node 5 has heard it, and nobody is stale", || {
        let told = status(home);
        let coordinators = with_role(&told, "coordinator");
        (with_role(&told, "stale").is_empty() && coordinators.len() == 1).then_some(())
    });
    eventually(PATIENCE, "it coordinates again, being the highest", || {
        (with_role(&status(home), "coordinator") == [5]).then_some(())
    });
}

#[test]
fn a_stopped_coordinator_is_the_coordinator_until_it_is_replaced() {
    let cluster = Cluster::start(&["--nodes", "3"]);
    let home = &cluster.home;
    let output = invoke(home, "kill", &["all", "--signal", "STOP"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let told = eventually(PATIENCE, "all are stopped", || {
        let told = status(home);
        let nodes = told["nodes"].as_array().unwrap();
        nodes
            .iter()
            .all(|node| node["state"] == "stopped")
            .then_some(told)
    });
    assert_eq!(told["coordinator"], Value::Null);
    assert_eq!(with_role(&told, "coordinator"), [2], "{told}");
    let killed = stdout(&invoke(home, "kill", &["coordinator"]));
    assert!(killed.starts_with("SIGKILL sent to node 2 "), "{killed}");
}

/// A stale one is nobody's coordinator, even if there is no other.
#[test]
fn the_word_coordinator_does_not_reach_a_stale_one() {
    let (cluster, old) = replaced();
    let home = &cluster.home;
    let _held: Vec<_> = (0..5).map(|id| home.hold_back(id)).collect();
    // All others end, and cannot come back.
    for id in 0..5 {
        invoke(home, "kill", &[&id.to_string()]);
    }
    eventually(PATIENCE, "no other is left", || {
        let told = status(home);
        (with_role(&told, "coordinator").is_empty() && with_role(&told, "candidate").is_empty())
            .then_some(())
    });
    assert_eq!(with_role(&status(home), "stale"), [5]);
    let output = invoke(home, "kill", &["coordinator"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("stale"), "{}", stderr(&output));
    assert!(harness::is_alive(old));
}
