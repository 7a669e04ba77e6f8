use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::Path;

use protocol::decimal::Decimal;
use protocol::file::{Content, FilePath, Probe};

use super::text::AT_ONCE;
use super::*;
use crate::rename::{Instead, rename_by_link, rename_over_reservation, sweep_reservation};

fn folders() -> (tempfile::TempDir, JobsFolder) {
    let directory = tempfile::tempdir().unwrap();
    let mut folders = JobsFolder::new(directory.path().to_owned());
    folders.refresh().unwrap();
    (directory, folders)
}

trait Reply {
    fn reply(&self, call: FileCall) -> FileReply;
}

impl Reply for JobsFolder {
    fn reply(&self, call: FileCall) -> FileReply {
        let made = make(self, call, &CallProgress::default()).and_then(|(reply, unsynced)| {
            if let Some(Unsynced::Text(mut text)) = unsynced {
                text.write(&CallProgress::default())?;
            }
            Ok(reply)
        });
        made.unwrap_or_else(|error| failed(&error))
    }
}

fn inbox(name: &str) -> FilePath {
    FilePath::new(Folder::Inbox, name)
}

fn running(name: &str) -> FilePath {
    FilePath::new(Folder::Running, name)
}

fn rename_to_running(folders: &JobsFolder, name: &str) -> FileReply {
    folders.reply(FileCall::Rename {
        from: inbox(name),
        to: running(name),
    })
}

fn write(content: Vec<Content>, like: FilePath) -> FileCall {
    FileCall::Write {
        path: running(".text"),
        part: ".text.part".into(),
        content,
        like,
    }
}

#[test]
fn a_rename_is_won_once_and_clobbers_nothing() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "new").unwrap();
    fs::write(directory.path().join("running/a"), "old").unwrap();
    assert_eq!(rename_to_running(&folders, "a"), FileReply::Taken);
    let content = || fs::read(directory.path().join("running/a")).unwrap();
    assert_eq!(content(), b"old");
    fs::remove_file(directory.path().join("running/a")).unwrap();
    assert_eq!(rename_to_running(&folders, "a"), FileReply::Ok);
    assert_eq!(content(), b"new");
    fs::remove_file(directory.path().join("running/a")).unwrap();
    assert_eq!(rename_to_running(&folders, "a"), FileReply::Absent);
}

#[test]
fn a_rename_over_a_reservation_is_won_once_and_clobbers_nothing() {
    for instead in [Instead::Reserve, Instead::ReserveBy(b".reservation.tmp")] {
        let (directory, folders) = folders();
        let rename = |name: &str| {
            let from = folders.get(Folder::Inbox).unwrap();
            let to = folders.get(Folder::Running).unwrap();
            rename_over_reservation((from, name.as_bytes()), (to, name.as_bytes()), instead)
        };
        let target = directory.path().join("running/a");
        fs::write(directory.path().join("a"), "new").unwrap();
        fs::write(&target, "old").unwrap();
        assert_eq!(
            rename("a").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&target).unwrap(), b"old");
        fs::remove_file(&target).unwrap();
        rename("a").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        fs::remove_file(&target).unwrap();
        assert_eq!(rename("a").unwrap_err().kind(), io::ErrorKind::NotFound);
        let left = fs::read_dir(directory.path().join("running")).unwrap();
        assert_eq!(left.count(), 0, "no reservation is left");
    }
}

/// Whether a name of the inbox is a reservation; one that is abandoned is removed.
fn is_reserved(folders: &JobsFolder, path: &Path) -> bool {
    let name = path.file_name().unwrap_or(OsStr::new(""));
    sweep_reservation(folders.get(Folder::Inbox).unwrap(), name.as_bytes())
}

/// Where renames that replace nothing cannot be had in one step.
#[test]
fn a_text_that_gets_its_name_as_a_second_one_replaces_nothing() {
    let (directory, folders) = folders();
    let path = |name| directory.path().join(name);
    let held = |folder| folders.get(folder).unwrap();
    let give = || {
        let hidden = (held(Folder::Running), b".text".as_slice());
        rename_by_link(hidden, (held(Folder::Done), b"a.txt"))
    };
    fs::write(path("running/.text"), "1!=1\n").unwrap();
    assert_eq!(give(), Ok(()));
    assert_eq!(fs::read(path("done/a.txt")).unwrap(), b"1!=1\n");
    assert!(!path("running/.text").exists());
    assert_eq!(give(), Err(Errno::ENOENT));
    fs::write(path("running/.text"), "2!=2\n").unwrap();
    assert_eq!(give(), Err(Errno::EEXIST));
    assert_eq!(fs::read(path("done/a.txt")).unwrap(), b"1!=1\n");
    assert!(path("running/.text").exists());
}

