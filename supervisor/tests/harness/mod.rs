//! Runs the built binary on directories of its own and watches it from outside.

pub(crate) mod disk;
pub(crate) mod fake;
pub(crate) mod freezer;
pub(crate) mod fuse;
mod machine;
pub(crate) mod memory;
pub(crate) mod metrics;
mod processes;
pub(crate) mod slow;
pub(crate) mod terminal;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use laboratory::log::parts;
use laboratory::verdict::Run;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::processes::{
    children, copy_of_the_binary, heed_signals, is_alive, kill_node, open_files, process_name,
    stat_field,
};

/// Long enough for anything that happens at all, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `condition` gives a value, and fails the test with `what` after `deadline`.
pub(crate) fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The built binary, without the settings of whoever runs the tests.
pub(crate) fn bullpen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bullpen"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"BULLPEN_") {
            command.env_remove(name);
        }
    }
    heed_signals(command.stdin(Stdio::null()));
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command on the directories of `home`, with further arguments.
pub(crate) fn command(home: &Home, name: &str, args: &[&str]) -> Command {
    let mut command = bullpen();
    command.arg(name).args(args);
    if name == "submit" {
        command.arg("--jobs").arg(home.jobs());
    } else {
        command.arg("--run-dir").arg(home.run_dir());
    }
    command
}

/// Runs a command on the directories of `home` to its end.
pub(crate) fn invoke(home: &Home, name: &str, args: &[&str]) -> Output {
    run(&mut command(home, name, args))
}

/// A failure that a person can act on: one line, and nothing on standard output.
pub(crate) fn assert_one_sentence(output: &Output, code: i32) -> String {
    let complaint = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert!(complaint.starts_with("bullpen: "), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert_eq!(stdout(output), "");
    complaint
}

/// The directories of a cluster; removed when dropped.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        let folder = tempfile::Builder::new()
            .prefix("bullpen-test-")
            .tempdir()
            .unwrap();
        Home { folder }
    }

    /// In a folder of a test's choice.
    pub(crate) fn within(folder: &Path) -> Home {
        let folder = tempfile::Builder::new()
            .prefix("bullpen-test-")
            .tempdir_in(folder)
            .unwrap();
        Home { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.path().join("jobs")
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path().join("run")
    }

    /// `bullpen up` on these directories.
    pub(crate) fn up(&self) -> Command {
        let mut command = bullpen();
        command
            .arg("up")
            .arg("--jobs")
            .arg(self.jobs())
            .arg("--run-dir")
            .arg(self.run_dir());
        command
    }

    /// Starts `bullpen up` with further arguments.
    pub(crate) fn start(self, args: &[&str]) -> Cluster {
        let mut command = self.up();
        command.args(args);
        self.launch(&mut command)
    }

    /// Starts a command that was made by [`Home::up`].
    pub(crate) fn launch(self, command: &mut Command) -> Cluster {
        let stdout = File::create(self.path().join("stdout")).unwrap();
        self.launch_to(command, stdout)
    }

    /// As [`Home::launch`], with a standard output of the test's choice.
    pub(crate) fn launch_to(self, command: &mut Command, stdout: impl Into<Stdio>) -> Cluster {
        let stderr = File::create(self.path().join("stderr")).unwrap();
        command.stdout(stdout).stderr(stderr);
        self.spawn(command)
    }

    /// As [`Home::launch`], with a standard error of the test's choice.
    pub(crate) fn launch_telling(self, command: &mut Command, stderr: impl Into<Stdio>) -> Cluster {
        for name in ["stdout", "stderr"] {
            File::create(self.path().join(name)).unwrap();
        }
        command.stdout(Stdio::null()).stderr(stderr);
        self.spawn(command)
    }

    fn spawn(self, command: &mut Command) -> Cluster {
        let supervisor = command.spawn().unwrap();
        Cluster {
            home: self,
            supervisor,
        }
    }

    /// Keeps a node from coming up while the value lives: a folder stands where it would bind its
    /// socket, so that it ends as soon as it is started.
    pub(crate) fn hold_back(&self, id: u8) -> HeldBack {
        let run_dir = self.run_dir();
        if !run_dir.exists() {
            DirBuilder::new().mode(0o700).create(&run_dir).unwrap();
        }
        let path = run_dir.join(format!("node-{id}.sock"));
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        // Else it could be removed like a socket that was left over.
        fs::write(path.join("held back"), "").unwrap();
        HeldBack { path }
    }
}

