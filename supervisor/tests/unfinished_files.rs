//! Files that are dropped before they are what they are to be: empty, not yet readable, written
//! again, and saved by a rename.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use crate::harness::{Home, PATIENCE, eventually};
use crate::trial::Trial;
use nix::unistd::geteuid;

/// The user that the service becomes.
const OWNER: u32 = 64_011;

fn start(home: Home) -> Trial {
    let trial = Trial::begin(home, &[]);
    trial.await_agreement();
    trial
}

#[test]
fn an_empty_file_is_no_job_before_it_was_empty_for_five_seconds() {
    let trial = start(Home::new());
    let jobs = trial.home.jobs();
    let dropped = Instant::now();
    for name in ["filled.job", "empty.job"] {
        fs::write(jobs.join(name), "").unwrap();
    }
    // The next job shows that both were looked at.
    trial.drop_job("next", "1!\n");
    trial.await_results("next", PATIENCE);
    assert!(jobs.join("filled.job").exists());
    fs::write(jobs.join("filled.job"), "10!\n").unwrap();
    assert_eq!(trial.await_results("filled", PATIENCE), "10!=3628800\n");
    let reasons = eventually(PATIENCE, "the rejection", || {
        fs::read_to_string(jobs.join("failed/empty.txt")).ok()
    });
    assert!(dropped.elapsed() >= Duration::from_secs(5));
    assert!(reasons.contains("empty"), "{reasons}");
    trial.conclude();
}

/// As root copies a file that only root may read, and then gives it away.
#[test]
fn a_file_whose_rights_come_a_moment_later_is_a_job() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can drop what the service may not read");
        return;
    }
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(home.jobs()).unwrap();
    chown(home.jobs(), Some(OWNER), Some(OWNER)).unwrap();
    let trial = start(home);
    let jobs = trial.home.jobs();
    let drop = |name: &str| {
        let file = jobs.join(format!(".{name}"));
        fs::write(&file, "10!\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let job = jobs.join(format!("{name}.job"));
        fs::rename(&file, &job).unwrap();
        (job, Instant::now())
    };
    drop("kept");
    let mut given = Vec::new();
    for round in 0..20 {
        let name = format!("given{round}");
        let (job, dropped) = drop(&name);
        std::thread::sleep(Duration::from_millis(round * 5));
        let is_given = chown(job, Some(OWNER), Some(OWNER));
        // A machine that held this test up for longer than a file is waited for shows nothing.
        if dropped.elapsed() < Duration::from_millis(450) {
            is_given.unwrap();
            given.push(name);
        }
    }
    for name in given {
        assert_eq!(trial.await_results(&name, PATIENCE), "10!=3628800\n");
    }
    eventually(PATIENCE, "the rejection", || {
        jobs.join("failed/kept.txt").exists().then_some(())
    });
    trial.conclude();
}

#[test]
fn a_file_that_is_opened_again_at_once_is_one_job_with_all_its_lines() {
    let trial = start(Home::new());
    let jobs = trial.home.jobs();
    for round in 0..100 {
        let name = format!("again{round}");
        let path = jobs.join(format!("{name}.job"));
        fs::write(&path, "3!\n").unwrap();
        // Claimed meanwhile, or not: who opens it by its name before that goes on with that file.
        let again = OpenOptions::new().append(true).open(&path);
        let text = match again {
            Ok(mut file) => {
                std::thread::sleep(Duration::from_micros(round * 20));
                file.write_all(b"4!\n").unwrap();
                "3!=6\n4!=24\n"
            }
            Err(_) => "3!=6\n",
        };
        assert_eq!(trial.await_results(&name, PATIENCE), text, "{name}");
    }
    trial.conclude();
}
