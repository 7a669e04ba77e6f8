//! Ctrl-Z, and what else a terminal does to those that write to it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::terminal::Terminal;
use crate::harness::{self, Home, PATIENCE, bullpen, children, eventually, is_alive, process_name};
use laboratory::processes::state;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than the nodes take to suspect each other.
const LONG: Duration = Duration::from_secs(2);

/// Everything below a process, and itself; but for keepers, which do nothing before their node ends.
fn family(pid: Pid) -> Vec<Pid> {
    let mut all = vec![pid];
    let is_keeper = |pid| process_name(pid).is_some_and(|name| name.starts_with("keeper-"));
    for child in children(pid) {
        if !is_keeper(child) {
            all.extend(family(child));
        }
    }
    all
}

fn is_stopped(pid: Pid) -> bool {
    state(pid) == Some('T')
}

fn await_stop(pid: Pid) -> Vec<Pid> {
    eventually(PATIENCE, "all of it is stopped", || {
        let all = family(pid);
        all.iter().all(|&pid| is_stopped(pid)).then_some(all)
    })
}

fn let_time_pass() {
    let begin = std::time::Instant::now();
    eventually(PATIENCE, "some time", || {
        (begin.elapsed() > LONG).then_some(())
    });
}

/// A command in a process group of its own, as a shell with job control starts it; killed when dropped.
struct Job(Child);

