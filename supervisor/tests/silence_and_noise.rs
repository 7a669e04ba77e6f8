//! What standard error says while something is in the way, and how often.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use crate::harness::{Cluster, Home, PATIENCE, eventually};
use crate::trial::Trial;
use nix::unistd::geteuid;

/// Longer than several tries of what fails.
const SEVERAL_TRIES: Duration = Duration::from_secs(3);
/// The owner of the jobs directory.
const OWNER: u32 = 64_001;

fn start(home: Home) -> Trial {
    start_with(home, &[])
}

fn start_with(home: Home, args: &[&str]) -> Trial {
    let trial = Trial::begin(home, args);
    trial.await_agreement();
    trial
}

fn await_told(trial: &Cluster, sentence: &str) {
    eventually(PATIENCE, sentence, || {
        trial.stderr().contains(sentence).then_some(())
    });
}

fn lines_with(trial: &Cluster, words: &str) -> Vec<String> {
    let stderr = trial.stderr();
    let lines = stderr.lines().filter(|line| line.contains(words));
    lines.map(str::to_owned).collect()
}

fn let_several_tries_pass() {
    let begin = Instant::now();
    eventually(PATIENCE, "several tries", || {
        (begin.elapsed() > SEVERAL_TRIES).then_some(())
    });
}

#[test]
fn a_folder_that_cannot_be_read_is_told_of_once_and_once_when_it_can() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can take a right from another user");
        return;
    }
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(home.jobs()).unwrap();
    chown(home.jobs(), Some(OWNER), None).unwrap();
    let trial = start(home);
    let failed = trial.home.jobs().join("failed");
    eventually(PATIENCE, "failed/", || failed.exists().then_some(()));
    trial.drop_job("first", "10!\n");
    trial.await_results("first", PATIENCE);

    fs::set_permissions(&failed, Permissions::from_mode(0o000)).unwrap();
    // A job of which the coordinator does not know makes it look into all folders.
    fs::write(trial.home.jobs().join("running/found.job"), "11!\n").unwrap();
    await_told(&trial, "cannot list the folder failed/");
    let_several_tries_pass();
    fs::set_permissions(&failed, Permissions::from_mode(0o755)).unwrap();
    await_told(&trial, "the folder failed/ can be listed again");
    trial.await_results("found", PATIENCE);
    for words in ["cannot list", "can be listed again"] {
        let lines = lines_with(&trial, words);
        assert!(
            lines.len() == 1 && lines[0].contains("failed/"),
            "{lines:?}"
        );
    }
    trial.conclude();
}

#[test]
fn a_jobs_directory_that_is_gone_for_a_while_is_told_of_once_and_once_when_it_is_back() {
    let trial = start(Home::new());
    trial.drop_job("first", "10!\n");
    trial.await_results("first", PATIENCE);
    let away = trial.home.path().join("away");
    fs::rename(trial.home.jobs(), &away).unwrap();
    await_told(&trial, "all jobs wait until then");
    let_several_tries_pass();
    fs::rename(&away, trial.home.jobs()).unwrap();
    await_told(&trial, "can be used again");
    trial.drop_job("second", "11!\n");
    trial.await_results("second", PATIENCE);
    let path = trial.home.jobs().display().to_string();
    for words in ["all jobs wait until then", "can be used again"] {
        let lines = lines_with(&trial, words);
        assert!(lines.len() == 1 && lines[0].contains(&path), "{lines:?}");
    }
    assert_eq!(lines_with(&trial, "cannot list"), [""; 0]);
    trial.conclude();
}

#[test]
fn a_rejected_job_says_why_and_where_the_rest_of_the_reasons_is() {
    let trial = start(Home::new());
    trial.drop_job("b\u{202e}d", "abc\nxyz\n");
    await_told(
        &trial,
        "job b\\u{202e}d failed: line 1: \"abc\": expected N or N!",
    );
    let lines = lines_with(&trial, "failed: line 1");
    assert!(
        lines.len() == 1 && lines[0].contains("failed/b\\u{202e}d.txt"),
        "{lines:?}"
    );
    trial.conclude();
}

#[test]
fn a_file_that_is_held_open_is_mentioned_once_and_taken_when_it_is_closed() {
    let trial = start(Home::new());
    let mut open = File::create(trial.home.jobs().join("slow.job")).unwrap();
    open.write_all(b"10!\n").unwrap();
    await_told(
        &trial,
        "slow.job: somebody still writes it; it is taken when",
    );
    assert!(trial.home.jobs().join("slow.job").exists());
    drop(open);
    trial.await_results("slow", PATIENCE);
    assert_eq!(lines_with(&trial, "slow.job: somebody").len(), 1);
    trial.conclude();
}

#[test]
fn a_running_job_that_somebody_deletes_is_told_of_and_no_job_is_lost() {
    let trial = start_with(Home::new(), &["--delay", "50ms"]);
    trial.drop_job("doomed", "100!\n");
    trial.await_job("job_accepted", "doomed");
    fs::remove_file(trial.home.jobs().join("running/doomed.job")).unwrap();
    trial.await_job("job_deleted", "doomed");
    let lines = lines_with(&trial, "doomed");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("its file was taken away while it ran"),
        "{lines:?}"
    );
    assert_eq!(trial.in_folder("done"), [""; 0]);
    trial.drop_job("other", "10!\n");
    trial.await_results("other", PATIENCE);
    trial.conclude();
}
