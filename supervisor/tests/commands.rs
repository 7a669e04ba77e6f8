//! The commands on a running cluster: status and kill, and what else goes over the control socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::harness::{
    Cluster, Home, PATIENCE, assert_one_sentence, eventually, invoke, is_alive, stderr, stdout,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

fn status(home: &Home) -> Value {
    let output = invoke(home, "status", &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Waits for a status of which `condition` holds.
fn await_status(home: &Home, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    eventually(PATIENCE, what, || Some(status(home)).filter(&condition))
}

/// All nodes run and have found their roles.
fn is_settled(status: &Value) -> bool {
    let is = |role: &str| {
        let nodes = status["nodes"].as_array().unwrap().iter();
        nodes
            .filter(|node| node["role"] == role && node["state"] == "running")
            .count()
    };
    is("coordinator") == 1 && is("worker") == 5
}

#[test]
fn status_tells_every_node_and_job() {
    let cluster = Cluster::start(&["--delay", "300ms"]);
    let status = await_status(&cluster.home, "all have roles", is_settled);
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().unwrap();
        object.keys().cloned().collect()
    };
    let mut expected = ["term", "coordinator", "watch", "nodes", "jobs", "ignored"];
    expected.sort_unstable();
    assert_eq!(keys(&status), expected);
    assert_eq!(status["coordinator"], 5);
    assert!(status["term"].as_u64() >= Some(1));
    assert_eq!(status["jobs"], json!([]));
    let nodes = status["nodes"].as_array().unwrap();
    let pids: Vec<Pid> = cluster.nodes().into_iter().map(|(_, pid)| pid).collect();
    for (id, node) in nodes.iter().enumerate() {
        let mut expected = [
            "id",
            "pid",
            "incarnation",
            "role",
            "state",
            "restarts",
            "uptime_ms",
            "term",
            "held_bytes",
            "peak_held_bytes",
            "slow_file_ms",
        ];
        expected.sort_unstable();
        assert_eq!(keys(node), expected);
        assert_eq!(node["id"], id);
        let pid = i32::try_from(node["pid"].as_i64().unwrap()).unwrap();
        assert!(pids.contains(&Pid::from_raw(pid)), "{node}");
        assert!(node["incarnation"].as_u64() >= Some(1));
        assert_eq!(node["restarts"], 0);
        assert!(node["uptime_ms"].is_u64());
        assert_eq!(node["role"], if id == 5 { "coordinator" } else { "worker" });
    }
    assert_eq!(nodes.len(), 6);

    cluster.drop_job("forty", "40!\n");
    let status = await_status(&cluster.home, "the job makes progress", |status| {
        status["jobs"][0]["done"].as_u64() >= Some(1)
    });
    let job = &status["jobs"][0];
    assert_eq!(job["name"], "forty");
    assert!(job["total"].as_u64() > job["done"].as_u64(), "{job}");
    assert!(job["state"].is_string());
    let page = stdout(&invoke(&cluster.home, "status", &[]));
    assert!(page.contains("node 5 coordinates"), "{page}");
    assert!(page.contains("forty"), "{page}");
}

#[test]
fn a_killed_coordinator_is_replaced_and_its_restart_is_counted() {
    let cluster = Cluster::start(&[]);
    let before = await_status(&cluster.home, "all have roles", is_settled);
    let output = invoke(&cluster.home, "kill", &["coordinator"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = format!(
        "SIGKILL sent to node 5 (pid {}, coordinator)\n",
        before["nodes"][5]["pid"]
    );
    assert_eq!(stdout(&output), expected);

    // Who replaces it is open: on a busy machine node 5 may be back before the others are done.
    let after = await_status(
        &cluster.home,
        "a later term has its coordinator, node 5 is back",
        |status| {
            let is_later = status["term"].as_u64() > before["term"].as_u64();
            is_later && status["nodes"][5]["restarts"] == 1 && is_settled(status)
        },
    );
    assert!(after["nodes"][5]["incarnation"].as_u64() > before["nodes"][5]["incarnation"].as_u64());
}

#[test]
fn a_stopped_coordinator_is_none_and_continues_as_a_follower() {
    let cluster = Cluster::start(&["--preemption", "never"]);
    await_status(&cluster.home, "all have roles", is_settled);
    let output = invoke(&cluster.home, "kill", &["5", "--signal", "stop"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    await_status(
        &cluster.home,
        "node 5 is stopped, node 4 coordinates",
        |status| {
            assert!(status["nodes"][5]["state"] != "stopped" || status["coordinator"] != 5);
            status["nodes"][5]["state"] == "stopped" && status["coordinator"] == 4
        },
    );
    let output = invoke(&cluster.home, "kill", &["5", "--signal", "SIGCONT"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let after = await_status(&cluster.home, "node 5 follows", is_settled);
    assert_eq!(after["coordinator"], 4);
    assert_eq!(after["nodes"][5]["restarts"], 0);
}

#[test]
fn kill_finds_workers_ids_and_all_and_says_when_there_is_nothing() {
    let cluster = Cluster::start(&[]);
    let home = &cluster.home;
    let before = await_status(home, "all have roles", is_settled);
    // Stopped, so that nothing is restarted in the middle of this test.
    let output = invoke(home, "kill", &["worker", "2", "2", "--signal", "STOP"]);
    assert_eq!(
        stdout(&output),
        format!(
            "SIGSTOP sent to node 0 (pid {}, worker)\nSIGSTOP sent to node 2 (pid {}, worker)\n",
            before["nodes"][0]["pid"], before["nodes"][2]["pid"]
        )
    );
    await_status(home, "both are stopped", |status| {
        status["nodes"][0]["state"] == "stopped" && status["nodes"][2]["state"] == "stopped"
    });
    let output = invoke(home, "kill", &["worker", "--signal", "STOP"]);
    assert!(stdout(&output).contains("node 1 "), "{}", stdout(&output));
    let output = invoke(home, "kill", &["all", "--signal", "STOP"]);
    assert_eq!(stdout(&output).lines().count(), 6);
    await_status(home, "all are stopped", |status| {
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().all(|node| node["state"] == "stopped")
    });
    assert_eq!(status(home)["coordinator"], Value::Null);
    for (target, named) in [("worker", "no worker"), ("9", "node 9")] {
        let complaint = assert_one_sentence(&invoke(home, "kill", &[target]), 1);
        assert!(complaint.contains(named), "{complaint}");
    }
    invoke(home, "kill", &["all", "--signal", "CONT"]);
    await_status(home, "all go on", is_settled);
    assert_eq!(cluster.events_named("node_exited").len(), 0);
    for args in [&["everyone"][..], &["3", "--signal", "NONSENSE"], &[]] {
        assert_eq!(invoke(home, "kill", args).status.code(), Some(2));
    }
}

#[test]
fn without_a_cluster_the_commands_say_how_to_start_one() {
    let home = Home::new();
    for (name, args) in [
        ("status", &[][..]),
        ("status", &["--json"]),
        ("kill", &["all"]),
    ] {
        let complaint = assert_one_sentence(&invoke(&home, name, args), 3);
        assert!(complaint.contains("bullpen up"), "{complaint}");
        assert!(complaint.contains("--run-dir"), "{complaint}");
    }
    // The socket of one that is gone.
    fs::create_dir(home.run_dir()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(home.run_dir().join("control.sock")).unwrap());
    assert_one_sentence(&invoke(&home, "status", &[]), 3);
    // And the next cluster does not mind it.
    let cluster = home.start(&[]);
    cluster.await_coordinator();
    status(&cluster.home);
}

#[test]
fn a_stopped_supervisor_is_told_apart_from_none() {
    let cluster = Cluster::start(&[]);
    cluster.signal(Signal::SIGSTOP);
    let complaint = assert_one_sentence(&invoke(&cluster.home, "status", &[]), 3);
    assert!(complaint.contains("does not answer"), "{complaint}");
    cluster.signal(Signal::SIGCONT);
    status(&cluster.home);
}

#[test]
fn garbage_and_silent_clients_disturb_nothing() {
    let cluster = Cluster::start(&[]);
    let socket = cluster.home.run_dir().join("control.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // More than are served at a time, and none of them says anything.
    let silent: Vec<UnixStream> = (0..20)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    for garbage in [
        &b"\xff\xfe\0\n"[..],
        &[b'['; 100_000],
        b"{\"command\":\"fly\"}\n",
        b"",
    ] {
        let mut client = UnixStream::connect(&socket).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may hang up before it has read all.
        let _ = client.write_all(garbage);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = client.read_to_end(&mut Vec::new());
    }
    await_status(&cluster.home, "the status is told", is_settled);
    for mut client in silent {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "dropped without a word");
    }
    cluster.drop_job("ten", "10!\n");
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    assert_eq!(cluster.events_named("node_exited").len(), 0);
}

#[test]
fn messages_are_json_where_that_is_asked_for() {
    let mut cluster = Home::new().start(&["--log-format", "json"]);
    let coordinator = cluster.await_coordinator();
    kill(coordinator, Signal::SIGKILL).unwrap();
    eventually(PATIENCE, "the death is told", || {
        cluster.stderr().contains("SIGKILL").then_some(())
    });
    cluster.signal(Signal::SIGTERM);
    cluster.await_exit(Duration::from_secs(8));
    assert!(!is_alive(coordinator));
    for line in cluster.stderr().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        assert!(message["message"].is_string(), "{line}");
        assert!(message["level"].is_string(), "{line}");
        assert!(message["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn a_checked_status_fails_while_no_node_coordinates() {
    let cluster = Cluster::start(&["--nodes", "3"]);
    let check = || invoke(&cluster.home, "status", &["--check"]);
    let is = |code: i32, what: &str| {
        eventually(PATIENCE, what, || {
            let output = check();
            (output.status.code() == Some(code)).then_some(output)
        })
    };
    is(0, "a coordinator is there");
    let stopped = invoke(&cluster.home, "kill", &["all", "--signal", "STOP"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", stderr(&stopped));
    let output = is(1, "none is there");
    assert!(stdout(&output).contains("no coordinator now"));
    assert!(stderr(&output).starts_with("bullpen: no node coordinates"));
    assert_eq!(stderr(&output).lines().count(), 1);
    // Without the option that is a state like any other.
    assert_eq!(status(&cluster.home)["coordinator"], Value::Null);
    invoke(&cluster.home, "kill", &["all", "--signal", "CONT"]);
    is(0, "a coordinator is there again");
}

#[test]
fn a_checked_status_of_no_cluster_fails_as_any_status_does() {
    let home = Home::new();
    let output = invoke(&home, "status", &["--check"]);
    assert_one_sentence(&output, 3);
}
