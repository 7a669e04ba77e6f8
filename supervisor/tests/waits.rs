//! How long a dropped file waits on each file system, for `docs/folders.md`. Run it with
//! `--nocapture` to see the figures, and with a file system of your own:
//!
//! ```text
//! TEST_FOLDERS=/mnt/nas,/mnt/share cargo test -p supervisor --test all waits:: -- --nocapture --test-threads 1
//! ```

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Home;
use crate::harness::fuse::{Kind, Mount};
use crate::trial::Trial;
use crate::trial::dropping::value;

/// Folders to be measured as well, with commas.
const FOLDERS: &str = "TEST_FOLDERS";
/// So many files are dropped, at moments that have nothing to do with when the service looks.
const DROPPED: u32 = 3;
const APART: Duration = Duration::from_millis(370);
/// What a mount remembers of a folder may be old.
const LONG: Duration = Duration::from_secs(60);

/// Drops files into a folder, one after the other, and says how long it took until the result of each
/// stood in the jobs directory.
fn measure(what: &str, jobs: &Path, dropped_into: &Path) {
    let home = Home::new();
    symlink(jobs, home.jobs()).unwrap();
    let trial = Trial::begin(home, &["--nodes", "2"]);
    trial.await_agreement();
    let mut waited: Vec<Duration> = (0..DROPPED)
        .map(|number| {
            thread::sleep(APART * number);
            let name = format!("ten-{number}");
            let part = dropped_into.join(format!(".{name}.tmp"));
            fs::write(&part, "10!\n").unwrap();
            fs::rename(part, dropped_into.join(format!("{name}.job"))).unwrap();
            let dropped = Instant::now();
            assert_eq!(trial.await_whole(&name, LONG), value(10));
            dropped.elapsed()
        })
        .collect();
    waited.sort_unstable();
    let [median, longest] =
        [waited.len() / 2, waited.len() - 1].map(|index| waited[index].as_millis());
    println!("a dropped file waits on {what}: {median} ms in the middle, {longest} ms at most");
    trial.conclude();
}

fn measure_on(kind: Kind) {
    if let Some(mount) = Mount::new(kind) {
        let jobs = mount.path();
        measure(&format!("{kind:?}, dropped on the mount"), &jobs, &jobs);
    }
}

fn measure_below(kind: Kind) {
    if let Some(mount) = Mount::new(kind) {
        let what = format!("{kind:?}, dropped below the mount");
        measure(&what, &mount.path(), &mount.source());
    }
}

#[test]
fn a_file_on_a_disk_is_done() {
    let folder = tempfile::tempdir().unwrap();
    measure("the disk of temporary files", folder.path(), folder.path());
}

#[test]
fn a_file_in_memory_is_done() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm");
        return;
    };
    measure("tmpfs", folder.path(), folder.path());
}

#[test]
fn a_file_on_a_mount_is_done() {
    let all = [
        Kind::Bindfs,
        Kind::Mergerfs,
        Kind::Unionfs,
        Kind::Sshfs,
        Kind::Encfs,
        Kind::Gocryptfs,
    ];
    all.into_iter().for_each(measure_on);
}

#[test]
fn a_file_below_a_mount_is_done() {
    [Kind::Bindfs, Kind::Mergerfs, Kind::Unionfs]
        .into_iter()
        .for_each(measure_below);
}

#[test]
#[ignore = "takes a minute: sshfs shows what it remembers of a folder for 20 s"]
fn a_file_on_the_server_of_sshfs_is_done() {
    measure_below(Kind::Sshfs);
}

#[test]
fn a_file_in_each_folder_that_was_named_is_done() {
    let Ok(folders) = std::env::var(FOLDERS) else {
        return;
    };
    for parent in folders.split(',') {
        let folder = tempfile::tempdir_in(parent).unwrap();
        measure(parent, folder.path(), folder.path());
    }
}
