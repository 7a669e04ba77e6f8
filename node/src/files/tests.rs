use std::os::unix::fs::symlink;

use super::*;

fn folders() -> (tempfile::TempDir, Folders) {
    let directory = tempfile::tempdir().unwrap();
    let jobs = directory.path().to_owned();
    for folder in ["running", "done", "failed"] {
        fs::create_dir(jobs.join(folder)).unwrap();
    }
    (
        directory,
        Folders {
            renames: Renames::of(&jobs),
            jobs,
            syncs: None,
        },
    )
}

impl Folders {
    fn reply(&self, call: FileCall) -> FileReply {
        let made = self.make(call).map(|(reply, _)| reply);
        made.unwrap_or_else(|error| FileReply::Failed(error.to_string()))
    }
}

fn inbox(name: &str) -> FilePath {
    FilePath::new(Folder::Inbox, name)
}

fn rename_to_running(folders: &Folders, name: &str) -> FileReply {
    folders.reply(FileCall::Rename {
        from: inbox(name),
        to: FilePath::new(Folder::Running, name),
    })
}

/// Both ways to rename, the second as on a mount that refuses the first.
fn both_ways() -> [(tempfile::TempDir, Folders); 2] {
    let (directory, folders) = folders();
    assert_eq!(folders.renames, Renames::InOneStep);
    let (other_directory, mut other) = self::folders();
    other.renames = Renames::ByReservation;
    [(directory, folders), (other_directory, other)]
}

#[test]
fn a_rename_is_won_once_and_clobbers_nothing() {
    for (directory, folders) in both_ways() {
        fs::write(directory.path().join("a"), "new").unwrap();
        fs::write(directory.path().join("running/a"), "old").unwrap();
        assert_eq!(rename_to_running(&folders, "a"), FileReply::Taken);
        assert_eq!(
            fs::read(directory.path().join("running/a")).unwrap(),
            b"old"
        );
        fs::remove_file(directory.path().join("running/a")).unwrap();
        assert_eq!(rename_to_running(&folders, "a"), FileReply::Ok);
        assert_eq!(
            fs::read(directory.path().join("running/a")).unwrap(),
            b"new"
        );
        fs::remove_file(directory.path().join("running/a")).unwrap();
        assert_eq!(rename_to_running(&folders, "a"), FileReply::Absent);
        assert!(
            !directory.path().join("running/a").exists(),
            "no reservation is left"
        );
    }
}

#[test]
fn an_abandoned_reservation_is_removed_by_a_listing_and_nothing_else_is() {
    let (directory, mut folders) = folders();
    folders.renames = Renames::ByReservation;
    let from = directory.path().join("gone");
    let to = directory.path().join("a");
    fs::write(&from, "").unwrap();
    assert_eq!(folders.renames.rename(&from, &to).unwrap(), FileReply::Ok);
    let marker = "bullpen: this name is reserved for a rename\n";
    fs::write(directory.path().join("b"), marker).unwrap();
    fs::write(directory.path().join("c"), marker.to_uppercase()).unwrap();
    let FileReply::Listed(mut names) = folders.reply(FileCall::List(Folder::Inbox)) else {
        panic!("no list")
    };
    names.sort();
    assert_eq!(names, [b"a", b"c"]);
    assert!(!directory.path().join("b").exists());
}

/// A reservation of the name `a`, and what its owner has open while it lives.
fn reserve(directory: &tempfile::TempDir) -> (PathBuf, File) {
    let path = directory.path().join("a");
    fs::write(&path, "bullpen: this name is reserved for a rename\n").unwrap();
    let owner = File::open(&path).unwrap();
    owner.try_lock().unwrap();
    (path, owner)
}

#[test]
fn a_reservation_whose_owner_lives_is_no_file_and_stays() {
    let (directory, mut folders) = folders();
    folders.renames = Renames::ByReservation;
    let (path, owner) = reserve(&directory);
    for _ in 0..2 {
        let listed = folders.reply(FileCall::List(Folder::Inbox));
        assert_eq!(listed, FileReply::Listed(vec![]));
        assert!(path.exists());
    }
    // A text would be the same, whoever brings it.
    let text = path.with_extension("txt");
    fs::rename(&path, &text).unwrap();
    folders.reply(FileCall::List(Folder::Inbox));
    assert!(!text.exists());
    drop(owner);
}

#[test]
fn a_reservation_is_removed_when_its_owner_is_dead() {
    let (directory, mut folders) = folders();
    folders.renames = Renames::ByReservation;
    let (path, owner) = reserve(&directory);
    drop(owner);
    folders.reply(FileCall::List(Folder::Inbox));
    assert!(!path.exists());
}

#[test]
fn a_missing_folder_is_no_missing_file() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "").unwrap();
    fs::remove_dir(directory.path().join("running")).unwrap();
    assert!(matches!(
        rename_to_running(&folders, "a"),
        FileReply::Failed(_)
    ));
    assert_eq!(
        rename_to_running(&folders, "a"),
        FileReply::Ok,
        "the folder was made again"
    );
}

#[test]
fn a_missing_folder_is_made_again_when_it_is_looked_at() {
    let (directory, folders) = folders();
    for (folder, name) in [
        (Folder::Running, "running"),
        (Folder::Done, "done"),
        (Folder::Failed, "failed"),
    ] {
        fs::remove_dir(directory.path().join(name)).unwrap();
        let listed = folders.reply(FileCall::List(folder));
        assert_eq!(listed, FileReply::Listed(vec![]), "{name}");
        assert!(directory.path().join(name).is_dir());
    }
}

