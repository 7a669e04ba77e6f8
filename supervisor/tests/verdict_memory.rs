//! `bullpen verdict` on logs that are larger than what it may hold in memory.
//!
//! `VERDICT_LOG_MB` sets the size of the log, `VERDICT_BINARY` names another binary to judge it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

/// The log of a normal run of this test, and what may be held in memory, in megabytes.
const LOG_MB: u64 = 24;
const MEMORY_MB: u64 = 24;

/// A log in which a coordinator and three workers do one job after the other, as the service writes it.
struct Log {
    file: BufWriter<File>,
    bytes: u64,
    now: u64,
}

impl Log {
    fn tell(&mut self, node: u64, own: &Value) {
        self.now += 2_000;
        let (now, life, pid) = (self.now, node + 1, node + 100);
        let role = if node == 3 { "coordinator" } else { "worker" };
        let own = own.to_string();
        let line = format!(
            "{{\"ts\":\"2026-11-28T23:26:37.187655Z\",\"mono_ns\":{now},\"node\":{node},\"incarnation\":{life},\
             \"pid\":{pid},\"term\":1,\"role\":\"{role}\",{}\n",
            &own[1..]
        );
        self.bytes += line.len() as u64;
        self.file.write_all(line.as_bytes()).unwrap();
    }

    fn operation(&mut self, n: u64, kind: &str, level: u64, index: u64) {
        let op = json!({"n": n, "kind": kind, "level": level, "index": index});
        let worker = index % 3;
        self.tell(3, &json!({"event": "assigned", "op": op, "worker": worker}));
        self.tell(worker, &json!({"event": "computing", "op": op}));
        self.tell(worker, &json!({"event": "completed", "op": op}));
        self.tell(3, &json!({"event": "checkpointed", "op": op}));
    }

    fn job(&mut self, n: u64) {
        let job = format!("of{n}");
        self.tell(3, &json!({"event": "job_accepted", "job": job}));
        let mut width = n.div_ceil(4);
        for level in 0.. {
            (0..width).for_each(|index| self.operation(n, "multiply", level, index));
            if width == 1 {
                break;
            }
            width = width.div_ceil(4);
        }
        self.tell(3, &json!({"event": "product_done", "n": n, "plan": "tree"}));
        self.tell(3, &json!({"event": "result_published", "job": job}));
        self.tell(3, &json!({"event": "job_done", "job": job}));
    }

    /// Until it is so long: some factorials are asked for again and again.
    fn write(folder: &Path, bytes: u64) -> Log {
        let mut log = Log {
            file: BufWriter::new(File::create(folder.join("run/events.jsonl")).unwrap()),
            bytes: 0,
            now: 1_000_000_000,
        };
        let begun = json!({
            "event": "run_begun", "jobs": folder.join("jobs"), "trace_operations": true, "suspect_after_ms": 500,
        });
        log.tell(0, &begun);
        (0..4).for_each(|node| log.tell(node, &json!({"event": "node_spawned"})));
        (0..4).for_each(|node| log.tell(node, &json!({"event": "started"})));
        log.tell(3, &json!({"event": "election_started", "why": "start"}));
        log.tell(3, &json!({"event": "election_won"}));
        log.tell(3, &json!({"event": "acting"}));
        (0..3).for_each(|node| log.tell(node, &json!({"event": "following", "coordinator": 3})));
        for job in 0.. {
            log.job(if job % 4 == 0 { 1_000 } else { 2_000 + job });
            if log.bytes > bytes {
                break;
            }
        }
        log
    }

    fn end(mut self) {
        self.tell(0, &json!({"event": "run_stopping"}));
        for node in 0..4 {
            self.tell(node, &json!({"event": "node_exited", "code": 0}));
        }
        self.file.flush().unwrap();
    }
}

/// The exit code of a verdict, what it says, and the most megabytes that any so far has held.
fn verdict(folder: &Path) -> (Option<i32>, String, u64) {
    let other = env::var("VERDICT_BINARY").ok();
    let bullpen = other.as_deref().unwrap_or(env!("CARGO_BIN_EXE_bullpen"));
    let begun = Instant::now();
    let mut command = Command::new(bullpen);
    command
        .args(["verdict", "--run-dir"])
        .arg(folder.join("run"));
    let output = command.output().unwrap();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    let used = u64::try_from(used).unwrap() / 1_024;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("{used} MB at most, {seconds:.1} s");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap(), used)
}

/// One test alone: the system tells of the largest child of a process.
#[test]
fn a_long_log_is_judged_in_little_memory_whatever_is_wrong_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["run", "jobs/running", "jobs/done", "jobs/failed"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    let mut options = fs::metadata(folder.path().join("run"))
        .unwrap()
        .permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut options, 0o700);
    fs::set_permissions(folder.path().join("run"), options).unwrap();
    let size = env::var("VERDICT_LOG_MB").map_or(LOG_MB, |size| size.parse().unwrap());
    let limit = if size > LOG_MB { 150 } else { MEMORY_MB };

    Log::write(folder.path(), size << 20).end();
    let (code, said, used) = verdict(folder.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(used < limit, "{used} MB");

    // What was let go long ago is done again, and not for any job: that cannot be told from the last lines alone.
    let mut log = Log::write(folder.path(), size << 20);
    log.tell(3, &json!({"event": "job_accepted", "job": "more"}));
    (0..9).for_each(|index| log.operation(5_000, "multiply", 0, index));
    log.operation(5_000, "multiply", 0, 0);
    let op = json!({"n": 2_001, "kind": "multiply", "level": 0, "index": 2});
    log.tell(1, &json!({"event": "completed", "op": op}));
    log.end();
    let (code, said, used) = verdict(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("S7, 2 times"), "{said}");
    assert!(used < limit, "{used} MB");
}
