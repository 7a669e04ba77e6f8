use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn what_an_earlier_run_left_is_cleared_and_the_rest_is_kept() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    fs::create_dir(&path).unwrap();
    for name in ["node-3.sock", "node-5.new", "control.new"] {
        drop(UnixListener::bind(path.join(name)).unwrap());
    }
    fs::write(path.join("node-4.sock"), "no socket").unwrap();
    fs::write(path.join("events.jsonl"), "old\n").unwrap();

    let _run_dir = RunDir::open(&path, Rotation::NEVER).unwrap();
    for name in ["node-3.sock", "node-5.new", "control.new"] {
        assert!(!path.join(name).exists());
    }
    assert!(path.join("node-4.sock").exists());
    assert!(!path.join("events.jsonl").exists());
    assert_eq!(
        fs::read_to_string(path.join("events.jsonl.1")).unwrap(),
        "old\n"
    );
}

#[test]
fn it_is_private_and_taken_once() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let run_dir = RunDir::open(&path, Rotation::NEVER).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    let error = RunDir::open(&path, Rotation::NEVER).unwrap_err();
    assert!(matches!(error, RunDirError::InUse { .. }), "{error}");

    drop(run_dir);
    RunDir::open(&path, Rotation::NEVER).unwrap();
}

#[test]
fn one_that_was_moved_is_not_mistaken_for_what_stands_there_now() {
    let parent = tempfile::tempdir().unwrap();
    let (path, moved) = (parent.path().join("run"), parent.path().join("moved"));
    let run_dir = RunDir::open(&path, Rotation::NEVER).unwrap();
    assert!(run_dir.is_in_place().unwrap());
    fs::rename(&path, &moved).unwrap();
    assert!(!run_dir.is_in_place().unwrap());
    let _other = RunDir::open(&path, Rotation::NEVER).unwrap();
    assert!(!run_dir.is_in_place().unwrap());

    for folder in [&path, &moved] {
        drop(UnixListener::bind(folder.join("node-3.sock")).unwrap());
    }
    drop(run_dir);
    assert!(path.join("node-3.sock").exists());
    assert!(!moved.join("node-3.sock").exists());
}

#[test]
fn its_rights_are_given_back() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let run_dir = RunDir::open(&path, Rotation::NEVER).unwrap();
    assert!(!run_dir.restore_rights().unwrap());
    for mode in [0o000, 0o500, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(run_dir.restore_rights().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn symbolic_links_and_open_folders_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (path, link) = (parent.path().join("run"), parent.path().join("link"));
    fs::create_dir(&path).unwrap();
    symlink(&path, &link).unwrap();
    RunDir::open(&link, Rotation::NEVER).unwrap_err();

    fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
    let error = RunDir::open(&path, Rotation::NEVER).unwrap_err();
    assert!(matches!(error, RunDirError::Writable { .. }), "{error}");
}

#[test]
fn a_path_too_long_for_sockets_is_refused() {
    let error =
        RunDir::open(&PathBuf::from("/").join("x".repeat(95)), Rotation::NEVER).unwrap_err();
    assert!(
        matches!(error, RunDirError::TooLong { excess: 2, .. }),
        "{error}"
    );
}
