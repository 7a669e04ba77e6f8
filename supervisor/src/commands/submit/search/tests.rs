use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

/// A jobs directory with all folders, and a job in it.
struct Jobs {
    folder: tempfile::TempDir,
    dropped: Dropped,
}

impl Jobs {
    fn with_job(name: &str) -> Jobs {
        let folder = tempfile::tempdir().unwrap();
        for stage in &STAGES[1..] {
            fs::create_dir(folder.path().join(stage.name())).unwrap();
        }
        let path = folder.path().join(format!("{name}.job"));
        fs::write(&path, "10!\n").unwrap();
        let file = File::open(path).unwrap();
        let dropped = Dropped {
            name: name.to_owned(),
            found: file.metadata().unwrap(),
            file,
            text: "10!\n".to_owned(),
        };
        Jobs { folder, dropped }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn found(&self, search: &mut Search<'_>) -> Option<String> {
        let jobs = JobsFolder::open(self.folder.path()).unwrap();
        let last = Place {
            stage: Stage::Inbox,
            file_name: format!("{}.job", self.dropped.name).into(),
        };
        let place = search.find(&jobs, &last, &mut Warnings::default())?;
        let file_name = place.file_name.to_str().unwrap();
        Some(format!("{}/{file_name}", place.stage.name()))
    }
}

#[test]
fn a_file_is_found_under_whatever_name_it_was_moved_to() {
    let jobs = Jobs::with_job("ten");
    let mut search = Search::of(&jobs.dropped);
    assert_eq!(jobs.found(&mut search).unwrap(), "./ten.job");

    fs::rename(jobs.path("ten.job"), jobs.path("done/ten.7.job")).unwrap();
    // Another of the old name is not taken for it.
    fs::write(jobs.path("ten.job"), "10!\n").unwrap();
    search.not_before = Instant::now();
    assert_eq!(jobs.found(&mut search).unwrap(), "done/ten.7.job");
    assert!(!search.is_removed().unwrap());

    fs::remove_file(jobs.path("done/ten.7.job")).unwrap();
    search.not_before = Instant::now();
    assert_eq!(jobs.found(&mut search), None);
    assert!(!search.is_removed().unwrap(), "a mount may be renaming it");
    search.nowhere_since = Instant::now().checked_sub(NOWHERE_AFTER);
    assert!(search.is_removed().unwrap());
}

/// As a mount shows a file that was removed while somebody has it open.
#[test]
fn what_a_mount_hides_is_no_job() {
    let jobs = Jobs::with_job("ten");
    let mut search = Search::of(&jobs.dropped);
    fs::rename(
        jobs.path("ten.job"),
        jobs.path(".fuse_hidden0000000300000001"),
    )
    .unwrap();
    assert_eq!(jobs.found(&mut search), None);
}

#[test]
fn a_file_of_any_name_is_found_after_a_while() {
    let jobs = Jobs::with_job("ten");
    let mut search = Search::of(&jobs.dropped);
    fs::rename(jobs.path("ten.job"), jobs.path("failed/eleven.job")).unwrap();
    assert_eq!(jobs.found(&mut search), None);
    search.by_content = true;
    search.not_before = Instant::now();
    assert_eq!(jobs.found(&mut search).unwrap(), "failed/eleven.job");
}

/// As where the inode of a file is another after a rename below the mount.
#[test]
fn a_file_whose_inode_is_nowhere_is_known_by_its_name_time_and_content() {
    let jobs = Jobs::with_job("ten");
    let mut search = Search::of(&jobs.dropped);
    let modified = jobs.dropped.found.modified().unwrap();
    let put = |name: &str, text: &str, age: u64| {
        let path = jobs.path(name);
        fs::write(&path, text).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(modified - Duration::from_secs(age))
            .unwrap();
    };
    fs::rename(jobs.path("ten.job"), jobs.path("elsewhere")).unwrap();
    put("done/ten.2.job", "11!\n", 0);
    put("done/ten.3.job", "10!\n", 60);
    put("done/tenor.job", "10!\n", 0);
    put("done/ten.x.job", "10!\n", 0);
    symlink(jobs.path("elsewhere"), jobs.path("done/ten.4.job")).unwrap();
    search.by_content = true;
    assert_eq!(jobs.found(&mut search), None);
    put("done/ten.5.6.job", "10!\n", 1);
    search.not_before = Instant::now();
    assert_eq!(jobs.found(&mut search).unwrap(), "done/ten.5.6.job");
}

#[test]
fn a_name_that_was_cut_is_still_likely() {
    let jobs = Jobs::with_job(&"x".repeat(180));
    let search = Search::of(&jobs.dropped);
    let likely = |stem: &str| search.is_likely(OsStr::new(&format!("{stem}.job")));
    assert!(likely(&"x".repeat(180)));
    assert!(likely(&format!("{}-0a1b2c.2", "x".repeat(90))));
    assert!(!likely(&"x".repeat(59)));
}

#[test]
fn what_is_no_folder_is_passed_over() {
    let jobs = Jobs::with_job("ten");
    let mut search = Search::of(&jobs.dropped);
    let elsewhere = tempfile::tempdir().unwrap();
    for folder in ["running", "done"] {
        fs::remove_dir(jobs.path(folder)).unwrap();
    }
    fs::write(jobs.path("running"), "").unwrap();
    fs::rename(jobs.path("ten.job"), jobs.path("failed/ten.job")).unwrap();
    // A link to where the file is as well.
    fs::hard_link(
        jobs.path("failed/ten.job"),
        elsewhere.path().join("ten.job"),
    )
    .unwrap();
    symlink(elsewhere.path(), jobs.path("done")).unwrap();
    assert_eq!(jobs.found(&mut search).unwrap(), "failed/ten.job");
}