/// Takes a lease on a file, which the system revokes with SIGIO when another opens it.
fn lease(file: &File, kind: libc::c_int) {
    // SAFETY: as in `probe`.
    let granted = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    Errno::result(granted).unwrap();
}

#[test]
fn a_file_on_which_somebody_has_a_lease_to_write_is_busy() {
    ignore_broken_leases().unwrap();
    let (directory, folders) = folders();
    let writer = File::create(directory.path().join("a")).unwrap();
    lease(&writer, libc::F_WRLCK);
    let probed = folders.reply(FileCall::Probe(inbox("a")));
    assert_eq!(probed, FileReply::Probed(Probe::Busy));
}

#[test]
fn who_writes_to_a_file_that_is_looked_at_ends_nobody() {
    ignore_broken_leases().unwrap();
    let (directory, _folders) = folders();
    let path = directory.path().join("a");
    fs::write(&path, "").unwrap();
    let looked_at = File::open(&path).unwrap();
    lease(&looked_at, libc::F_RDLCK);
    let mut writing = OpenOptions::new();
    writing.write(true).custom_flags(libc::O_NONBLOCK);
    let refused = writing.open(&path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_file_that_is_open_for_writing_is_busy() {
    let (directory, folders) = folders();
    let writer = File::create(directory.path().join("a")).unwrap();
    assert_eq!(
        folders.reply(FileCall::Probe(inbox("a"))),
        FileReply::Probed(Probe::Busy)
    );
    drop(writer);
    assert_eq!(
        folders.reply(FileCall::Probe(inbox("a"))),
        FileReply::Probed(Probe::Complete)
    );
}

#[test]
fn nothing_but_a_regular_file_is_opened() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    symlink("secret", directory.path().join("link")).unwrap();
    nix::unistd::mkfifo(
        &directory.path().join("fifo"),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    for (name, kind) in [
        ("link", "a symbolic link"),
        ("fifo", "a FIFO"),
        ("running", "a directory"),
    ] {
        let read = FileCall::Read {
            path: inbox(name),
            limit: 100,
        };
        assert_eq!(folders.reply(read), FileReply::NotAFile(kind));
        assert_eq!(
            folders.reply(FileCall::Probe(inbox(name))),
            FileReply::NotAFile(kind)
        );
    }
    assert_eq!(
        folders.reply(FileCall::Probe(inbox("none"))),
        FileReply::Absent
    );
}

#[test]
fn a_read_takes_one_byte_more_than_the_limit_at_most() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "12345").unwrap();
    let read = |limit| {
        folders.reply(FileCall::Read {
            path: inbox("a"),
            limit,
        })
    };
    assert_eq!(read(3), FileReply::Content("1234".into()));
    assert_eq!(read(5), FileReply::Content("12345".into()));
}

#[test]
fn parts_are_written_one_after_the_other_however_many_and_large() {
    let (directory, folders) = folders();
    let many = (0..5_000).map(|i| Bytes::from(format!("{i},"))).collect();
    let sizes = [0, 1, AT_ONCE - 1, AT_ONCE, 0, AT_ONCE + 1, 3 * AT_ONCE, 7];
    let large = (b'a'..)
        .zip(sizes)
        .map(|(byte, size)| vec![byte; size].into());
    for content in [many, large.collect(), Vec::new()] {
        let path = FilePath::new(Folder::Running, "text");
        let write = FileCall::Write {
            path,
            content: content.clone(),
        };
        assert_eq!(folders.reply(write), FileReply::Ok);
        let written = fs::read(directory.path().join("running/text")).unwrap();
        assert!(written == content.concat(), "{} parts", content.len());
    }
}

#[test]
fn a_list_leaves_out_folders() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "").unwrap();
    assert_eq!(
        folders.reply(FileCall::List(Folder::Inbox)),
        FileReply::Listed(vec![b"a".to_vec()])
    );
}

#[test]
fn which_names_exist_is_told_without_following_links() {
    let (directory, folders) = folders();
    symlink("nowhere", directory.path().join("dangling")).unwrap();
    let paths = vec![inbox("dangling"), inbox("none")];
    assert_eq!(
        folders.reply(FileCall::Exist(paths)),
        FileReply::Existing(vec![inbox("dangling")])
    );
}

#[test]
fn a_call_of_an_epoch_that_is_over_is_not_made() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "").unwrap();
    let epoch = |term| Epoch {
        term: protocol::id::Term(term),
        ..Epoch::NONE
    };
    let highest = Mutex::new(epoch(2));
    let (replied, mut replies) = unbounded_channel();
    for (term, expected) in [(1, FileReply::Fenced), (2, FileReply::Ok)] {
        let call = FileCall::Remove(inbox("a"));
        let request = Request {
            epoch: epoch(term),
            tag: FileTag::Sweep,
            call,
            logged: Mark::default(),
        };
        reply(&folders, &highest, &replied, request).unwrap();
        let Ok(Event::FileDone { reply, .. }) = replies.try_recv() else {
            panic!("no reply")
        };
        assert_eq!(reply, expected);
        assert_eq!(directory.path().join("a").exists(), term == 1);
    }
}