impl Job {
    fn start(command: &mut Command) -> Job {
        Job(command.process_group(0).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn output(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        let mut stdout = self.0.stdout.take().unwrap();
        std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
        (self.0.wait().unwrap().code(), text)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_compute_is_suspended_as_a_whole_and_goes_on() {
    let mut command = bullpen();
    command.args(["compute", "400!", "--delay=5ms"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let job = Job::start(&mut command);
    eventually(PATIENCE, "seven processes", || {
        (family(job.pid()).len() == 7).then_some(())
    });
    for _ in 0..2 {
        job.signal(Signal::SIGTSTP);
        let all = await_stop(job.pid());
        assert_eq!(all.len(), 7);
        let_time_pass();
        assert_eq!(await_stop(job.pid()), all, "nobody has died");
        job.signal(Signal::SIGCONT);
        eventually(PATIENCE, "all go on", || {
            let all = family(job.pid());
            (!all.iter().any(|&pid| is_stopped(pid))).then_some(())
        });
    }
    let (code, text) = job.output();
    assert_eq!(code, Some(0));
    assert!(text.starts_with("400!=6403452284662389526"), "{text}");
}

#[test]
fn a_service_is_suspended_and_what_a_user_has_stopped_stays_so() {
    let home = Home::new();
    let mut up = home.up();
    let cluster = home.launch(up.process_group(0));
    cluster.await_agreement();
    let before = cluster.nodes();
    let held = cluster.node_named("worker-1");
    kill(held, Signal::SIGSTOP).unwrap();
    eventually(PATIENCE, "it is on record", || {
        (cluster.events_named("node_stopped").len() == 1).then_some(())
    });
    cluster.signal(Signal::SIGTSTP);
    // What watches the jobs directory, too.
    assert_eq!(await_stop(cluster.pid()).len(), 8);
    let_time_pass();
    cluster.drop_job("ten", "10!\n");
    cluster.signal(Signal::SIGCONT);
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    assert!(is_stopped(held));
    let status = harness::invoke(&cluster.home, "status", &["--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    for node in status["nodes"].as_array().unwrap() {
        let expected = if node["id"] == 1 {
            "stopped"
        } else {
            "running"
        };
        assert_eq!(node["state"], expected, "{node}");
    }
    // The log has the stops, as the reason for whatever followed.
    let of_held = |name: &str| {
        let mut events = cluster.events_named(name);
        events.retain(|event| event["pid"] == held.as_raw());
        events.len()
    };
    assert_eq!((of_held("node_stopped"), of_held("node_continued")), (1, 0));
    assert_eq!(cluster.events_named("node_stopped").len(), 6);
    assert_eq!(cluster.events_named("node_continued").len(), 5);
    kill(held, Signal::SIGCONT).unwrap();
    assert_eq!(cluster.events_named("node_exited").len(), 0);
    let pids = |nodes: Vec<(String, Pid)>| {
        let mut pids: Vec<Pid> = nodes.into_iter().map(|(_, pid)| pid).collect();
        pids.sort_unstable();
        pids
    };
    assert_eq!(pids(cluster.nodes()), pids(before));
}

#[test]
fn an_experiment_is_suspended_with_its_cluster_and_finds_nothing_wrong() {
    let mut command = bullpen();
    command.args(["experiment", "--rounds=6", "--nodes=3", "--seed=1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let job = Job::start(&mut command);
    // Itself, its `up`, three nodes, and what watches.
    eventually(PATIENCE, "six processes", || {
        (family(job.pid()).len() == 6).then_some(())
    });
    job.signal(Signal::SIGTSTP);
    await_stop(job.pid());
    // Longer than it waits for its nodes to agree.
    let begin = std::time::Instant::now();
    eventually(Duration::from_secs(30), "a long time", || {
        (begin.elapsed() > Duration::from_secs(17)).then_some(())
    });
    job.signal(Signal::SIGCONT);
    let (code, text) = job.output();
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn what_is_suspended_dies_with_its_parent() {
    let mut command = bullpen();
    command.args(["compute", "400!", "--delay=50ms"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let job = Job::start(&mut command);
    eventually(PATIENCE, "seven processes", || {
        (family(job.pid()).len() == 7).then_some(())
    });
    job.signal(Signal::SIGTSTP);
    let all = await_stop(job.pid());
    drop(job);
    eventually(PATIENCE, "all are gone", || {
        (!all.iter().any(|&pid| is_alive(pid))).then_some(())
    });
}

/// `bullpen up` in the background of a shell with job control, on a terminal that stops background jobs
/// which write to it.
struct Background {
    shell: Child,
    supervisor: Pid,
    home: Home,
}

impl Background {
    fn start(terminal: &Terminal) -> Background {
        let home = Home::new();
        let told: PathBuf = home.path().join("pid");
        let up = home.up();
        let mut shell = Command::new("bash");
        shell.args(["--norc", "-mc"]);
        shell.arg(r#"stty tostop; told=$1; shift; "$@" & echo $! >"$told"; read -r _"#);
        shell
            .arg("sh")
            .arg(&told)
            .arg(up.get_program())
            .args(up.get_args());
        shell
            .stdin(terminal.stream())
            .stdout(terminal.stream())
            .stderr(terminal.stream());
        terminal.lead_session(&mut shell);
        let shell = shell.spawn().unwrap();
        let supervisor = eventually(PATIENCE, "the supervisor", || {
            let pid = fs::read_to_string(&told).ok()?.trim().parse().ok()?;
            Some(Pid::from_raw(pid))
        });
        Background {
            shell,
            supervisor,
            home,
        }
    }

    fn nodes(&self) -> Vec<Pid> {
        let mut nodes = children(self.supervisor);
        nodes.retain(|&pid| {
            let name = process_name(pid).unwrap_or_default();
            name.starts_with("worker-") || name.starts_with("coordinator-")
        });
        nodes
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill(self.supervisor, Signal::SIGKILL);
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[test]
fn a_terminal_that_stops_whoever_writes_in_the_background_stops_nothing() {
    let mut terminal = Terminal::new();
    let service = Background::start(&terminal);
    eventually(PATIENCE, "six nodes", || {
        terminal.shown();
        (service.nodes().len() == 6).then_some(())
    });
    let killed = service.nodes()[0];
    harness::kill_node(killed);
    eventually(PATIENCE, "a death is told and mended", || {
        let told = terminal.shown().contains("was killed by SIGKILL");
        let nodes = service.nodes();
        (told && nodes.len() == 6 && !nodes.contains(&killed)).then_some(())
    });
    let jobs = service.home.jobs();
    fs::write(jobs.join(".ten.tmp"), "10!\n").unwrap();
    fs::rename(jobs.join(".ten.tmp"), jobs.join("ten.job")).unwrap();
    eventually(PATIENCE, "a node writes to it", || {
        terminal.shown().contains("10!=3628800").then_some(())
    });
    for signal in [Signal::SIGTTOU, Signal::SIGTTIN, Signal::SIGTSTP] {
        // As the system does it: what it sends to a group in the background.
        let _ = kill(service.nodes()[0], signal);
    }
    for pid in family(service.supervisor) {
        assert!(!is_stopped(pid), "{:?}", process_name(pid));
    }
    kill(service.supervisor, Signal::SIGTERM).unwrap();
    eventually(PATIENCE, "it ends", || {
        terminal.shown();
        (!is_alive(service.supervisor) || state(service.supervisor) == Some('Z')).then_some(())
    });
}
