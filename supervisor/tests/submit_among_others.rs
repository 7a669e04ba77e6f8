//! `bullpen submit --wait` in a jobs directory in which others put things in its way.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::harness::{self, Home, PATIENCE, command, copy_of_the_binary, eventually};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

const NOBODY: u32 = 65_534;
const FOLDERS: [&str; 3] = ["running", "done", "failed"];

/// Puts something where a text is to stand.
type Put<'a> = &'a dyn Fn(&Path);

/// A `submit --wait` where no cluster is: the test moves the files. Killed when dropped.
struct Submit {
    child: Child,
}

impl Submit {
    fn start(command: &mut Command) -> Submit {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Submit { child }
    }

    /// Waits until it has said something on standard error.
    fn await_words(&mut self, words: &str) {
        let stderr = self.child.stderr.as_mut().unwrap();
        let mut said = String::new();
        while !said.contains(words) {
            let mut buffer = [0; 256];
            let length = stderr.read(&mut buffer).unwrap();
            assert!(length > 0, "it ended: {said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Waits for its end; gives what it said.
    fn end(&mut self) -> (ExitStatus, String, String) {
        let status = eventually(PATIENCE, "submit ends", || self.child.try_wait().unwrap());
        let [mut stdout, mut stderr] = [String::new(), String::new()];
        let child = &mut self.child;
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (status, stdout, stderr)
    }
}

impl Drop for Submit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn home() -> Home {
    let home = Home::new();
    for folder in FOLDERS {
        fs::create_dir_all(home.jobs().join(folder)).unwrap();
    }
    home
}

/// Moves the job, as a cluster would.
fn rename(from: &Path, to: &Path) {
    eventually(PATIENCE, "the job is there", || fs::rename(from, to).ok());
}

#[test]
fn what_is_no_text_is_neither_printed_nor_waited_for() {
    let link = |to: PathBuf| move |text: &Path| symlink(&to, text).unwrap();
    for folder in ["done", "failed"] {
        let home = home();
        let secret = home.path().join("secret");
        fs::write(&secret, "secret\n").unwrap();
        let fifo = |text: &Path| mkfifo(text, Mode::S_IRWXU).unwrap();
        let directory = |text: &Path| fs::create_dir(text).unwrap();
        let ways: [(&str, Put); 3] = [
            ("a symbolic link", &link(secret)),
            ("a FIFO", &fifo),
            ("a directory", &directory),
        ];
        for (number, (what, put)) in ways.into_iter().enumerate() {
            let name = format!("ten-{number}");
            let folder = home.jobs().join(folder);
            put(&folder.join(&name).with_extension("txt"));
            let mut submit = Submit::start(&mut command(
                &home,
                "submit",
                &["10", "--wait", "--name", &name],
            ));
            let file = format!("{name}.job");
            rename(&home.jobs().join(&file), &folder.join(&file));
            let (status, stdout, stderr) = submit.end();
            assert_eq!(stdout, "");
            assert_eq!(status.code(), Some(3), "{stderr}");
            assert!(stderr.contains(&format!("is {what} and not")), "{stderr}");
            assert!(!stderr.contains("secret"), "{stderr}");
        }
    }
}

#[test]
fn links_in_the_place_of_folders_are_not_followed() {
    let home = home();
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("10.txt"), "secret\n").unwrap();
    fs::remove_dir(home.jobs().join("failed")).unwrap();
    symlink(&elsewhere, home.jobs().join("failed")).unwrap();
    let mut submit = Submit::start(&mut command(&home, "submit", &["10", "--wait"]));
    rename(&home.jobs().join("10.job"), &elsewhere.join("10.job"));
    // The job is nowhere now; it comes back.
    let done = home.jobs().join("done");
    submit.await_words("failed");
    fs::write(done.join("10.txt"), "10!=3628800\n").unwrap();
    fs::rename(elsewhere.join("10.job"), done.join("10.job")).unwrap();
    let (status, stdout, stderr) = submit.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(stdout, "10!=3628800\n");
}

#[test]
fn folders_that_this_user_may_not_read_are_no_failure() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can work as somebody else");
        return;
    }
    let home = home();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    // Anybody may hand in a job, and see no other.
    fs::set_permissions(home.jobs(), Permissions::from_mode(0o1733)).unwrap();
    let folder = |name: &str, mode| {
        let path = home.jobs().join(name);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let running = folder("running", 0o700);
    let done = folder("done", 0o711);
    let binary = copy_of_the_binary(home.path());
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={NOBODY}"))
        .arg(format!("--regid={NOBODY}"))
        .arg("--clear-groups")
        .arg(binary)
        .args(["submit", "10", "--wait", "--jobs"])
        .arg(home.jobs());
    let mut submit = Submit::start(&mut command);
    rename(&home.jobs().join("10.job"), &running.join("10.job"));
    // It has looked into all folders when it has told of one.
    submit.await_words("cannot look into");
    let mut text = File::create(done.join("10.txt")).unwrap();
    std::io::Write::write_all(&mut text, b"10!=3628800\n").unwrap();
    fs::rename(running.join("10.job"), done.join("10.job")).unwrap();
    let (status, stdout, stderr) = submit.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(stdout, "10!=3628800\n");
}

#[test]
fn root_hands_in_a_job_as_the_owner_of_the_folder() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can work as somebody else");
        return;
    }
    let home = home();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    chown(home.jobs(), Some(NOBODY), Some(NOBODY)).unwrap();
    let output = harness::invoke(&home, "submit", &["10"]);
    assert_eq!(harness::stdout(&output), "10\n");
    let found = fs::metadata(home.jobs().join("10.job")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&found), NOBODY);
}