#[test]
fn an_abandoned_reservation_is_removed_and_nothing_else_is() {
    let (directory, folders) = folders();
    let marker = "bullpen: this name is reserved for a rename\n";
    let [reserved, other] = ["b", "c"].map(|name| directory.path().join(name));
    fs::write(&reserved, marker).unwrap();
    fs::write(&other, marker.to_uppercase()).unwrap();
    assert!(is_reserved(&folders, &reserved) && !is_reserved(&folders, &other));
    assert!(!reserved.exists() && other.exists());
}

#[test]
fn a_reservation_whose_owner_lives_stays_unless_it_is_for_a_text() {
    let (directory, folders) = folders();
    let path = directory.path().join("a");
    fs::write(&path, "bullpen: this name is reserved for a rename\n").unwrap();
    let owner = File::open(&path).unwrap();
    owner.try_lock().unwrap();
    for _ in 0..2 {
        assert!(is_reserved(&folders, &path));
        assert!(path.exists());
    }
    // A text would be the same, whoever brings it.
    let text = path.with_extension("txt");
    fs::rename(&path, &text).unwrap();
    assert!(is_reserved(&folders, &text));
    assert!(!text.exists());
    drop(owner);
}

#[test]
fn a_missing_folder_is_no_missing_file() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "").unwrap();
    fs::remove_dir(directory.path().join("running")).unwrap();
    let reply = rename_to_running(&folders, "a");
    assert!(matches!(reply, FileReply::Failed(_)), "{reply:?}");
    assert!(directory.path().join("a").exists());
}

/// Takes a lease on a file, which the system revokes with SIGIO when another opens it.
fn lease(file: &File, kind: libc::c_int) {
    // SAFETY: takes numbers only, and the file is open.
    let granted = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    Errno::result(granted).unwrap();
}

#[test]
fn a_file_on_which_somebody_has_a_lease_to_write_is_kept() {
    ignore_broken_leases().unwrap();
    let (directory, folders) = folders();
    let writer = File::create(directory.path().join("a")).unwrap();
    lease(&writer, libc::F_WRLCK);
    let probed = folders.reply(FileCall::Probe(inbox("a")));
    assert_eq!(probed, FileReply::Kept);
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
    let read = || {
        folders.reply(FileCall::Read {
            path: inbox("a"),
            limit: 100,
            whole: true,
        })
    };
    assert_eq!(read(), FileReply::Probed(Probe::Busy));
    (&writer).write_all(b"10!").unwrap();
    drop(writer);
    assert_eq!(
        folders.reply(FileCall::Probe(inbox("a"))),
        FileReply::Probed(Probe::Complete)
    );
    assert_eq!(read(), FileReply::Content("10!".into()));
}

#[test]
fn a_file_with_nothing_in_it_is_told_from_a_complete_one() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "").unwrap();
    let probed = folders.reply(FileCall::Probe(inbox("a")));
    assert_eq!(probed, FileReply::Probed(Probe::Empty));
}

#[test]
fn a_name_that_does_not_fit_never_will() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("a"), "10!").unwrap();
    let long = inbox(&"n".repeat(300));
    for call in [
        FileCall::Exist(vec![long.clone()]),
        FileCall::Rename {
            from: inbox("a"),
            to: long,
        },
    ] {
        let reply = folders.reply(call);
        assert!(matches!(reply, FileReply::Never(_)), "{reply:?}");
    }
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
            whole: true,
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
            whole: false,
        })
    };
    assert_eq!(read(3), FileReply::Content("1234".into()));
    assert_eq!(read(5), FileReply::Content("12345".into()));
}