/// A node that cannot come up. Dropping this lets it.
pub(crate) struct HeldBack {
    path: PathBuf,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A running `bullpen up`. Killed when dropped, and its nodes with it.
pub(crate) struct Cluster {
    pub(crate) home: Home,
    supervisor: Child,
}

impl Cluster {
    /// Starts `bullpen up` on new directories and waits until all follow the highest node.
    pub(crate) fn start(args: &[&str]) -> Cluster {
        let cluster = Home::new().start(args);
        cluster.await_agreement();
        cluster
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.supervisor.id()).unwrap())
    }

    /// What was logged on standard output so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.home.path().join("stdout")).unwrap()
    }

    /// What was said on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.home.path().join("stderr")).unwrap()
    }

    /// The whole lines of the event log so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.event_lines()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The event log of the run, with its rotated files.
    fn event_lines(&self) -> String {
        let parts = parts::of_run(&self.home.run_dir().join("events.jsonl"));
        let mut text = String::new();
        for mut part in parts.unwrap_or_default() {
            part.file.read_to_string(&mut text).unwrap();
        }
        text
    }

    pub(crate) fn events_named(&self, name: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event"] == name);
        events
    }

    /// Waits until a living coordinator has said that it acts.
    pub(crate) fn await_coordinator(&self) -> Pid {
        eventually(PATIENCE, "a coordinator acts", || {
            let coordinator = self.find_node("coordinator-")?;
            let acts = |event: &Value| event["pid"] == coordinator.as_raw();
            self.events_named("acting")
                .iter()
                .any(acts)
                .then_some(coordinator)
        })
    }

    /// Waits until the highest node that lives acts and all others follow it, and returns its process.
    /// The first that acts may be another: on a busy machine the highest may come last.
    pub(crate) fn await_agreement(&self) -> Pid {
        let highest = eventually(PATIENCE, "all follow the highest node", || {
            let run = Run {
                log: self.log(),
                end_ns: u64::MAX,
                highest_coordinates: true,
                ..Run::default()
            };
            let last = run.log.named("acting").next_back()?;
            run.judge_end().is_empty().then(|| last.process())
        });
        eventually(PATIENCE, "it has its name", || {
            let name = process_name(highest)?;
            name.starts_with("coordinator-").then_some(highest)
        })
    }

    /// The nodes that live, with their process names, in the order of the names.
    pub(crate) fn nodes(&self) -> Vec<(String, Pid)> {
        let mut nodes: Vec<(String, Pid)> = children(self.pid())
            .into_iter()
            .filter_map(|pid| Some((process_name(pid)?, pid)))
            .filter(|(name, _)| name.starts_with("worker-") || name.starts_with("coordinator-"))
            .collect();
        nodes.sort();
        nodes
    }

    /// A node whose process name begins with `prefix`, once there is one: a node that died a moment
    /// ago is not back yet, and a coordinator may not have its name yet.
    pub(crate) fn node_named(&self, prefix: &str) -> Pid {
        eventually(PATIENCE, &format!("a node is called {prefix}"), || {
            self.find_node(prefix)
        })
    }

    /// A node whose process name begins with `prefix`, if there is one now.
    pub(crate) fn find_node(&self, prefix: &str) -> Option<Pid> {
        let mut nodes = self.nodes().into_iter();
        nodes.find_map(|(name, pid)| name.starts_with(prefix).then_some(pid))
    }

    /// Drops a job file the safe way: whole before it gets its name.
    pub(crate) fn drop_job(&self, name: &str, text: &str) {
        let part = self.home.jobs().join(format!(".{name}.tmp"));
        let mut file = File::create(&part).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        fs::rename(part, self.home.jobs().join(format!("{name}.job"))).unwrap();
    }

    /// Waits for the results of a job.
    pub(crate) fn await_results(&self, name: &str, deadline: Duration) -> String {
        let path = self.home.jobs().join("done").join(format!("{name}.txt"));
        eventually(deadline, &format!("{} appears", path.display()), || {
            fs::read_to_string(&path).ok()
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Starts `bullpen up` on the same directories, after the supervisor has ended.
    pub(crate) fn start_again(&mut self, args: &[&str]) {
        let log = |name| {
            let mut options = OpenOptions::new();
            options
                .append(true)
                .open(self.home.path().join(name))
                .unwrap()
        };
        self.supervisor = self
            .home
            .up()
            .args(args)
            .stdout(log("stdout"))
            .stderr(log("stderr"))
            .spawn()
            .unwrap();
    }

    /// Copies the event log of a failed test to where `KEEP_EVENTS` says, to be read there.
    fn keep_events(&self) {
        let Some(folder) = std::env::var_os("KEEP_EVENTS") else {
            return;
        };
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        let name = format!("{test}-{}.jsonl", self.pid());
        let kept = PathBuf::from(folder).join(name);
        match fs::write(&kept, self.event_lines()) {
            Ok(()) => eprintln!("--- its events are in {} ---", kept.display()),
            Err(error) => eprintln!("cannot keep its events in {}: {error}", kept.display()),
        }
    }

    /// How the supervisor has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().unwrap()
    }

    /// Waits for the end of the supervisor.
    pub(crate) fn await_exit(&mut self, deadline: Duration) -> ExitStatus {
        eventually(deadline, "the supervisor ends", || self.ended())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- standard error of the cluster ---\n{}", self.stderr());
            self.keep_events();
        }
        // Its nodes follow it by themselves.
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}
