use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use nix::unistd::geteuid;

use super::*;

fn folder() -> (tempfile::TempDir, JobsFolder) {
    let directory = tempfile::tempdir().unwrap();
    let folder = JobsFolder::new(directory.path().to_owned());
    (directory, folder)
}

#[test]
fn missing_folders_are_made_and_then_nothing_is_new() {
    let (directory, mut folder) = folder();
    assert_eq!(folder.refresh().unwrap(), []);
    for name in ["running", "done", "failed"] {
        assert!(directory.path().join(name).is_dir());
    }
    assert_eq!(folder.refresh().unwrap(), []);
}

#[test]
fn a_folder_that_was_replaced_is_noticed_once() {
    let (directory, mut folder) = folder();
    folder.refresh().unwrap();
    fs::rename(directory.path().join("done"), directory.path().join("old")).unwrap();
    fs::create_dir(directory.path().join("done")).unwrap();
    assert_eq!(folder.refresh().unwrap(), [Folder::Done]);
    assert_eq!(folder.refresh().unwrap(), []);
}

#[test]
fn a_link_is_no_folder_however_late_it_comes() {
    let (directory, mut folder) = folder();
    folder.refresh().unwrap();
    for name in ["running", "done", "failed"] {
        let path = directory.path().join(name);
        fs::rename(&path, directory.path().join("old")).unwrap();
        symlink("old", &path).unwrap();
        let error = folder.refresh().unwrap_err().to_string();
        assert!(error.contains("is a symbolic link"), "{error}");
        assert!(error.contains(name), "{error}");
        fs::remove_file(&path).unwrap();
        fs::rename(directory.path().join("old"), &path).unwrap();
        assert_eq!(folder.refresh().unwrap().len(), 1, "it is back");
    }
}

#[test]
fn rights_of_others_to_running_are_taken_away_and_those_to_the_rest_are_not() {
    let (directory, mut folder) = folder();
    for name in ["running", "done", "failed"] {
        let path = directory.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o2777)).unwrap();
    }
    folder.refresh().unwrap();
    let mode = |name| fs::metadata(directory.path().join(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("running"), 0o2711);
    assert_eq!(mode("done"), 0o2777);
    assert_eq!(mode("failed"), 0o2777);
}

#[test]
fn a_running_folder_of_somebody_else_is_refused() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can make a folder of another user");
        return;
    }
    let (directory, mut folder) = folder();
    let running = directory.path().join("running");
    fs::create_dir(&running).unwrap();
    chown(&running, Some(4_711), None).unwrap();
    let error = folder.refresh().unwrap_err().to_string();
    assert!(error.contains("belongs to user 4711"), "{error}");
    assert!(folder.get(Folder::Running).is_err(), "no call is made");
    chown(&running, Some(0), None).unwrap();
    folder.refresh().unwrap();
    assert!(folder.get(Folder::Running).is_ok());
}

#[test]
fn a_directory_that_is_gone_is_not_made_again_and_is_found_when_it_is_back() {
    let (directory, mut folder) = folder();
    folder.refresh().unwrap();
    let away = directory.path().with_extension("away");
    fs::rename(directory.path(), &away).unwrap();
    let error = folder.refresh().unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    assert!(!directory.path().exists());
    fs::rename(&away, directory.path()).unwrap();
    assert_eq!(folder.refresh().unwrap().len(), 4);
}
