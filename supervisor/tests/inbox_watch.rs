//! What watches the jobs directory: dropped files are noticed by events, in a process whose death, stop or
//! silence costs nothing else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{
    self, Cluster, Home, PATIENCE, children, eventually, invoke, open_files, process_name, stdout,
};
use laboratory::processes::usage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Where the coordinator looks by itself, a file waits for 1 s on average and for up to 2 s.
const BY_EVENTS: Duration = Duration::from_millis(500);
/// Where it is hinted at by the clock: up to half a second, and half a second more on a mount that does not
/// tell whether a file is complete.
const BY_CLOCK: Duration = Duration::from_millis(1_500);
/// The part of a processor that may be used by who has nothing to do, on any machine.
const NEXT_TO_NOTHING: f64 = 0.1;

/// The process that watches the jobs directory, when it is in this mode.
fn watcher_in(cluster: &Cluster, mode: &str) -> Pid {
    eventually(PATIENCE, &format!("status says {mode}"), || {
        let found = watcher(cluster)?;
        let output = invoke(&cluster.home, "status", &["--json"]);
        let status: Value = serde_json::from_str(&stdout(&output)).ok()?;
        (status["watch"] == mode).then_some(found)
    })
}

fn watcher(cluster: &Cluster) -> Option<Pid> {
    let is_it = |pid: &Pid| process_name(*pid).as_deref() == Some("bullpen-watch");
    children(cluster.pid()).into_iter().find(is_it)
}

/// Drops five jobs in `inbox`, one after the other, and gives the median of how long each stayed there.
fn noticed_within(cluster: &Cluster, inbox: &Path, prefix: &str) -> Duration {
    let mut waits: Vec<Duration> = (0..5)
        .map(|index| {
            let name = format!("{prefix}{index}");
            let (part, job) = (
                inbox.join(format!(".{name}")),
                inbox.join(format!("{name}.job")),
            );
            fs::write(&part, "10!\n").unwrap();
            fs::rename(part, &job).unwrap();
            let begun = Instant::now();
            eventually(PATIENCE, "the job is taken", || {
                (!job.exists()).then_some(())
            });
            let wait = begun.elapsed();
            cluster.await_results(&name, PATIENCE);
            wait
        })
        .collect();
    println!("{prefix}: taken after {waits:?}");
    waits.sort();
    waits[2]
}

fn inotify_instances(pid: Pid) -> usize {
    let files = open_files(pid).into_iter();
    files
        .filter(|(_, path)| path == Path::new("anon_inode:inotify"))
        .count()
}

/// The share of a processor that a process uses while something goes on.
fn load(pid: Pid, during: impl FnOnce()) -> f64 {
    let used = || usage(pid).unwrap().cpu;
    let (begun, before) = (Instant::now(), used());
    during();
    (used() - before).as_secs_f64() / begun.elapsed().as_secs_f64()
}

#[test]
fn drops_are_noticed_by_events_and_no_node_holds_any() {
    let cluster = Cluster::start(&[]);
    let watcher = watcher_in(&cluster, "notify");
    assert_eq!(inotify_instances(watcher), 1);
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 6);
    for (name, pid) in nodes {
        assert_eq!(inotify_instances(pid), 0, "{name}");
    }
    assert_eq!(inotify_instances(cluster.pid()), 0);
    assert!(noticed_within(&cluster, &cluster.home.jobs(), "events") < BY_EVENTS);
    assert!(!cluster.stderr().contains("watch"), "{}", cluster.stderr());
}

#[test]
fn what_watches_is_started_again_when_it_dies_and_the_next_coordinator_is_told_too() {
    let cluster = Cluster::start(&[]);
    let first = watcher_in(&cluster, "notify");
    kill(first, Signal::SIGKILL).unwrap();
    eventually(PATIENCE, "it is started again", || {
        watcher(&cluster).filter(|&pid| pid != first)
    });
    watcher_in(&cluster, "notify");
    assert!(noticed_within(&cluster, &cluster.home.jobs(), "again") < BY_EVENTS);
    harness::kill_node(cluster.node_named("coordinator-"));
    cluster.await_agreement();
    assert!(noticed_within(&cluster, &cluster.home.jobs(), "next") < BY_EVENTS);
}

#[test]
fn a_stopped_watch_costs_events_and_nothing_else() {
    let mut cluster = Cluster::start(&[]);
    let watcher = watcher_in(&cluster, "notify");
    kill(watcher, Signal::SIGSTOP).unwrap();
    watcher_in(&cluster, "poll");
    cluster.drop_job("ten", "10!\n");
    cluster.await_results("ten", PATIENCE);
    cluster.signal(Signal::SIGTERM);
    let begun = Instant::now();
    assert_eq!(cluster.await_exit(Duration::from_secs(4)).code(), Some(0));
    println!("ended after {:?}", begun.elapsed());
    assert!(!harness::is_alive(watcher));
}

