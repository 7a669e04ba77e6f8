//! `bullpen metrics`, printed and served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::metrics::{Service, told, value};
use crate::harness::{Cluster, Home, PATIENCE, assert_one_sentence, eventually, invoke, stdout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn without_a_cluster_it_fails_in_one_sentence() {
    let output = invoke(&Home::new(), "metrics", &[]);
    let complaint = assert_one_sentence(&output, 3);
    assert!(complaint.contains("no bullpen runs"), "{complaint}");
}

#[test]
fn an_address_in_use_is_told_in_one_sentence() {
    let home = Home::new();
    let service = Service::start(&home);
    let output = invoke(&home, "metrics", &["--listen", &service.address]);
    let complaint = assert_one_sentence(&output, 3);
    assert!(complaint.contains(&service.address), "{complaint}");
}

#[test]
fn what_happened_is_counted_and_what_is_so_is_shown() {
    let cluster = Cluster::start(&["--trace-operations", "--plan", "tree"]);
    let job = invoke(&cluster.home, "submit", &["5000!", "--wait"]);
    assert!(stdout(&job).starts_with("5000!="));
    cluster.await_coordinator();
    let killed = invoke(&cluster.home, "kill", &["coordinator"]);
    assert!(stdout(&killed).contains("node 5"));
    let text = eventually(PATIENCE, "node 5 coordinates again", || {
        let text = stdout(&invoke(&cluster.home, "metrics", &[]));
        let has = |name, expected| told(&text, name) == Some(expected);
        let again = has(r#"bullpen_restarts_total{node="5",reason="SIGKILL"}"#, 1.0);
        let acts = has(r#"bullpen_node_role{node="5",role="coordinator"}"#, 1.0);
        (again && acts).then_some(text)
    });
    assert_eq!(value(&text, "bullpen_up"), 1.0);
    assert_eq!(
        value(&text, r#"bullpen_jobs_ended_total{outcome="done"}"#),
        1.0
    );
    assert_eq!(value(&text, r#"bullpen_jobs{state="running"}"#), 0.0);
    let held_at_the_start = told(&text, r#"bullpen_elections_total{cause="start"}"#);
    let what = format!("elections held at the start: {held_at_the_start:?}");
    cluster.assert_unless_held_up(held_at_the_start == Some(1.0), what);
    assert!(value(&text, r#"bullpen_takeover_seconds_count{after="exit"}"#) >= 1.0);
    assert_eq!(
        value(&text, "bullpen_term"),
        value(&text, r#"bullpen_node_term{node="5"}"#)
    );
    let passed = |stage| {
        let name = format!("bullpen_operations_traced_total{{stage=\"{stage}\"}}");
        value(&text, &name)
    };
    assert!(passed("checkpointed") > 1_000.0);
    assert!(passed("assigned") >= passed("checkpointed"));
    for node in 0..5 {
        let peak = format!("bullpen_node_peak_held_bytes{{node=\"{node}\"}}");
        eventually(PATIENCE, &peak, || {
            let text = stdout(&invoke(&cluster.home, "metrics", &[]));
            // Half of the digits of 5000!, at the least, were in one place at one time.
            (value(&text, &peak) > 3_000.0).then_some(())
        });
    }
}

#[test]
fn the_service_outlives_clusters_and_ends_with_a_signal() {
    let home = Home::new();
    let mut service = Service::start(&home);
    let text = service.scrape();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(
        text.contains("content-type: text/plain; version=0.0.4"),
        "{text}"
    );
    assert_eq!(value(&text, "bullpen_up"), 0.0);

    let mut cluster = home.start(&[]);
    service.await_line("bullpen_up 1");
    service.await_line(r#"bullpen_node_role{node="5",role="coordinator"} 1"#);
    invoke(&cluster.home, "kill", &["0"]);
    service.await_line(r#"bullpen_restarts_total{node="0",reason="SIGKILL"} 1"#);

    kill(cluster.pid(), Signal::SIGTERM).unwrap();
    cluster.await_exit(PATIENCE);
    let text = service.await_line("bullpen_up 0");
    assert!(!text.contains("bullpen_node_up{"), "{text}");

    // Another run, with another log: its counters begin anew.
    cluster.start_again(&[]);
    let text = service.await_line("bullpen_up 1");
    assert!(!text.contains("bullpen_restarts_total{"), "{text}");

    let pid = Pid::from_raw(service.child.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
}

#[test]
fn other_requests_are_refused_and_hold_up_nobody() {
    let service = Service::start(&Home::new());
    let mut slow = TcpStream::connect(&service.address).unwrap();
    slow.write_all(b"GET /metr").unwrap();
    let elsewhere = service.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
    let write =
        "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let refused = service.ask(write);
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    let garbage = service.ask("\u{1}\r\n\r\n");
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
    slow.write_all(b"ics HTTP/1.0\r\n\r\n").unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("bullpen_up 0"), "{answer}");
}

/// What the service has open.
fn descriptors(service: &Service) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", service.child.id()));
    open.unwrap().count()
}

#[test]
fn clients_that_say_or_read_nothing_hold_up_nobody() {
    let service = Service::start(&Home::new());
    let at_rest = descriptors(&service);
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let says: [&[u8]; 3] = [b"", b"GET /metrics HTTP/1.1\r\nX: ", &request.repeat(200)];
    for said in says {
        let clients: Vec<TcpStream> = (0..200)
            .map(|_| {
                let mut client = TcpStream::connect(&service.address).unwrap();
                client.set_nonblocking(true).unwrap();
                // It takes what it likes of that.
                let _ = client.write(said);
                client
            })
            .collect();
        let asked = Instant::now();
        let text = service.scrape();
        assert!(text.contains("bullpen_up 0"), "{text}");
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        let open = descriptors(&service);
        assert!(open <= at_rest + 40, "{open} of {at_rest}");
        drop(clients);
    }
    eventually(PATIENCE, "all are gone", || {
        (descriptors(&service) <= at_rest + 1).then_some(())
    });
}
