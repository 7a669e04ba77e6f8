use protocol::trace::{ElectionCause, Trace};
use serde_json::Value;

use super::*;

const HEADER: Header = Header {
    node: NodeId(3),
    incarnation: Incarnation(7),
    pid: 41,
    term: Term(2),
    role: Some(RoleName::Candidate),
};

fn lines(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join(FILE_NAME)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_holds_the_header_and_the_events_own_fields_flat() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EventLog::open(dir.path()).unwrap();
    let why = ElectionCause::CoordinatorLost;
    log.write(&HEADER, &Trace::ElectionStarted { why });

    let line = &lines(dir.path())[0];
    assert_eq!(line["node"], 3);
    assert_eq!(line["incarnation"], 7);
    assert_eq!(line["pid"], 41);
    assert_eq!(line["term"], 2);
    assert_eq!(line["role"], "candidate");
    assert_eq!(line["event"], "election_started");
    assert_eq!(line["why"], "coordinator_lost");
    assert!(line["mono_ns"].as_u64().unwrap() > 0);
    let ts = line["ts"].as_str().unwrap();
    assert_eq!(ts.len(), "2026-01-02T03:04:05.000006Z".len(), "{ts}");
    humantime::parse_rfc3339(ts).unwrap();
}

#[test]
fn logs_of_two_processes_append_to_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = EventLog::open(dir.path()).unwrap();
    let mut second = EventLog::open(dir.path()).unwrap();
    first.write_all_lines(&HEADER, &[Trace::Started, Trace::ElectionWon]);
    second.write(&HEADER, &Trace::Acting);
    first.write_all_lines::<Trace>(&HEADER, &[]);
    first.write(&HEADER, &Trace::Gap { ms: 12 });

    let events: Vec<Value> = lines(dir.path())
        .iter()
        .map(|line| line["event"].clone())
        .collect();
    assert_eq!(events, ["started", "election_won", "acting", "gap"]);
}

#[test]
fn a_full_disk_is_counted_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let full = File::options().append(true).open("/dev/full").unwrap();
    let mut log = EventLog::on(full, dir.path().join(FILE_NAME));
    log.write(&HEADER, &Trace::Started);
    log.write_all_lines(&HEADER, &[Trace::ElectionWon, Trace::Acting]);
    let errno = libc::ENOSPC;
    assert_eq!(log.lost(), Lost { events: 3, errno });
}

#[test]
fn another_file_that_has_the_name_is_written_to_when_that_is_told_or_ones_own_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let old = dir.path().join("old");
    let mut log = EventLog::open(dir.path()).unwrap();
    let mut deaf = EventLog::open(dir.path()).unwrap();
    log.write(&HEADER, &Trace::Started);
    std::fs::rename(&path, &old).unwrap();
    log.reopen();
    log.write(&HEADER, &Trace::ElectionWon);
    deaf.write(&HEADER, &Trace::Gap { ms: 1 });
    assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 2);
    assert_eq!(lines(dir.path()).len(), 1);

    std::fs::remove_file(&old).unwrap();
    deaf.write(&HEADER, &Trace::Gap { ms: 2 });
    let events = lines(dir.path());
    assert_eq!(events[0]["event"], "election_won");
    assert_eq!(events[1]["ms"], 2);

    // What cannot be opened again is gone on with.
    std::fs::rename(&path, &old).unwrap();
    std::fs::create_dir(&path).unwrap();
    log.reopen();
    log.write(&HEADER, &Trace::Acting);
    assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 3);
    assert_eq!(log.lost(), Lost::default());
}

#[test]
fn what_is_no_file_is_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let elsewhere = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    EventLog::open(dir.path()).unwrap_err();
    assert!(!elsewhere.exists());

    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // With a reader, which it would otherwise wait for.
    let _reader = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .unwrap();
    EventLog::open(dir.path()).unwrap_err();
}