#[test]
fn it_ends_with_a_supervisor_that_is_killed() {
    let mut cluster = Cluster::start(&[]);
    let watcher = watcher_in(&cluster, "notify");
    cluster.signal(Signal::SIGKILL);
    cluster.await_exit(PATIENCE);
    eventually(PATIENCE, "it ends", || {
        (!harness::is_alive(watcher)).then_some(())
    });
}

#[test]
fn a_folder_that_takes_the_place_of_the_watched_one_is_watched() {
    let cluster = Cluster::start(&[]);
    watcher_in(&cluster, "notify");
    let jobs = cluster.home.jobs();
    fs::rename(&jobs, cluster.home.path().join("old")).unwrap();
    watcher_in(&cluster, "poll");
    fs::create_dir(&jobs).unwrap();
    watcher_in(&cluster, "notify");
    assert!(noticed_within(&cluster, &jobs, "replaced") < BY_EVENTS);
}

#[test]
fn watch_poll_does_without_events() {
    let cluster = Cluster::start(&["--watch", "poll"]);
    let watcher = watcher_in(&cluster, "poll");
    assert_eq!(inotify_instances(watcher), 0);
    assert!(noticed_within(&cluster, &cluster.home.jobs(), "poll") < BY_CLOCK);
    let page = stdout(&invoke(&cluster.home, "status", &[]));
    assert!(
        page.contains("watch poll: dropped files are found by looking"),
        "{page}"
    );
    // It was asked for.
    assert!(
        !cluster.stderr().contains("looked at"),
        "{}",
        cluster.stderr()
    );
}

#[test]
fn files_that_are_no_jobs_call_nobody() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    for index in 0..5_000 {
        File::create(home.jobs().join(format!(".ignored-{index}"))).unwrap();
    }
    let cluster = home.start(&[]);
    cluster.await_agreement();
    let watcher = watcher_in(&cluster, "notify");
    let coordinator = cluster.await_coordinator();
    let touched = cluster.home.jobs().join(".ignored-7");
    let touching = || {
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            fs::write(&touched, "touched").unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let of_watcher = std::cell::Cell::new(0.0);
    let idle = load(coordinator, || std::thread::sleep(Duration::from_secs(3)));
    let touched = load(coordinator, || of_watcher.set(load(watcher, touching)));
    let of_watcher = of_watcher.get();
    println!("coordinator idle {idle:.3}, touched {touched:.3}; watch {of_watcher:.3}");
    assert!(
        touched < idle + NEXT_TO_NOTHING,
        "{touched} of a processor, idle {idle}"
    );
    assert!(of_watcher < NEXT_TO_NOTHING, "{of_watcher} of a processor");
}

#[test]
fn what_the_coordinator_does_to_jobs_calls_nobody() {
    let cluster = Cluster::start(&[]);
    let watcher = watcher_in(&cluster, "notify");
    for index in 0..100 {
        cluster.drop_job(&format!("job-{index}"), "10!\n");
    }
    for index in 0..100 {
        cluster.await_results(&format!("job-{index}"), PATIENCE);
    }
    let coordinator = cluster.await_coordinator();
    let rest = || std::thread::sleep(Duration::from_secs(2));
    let of_watcher = std::cell::Cell::new(0.0);
    let of_coordinator = load(coordinator, || of_watcher.set(load(watcher, rest)));
    println!(
        "coordinator {of_coordinator:.3}, watch {:.3}",
        of_watcher.get()
    );
    assert!(
        of_coordinator < NEXT_TO_NOTHING,
        "{of_coordinator} of a processor"
    );
    assert!(of_watcher.get() < NEXT_TO_NOTHING);
}

/// A mount of a folder by another process, as network mounts are to the kernel.
struct Mount(PathBuf);

impl Mount {
    fn of(source: &Path, target: &Path) -> Option<Mount> {
        if !Path::new("/dev/fuse").exists() {
            return None;
        }
        let mut bindfs = Command::new("bindfs");
        bindfs.arg("--no-allow-other").arg(source).arg(target);
        let mounted = bindfs.stdout(Stdio::null()).status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Mount(target.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("fusermount").arg("-uz").arg(&self.0).status();
    }
}

#[test]
fn on_a_mount_that_does_not_tell_all_it_looks_twice_a_second_and_says_so() {
    let home = Home::new();
    let behind = home.path().join("behind");
    for folder in [&behind, &home.jobs()] {
        fs::create_dir(folder).unwrap();
    }
    let Some(_mount) = Mount::of(&behind, &home.jobs()) else {
        println!("skipped: no folder can be mounted with bindfs here");
        return;
    };
    let cluster = home.start(&[]);
    cluster.await_agreement();
    watcher_in(&cluster, "poll");
    let sentence = "may not tell of all that is dropped there, so it is looked at every 500ms";
    assert_eq!(
        cluster.stderr().matches(sentence).count(),
        1,
        "{}",
        cluster.stderr()
    );
    // Nobody who watches the mount is told of that.
    assert!(noticed_within(&cluster, &behind, "behind") < BY_CLOCK);
}
