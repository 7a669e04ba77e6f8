use super::*;

#[test]
fn missing_folders_are_made_and_the_directory_is_taken_once() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("jobs");
    let jobs = JobsDir::open(&path).unwrap();
    for name in ["running", "done", "failed"] {
        assert!(path.join(name).is_dir());
    }
    let error = JobsDir::open(&path).unwrap_err();
    assert!(matches!(error, JobsDirError::InUse { .. }), "{error}");

    assert!(is_served(&path));

    drop(jobs);
    assert!(!is_served(&path));
    JobsDir::open(&path).unwrap();
}

#[test]
fn a_file_in_the_way_is_named() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("done"), "").unwrap();
    let error = JobsDir::open(parent.path()).unwrap_err();
    assert!(matches!(error, JobsDirError::Folder(_)), "{error}");
    assert!(error.to_string().contains("/done is a file"), "{error}");
}

#[test]
fn folders_of_the_system_are_refused_and_others_are_not() {
    for path in [
        "/",
        "/etc",
        "/etc/cron.d",
        "/tmp",
        "/usr/share/doc",
        "/usr/local",
        "/home",
    ] {
        let error = check_system(PathBuf::from(path)).unwrap_err();
        let refused = matches!(error, JobsDirError::System { .. });
        assert!(refused, "{path}: {error}");
    }
    for path in [
        "/usr/local/jobs",
        "/jobs",
        "/home/me/jobs",
        "/tmp/jobs",
        "/etcetera",
    ] {
        check_system(PathBuf::from(path)).unwrap();
    }
    let parent = tempfile::tempdir().unwrap();
    let link = parent.path().join("jobs");
    // Nothing can be made there, whatever the code under test does.
    std::os::unix::fs::symlink("/proc", &link).unwrap();
    let error = resolve(&link).unwrap_err();
    assert!(matches!(error, JobsDirError::System { .. }), "{error}");
    let missing = where_it_will_be(&link.join("jobs"));
    assert_eq!(missing, Path::new("/proc/jobs"));
}

#[test]
fn a_link_is_followed_once_unless_a_stranger_made_it() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, link) = (parent.path().join("folder"), parent.path().join("jobs"));
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    assert_eq!(resolve(&link).unwrap(), folder.canonicalize().unwrap());
    if geteuid().is_root() {
        std::os::unix::fs::lchown(&link, Some(4_711), None).unwrap();
        let error = resolve(&link).unwrap_err();
        assert!(error.to_string().contains("user 4711"), "{error}");
    }
}
