//! Processes that stand still, and nobody has sent them a signal.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::{PATIENCE, eventually};

/// A group of processes that no signal ends while it is frozen: one of the first version of control
/// groups, since SIGKILL gets through to those of the second.
pub(crate) struct Freezer {
    group: PathBuf,
}

impl Freezer {
    /// None, with a message, where there is none to be had.
    pub(crate) fn new(test: &str) -> Option<Freezer> {
        let name = format!("bullpen-test-{test}-{}", std::process::id());
        let group = Path::new("/sys/fs/cgroup/freezer").join(name);
        if let Err(error) = fs::create_dir(&group) {
            eprintln!("skipped: no freezer (cgroup v1) can be had here: {error}");
            return None;
        }
        Some(Freezer { group })
    }

    pub(crate) fn freeze(&self, pids: &[Pid]) {
        for pid in pids {
            fs::write(self.group.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        fs::write(self.group.join("freezer.state"), "FROZEN").unwrap();
        eventually(PATIENCE, "they are frozen", || {
            let state = fs::read_to_string(self.group.join("freezer.state")).unwrap();
            (state == "FROZEN\n").then_some(())
        });
    }

    /// Lets them go, to what they were told meanwhile.
    pub(crate) fn thaw(&self) {
        fs::write(self.group.join("freezer.state"), "THAWED").unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.thaw();
        eventually(PATIENCE, "the group is empty", || {
            fs::remove_dir(&self.group).ok()
        });
    }
}
