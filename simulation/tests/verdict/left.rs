//! What a simulated run leaves, as files: the lines of its event log, formatted by what formats them in
//! production, and its jobs directory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use laboratory::log::{Log, Settings};
use laboratory::verdict::{Dropped, Run, Violation};
use node::event_log::{FILE_NAME, Header, Moment, add_lines};
use protocol::config::Preemption;
use protocol::file::Folder;
use protocol::time::Time;
use simulation::event_log::{Told, Write};
use simulation::run::RunArtifacts;
use tempfile::TempDir;

use crate::both::{Judged, both_ways};

/// `CLOCK_MONOTONIC` when the virtual time begins, and the time of day.
const BOOTED_FOR: Duration = Duration::from_secs(1_000);
const TIME_OF_DAY: Duration = Duration::from_secs(1_767_225_600);

/// The files of a run.
pub(crate) struct Files {
    pub(crate) dir: TempDir,
    pub(crate) log: PathBuf,
    pub(crate) run: Run,
}

impl Files {
    /// Writes them, and reads the log.
    pub(crate) fn of(left: &RunArtifacts) -> Files {
        let dir = tempfile::tempdir().unwrap();
        let jobs = dir.path().join("jobs");
        write_jobs(left, &jobs);
        let text = text(&left.writes);
        let log = dir.path().join(FILE_NAME);
        fs::write(&log, &text).unwrap();
        let dropped = left.jobs.iter().map(|job| {
            let name = job.file.strip_suffix(".job").unwrap();
            Dropped::new(name, job.content.to_vec())
        });
        let mut read = Log::parse(&text);
        read.about.settings = Some(Settings {
            suspect_after: Some(left.config.suspect_after),
            ..Settings::default()
        });
        let run = Run {
            log: read,
            jobs,
            end_ns: mono_ns(left.asked_to_end),
            highest_coordinates: left.config.preemption != Preemption::Never,
            operation_deadline: Some(left.config.operation_deadline),
            dropped: dropped.collect(),
            left_in_inbox: Vec::new(),
            cut_short: left.stops_early,
            is_shared: false,
        };
        Files { dir, log, run }
    }

    /// What the verdict holds against the run. How it stood in the end counts where it was not cut short.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        match self.run.cut_short {
            true => both_ways(&self.run, Run::judge_course),
            false => self.run.judged(),
        }
    }

    /// Leaves them there for somebody to look at.
    pub(crate) fn keep(self) -> PathBuf {
        let _ = self.dir.keep();
        self.log
    }
}

fn mono_ns(time: Time) -> u64 {
    u64::try_from(BOOTED_FOR.as_nanos()).unwrap() + time.0
}

fn text(writes: &[Write]) -> Vec<u8> {
    let mut text = Vec::new();
    for write in writes {
        let header = Header {
            node: write.life.node,
            incarnation: write.life.incarnation,
            pid: 4_000 + i32::try_from(write.life.incarnation.0).unwrap(),
            term: write.term,
            role: write.role,
        };
        let since = Duration::from_nanos(write.clock.0);
        let at = Moment {
            ts: SystemTime::UNIX_EPOCH + TIME_OF_DAY + since,
            mono_ns: mono_ns(write.clock),
        };
        match &write.told {
            Told::ByNode(traces) => add_lines(&mut text, at, &header, traces).unwrap(),
            Told::BySupervisor(fate) => add_lines(&mut text, at, &header, &[fate]).unwrap(),
        }
    }
    text
}

fn write_jobs(left: &RunArtifacts, jobs: &Path) {
    for folder in ["running", "done", "failed"] {
        fs::create_dir_all(jobs.join(folder)).unwrap();
    }
    for (path, file) in &left.files {
        let folder = match path.folder {
            Folder::Inbox => jobs.to_owned(),
            Folder::Running => jobs.join("running"),
            Folder::Done => jobs.join("done"),
            Folder::Failed => jobs.join("failed"),
        };
        fs::write(folder.join(OsStr::from_bytes(&path.name)), &file.content).unwrap();
    }
}