#[test]
fn parts_are_written_one_after_the_other_however_many_and_large() {
    let (directory, folders) = folders();
    let text = |text: Vec<u8>| Content::Text(text.into());
    let many = (0..5_000).map(|i| text(format!("{i},").into())).collect();
    let sizes = [0, 1, AT_ONCE - 1, AT_ONCE, 0, AT_ONCE + 1, 3 * AT_ONCE, 7];
    let large = (b'a'..)
        .zip(sizes)
        .map(|(byte, size)| text(vec![byte; size]));
    let digits = 1_234_567_890_123_456_u64.to_le_bytes().repeat(AT_ONCE / 8);
    let number = vec![
        Content::Number(Decimal::new(digits.into(), 5)),
        text(b"\n".to_vec()),
    ];
    for content in [many, large.collect(), number, Vec::new()] {
        let write = write(content.clone(), running("none.job"));
        assert_eq!(folders.reply(write), FileReply::Ok);
        let written = fs::read(directory.path().join("running/.text")).unwrap();
        let expected: Vec<u8> = content.iter().flat_map(Content::pieces).flatten().collect();
        assert!(written == expected, "{} parts", content.len());
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

/// A worker on a jobs directory, and what it tells.
fn worker(directory: &Path) -> (Worker, UnboundedReceiver<Notice>) {
    let (sender, notices) = unbounded_channel();
    let worker = Worker {
        calls: CallProgress::default(),
        folders: JobsFolder::new(directory.to_owned()),
        looked: None,
        trouble: None,
        syncs: None,
        highest: Arc::new(Mutex::new(Epoch::NONE)),
        sender,
        unread: Arc::default(),
    };
    (worker, notices)
}

fn serve(worker: &mut Worker, term: u64, call: FileCall) {
    let epoch = Epoch {
        term: protocol::id::Term(term),
        ..Epoch::NONE
    };
    // As if some time had passed.
    worker.looked = None;
    let request = Request {
        epoch,
        tag: FileTag::Sweep,
        call,
        logged: Mark::default(),
    };
    worker.calls.queued();
    worker.serve(request).unwrap();
}

fn reply(notices: &mut UnboundedReceiver<Notice>) -> FileReply {
    match notices.try_recv() {
        Ok(Notice::Reply(Event::FileDone { reply, .. })) => reply,
        other => panic!("no reply: {other:?}"),
    }
}

#[test]
fn who_was_deposed_while_it_wrote_a_text_does_not_call_it_complete() {
    let (directory, folders) = folders();
    let call = write(vec!["5!=120\n".into()], running("a.job"));
    let made = make(&folders, call, &CallProgress::default());
    let Ok((_, Some(Unsynced::Text(mut text)))) = made else {
        panic!("no text is begun")
    };
    let mut highest = Epoch::NONE;
    highest.term = protocol::id::Term(2);
    text.fence = Some(Fence {
        epoch: Epoch::NONE,
        highest: Arc::new(Mutex::new(highest)),
    });
    assert!(text.write(&CallProgress::default()).is_err());
    let running = fs::read_dir(directory.path().join("running")).unwrap();
    assert_eq!(running.count(), 0);
}

#[test]
fn a_call_of_an_epoch_that_is_over_is_not_made() {
    let (directory, _) = folders();
    fs::write(directory.path().join("a"), "").unwrap();
    let (mut worker, mut notices) = worker(directory.path());
    worker.highest.lock().unwrap().term = protocol::id::Term(2);
    for (term, expected) in [(1, FileReply::Fenced), (2, FileReply::Ok)] {
        serve(&mut worker, term, FileCall::Remove(inbox("a")));
        assert_eq!(reply(&mut notices), expected);
        assert_eq!(directory.path().join("a").exists(), term == 1);
    }
}

#[test]
fn no_call_is_made_in_a_folder_that_was_replaced_by_a_link() {
    let (directory, _) = folders();
    let elsewhere = tempfile::tempdir().unwrap();
    let (mut worker, mut notices) = worker(directory.path());
    serve(&mut worker, 1, FileCall::List(Folder::Running));
    assert_eq!(reply(&mut notices), FileReply::Listed(vec![]));
    let folder = directory.path().join("running");
    fs::rename(&folder, directory.path().join("old")).unwrap();
    symlink(elsewhere.path(), &folder).unwrap();
    let text = || write(vec!["5!=120\n".into()], running("a.job"));
    serve(&mut worker, 1, text());
    assert_eq!(reply(&mut notices), FileReply::Unusable);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);

    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    serve(&mut worker, 1, text());
    assert!(matches!(
        notices.try_recv(),
        Ok(Notice::Replaced(Folder::Running))
    ));
    assert_eq!(reply(&mut notices), FileReply::Ok);
    assert!(folder.join(".text").exists());
}

#[test]
fn a_text_overwrites_nothing_that_stands_under_its_name() {
    let (directory, folders) = folders();
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let text = directory.path().join("running/.text");
    for name in [".text.part", ".text"] {
        let name = directory.path().join("running").join(name);
        let fifo = || nix::unistd::mkfifo(&name, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let in_the_way: [&dyn Fn(); 3] = [
            &|| symlink(&victim, &name).unwrap(),
            &|| fs::hard_link(&victim, &name).unwrap(),
            &fifo,
        ];
        for put in in_the_way {
            put();
            let written = folders.reply(write(vec!["5!=120\n".into()], running("a.job")));
            assert_eq!(written, FileReply::Ok);
            assert_eq!(fs::read(&text).unwrap(), b"5!=120\n");
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            fs::remove_file(&text).unwrap();
        }
    }
}

#[test]
fn a_text_is_as_readable_as_the_file_of_its_job_and_no_more() {
    let (directory, folders) = folders();
    let job = directory.path().join("running/a.job");
    fs::write(&job, "5!").unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(&job, None, Some(4_711)).unwrap();
    }
    let text = directory.path().join("running/.text");
    for mode in [0o600, 0o640, 0o644, 0o664, 0o755, 0o400, 0o4777] {
        fs::set_permissions(&job, Permissions::from_mode(mode)).unwrap();
        let written = folders.reply(write(vec!["5!=120\n".into()], running("a.job")));
        assert_eq!(written, FileReply::Ok);
        let found = fs::metadata(&text).unwrap();
        let expected = (mode & 0o444) | 0o600;
        assert_eq!(found.mode() & 0o7777, expected, "{mode:o}");
        assert_eq!(found.gid(), fs::metadata(&job).unwrap().gid());
    }
    fs::remove_file(&job).unwrap();
    folders.reply(write(vec!["5!=120\n".into()], running("a.job")));
    assert_eq!(fs::metadata(&text).unwrap().mode() & 0o777, 0o600);
}

/// Gives a file an access control list: its owner may do all, user 4711 may read, and neither the group
/// nor anybody else. Its mode shows 0640 then. False where the file system has no such lists.
fn add_list(path: &Path) -> bool {
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 4, 4_711),
        (0x04, 0, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: both names are C strings, and the list is as long as is said.
    let set = unsafe {
        libc::setxattr(
            path.as_ptr(),
            c"system.posix_acl_access".as_ptr(),
            list.as_ptr().cast(),
            list.len(),
            0,
        )
    };
    set == 0
}

#[test]
fn a_list_of_the_jobs_file_lets_its_group_read_nothing() {
    let (directory, folders) = folders();
    let job = directory.path().join("running/a.job");
    fs::write(&job, "5!").unwrap();
    if !add_list(&job) {
        eprintln!("skipped: this file system has no access control lists");
        return;
    }
    assert_eq!(fs::metadata(&job).unwrap().mode() & 0o777, 0o640);
    folders.reply(write(vec!["5!=120\n".into()], running("a.job")));
    let text = fs::metadata(directory.path().join("running/.text")).unwrap();
    assert_eq!(text.mode() & 0o777, 0o600);
}

#[test]
fn a_file_of_several_names_is_not_read_before_its_job_has_ended() {
    let (directory, folders) = folders();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    for folder in ["", "running", "done"] {
        let link = directory.path().join(folder).join("a.job");
        fs::hard_link(directory.path().join("secret"), link).unwrap();
    }
    let read = |path| {
        folders.reply(FileCall::Read {
            path,
            limit: 100,
            whole: false,
        })
    };
    let FileReply::NotAFile(kind) = read(running("a.job")) else {
        panic!("it is read")
    };
    assert!(kind.contains("more than one name"), "{kind}");
    let probed = folders.reply(FileCall::Probe(inbox("a.job")));
    assert!(matches!(probed, FileReply::Probed(Probe::Unknown { .. })));
    let ended = read(FilePath::new(Folder::Done, "a.job"));
    assert_eq!(ended, FileReply::Content("secret".into()));
}

#[test]
fn a_text_that_leaves_no_room_for_others_is_not_begun() {
    let (directory, folders) = folders();
    let room = |bytes| folders.reply(FileCall::Room { bytes });
    assert_eq!(room(100 << 10), FileReply::Ok);
    let FileReply::Full(reason) = room(1 << 60) else {
        panic!("so much fits nowhere")
    };
    assert!(
        reason.contains(&directory.path().display().to_string()),
        "{reason}"
    );
}
