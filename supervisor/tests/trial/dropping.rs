//! Dropping files of any kind, and what comes back.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use laboratory::job_files::names;
use malachite_base::num::arithmetic::traits::Factorial;
use malachite_nz::natural::Natural;

use super::Trial;
use crate::harness::{PATIENCE, eventually};

/// The line that a result file has for n!.
pub(crate) fn value(n: u64) -> String {
    format!("{n}!={}\n", Natural::factorial(n))
}

impl Trial {
    /// Drops content, whole, under a file name of any kind.
    pub(crate) fn drop_file(&self, file_name: &[u8], content: &[u8]) {
        let part = self.home.path().join("part");
        fs::write(&part, content).unwrap();
        fs::rename(part, self.home.jobs().join(OsStr::from_bytes(file_name))).unwrap();
    }

    /// Waits for a job to fail and gives its reasons.
    pub(crate) fn await_failure(&self, name: &str) -> String {
        let path = self.home.jobs().join(format!("failed/{name}.txt"));
        eventually(PATIENCE, &format!("{} appears", path.display()), || {
            fs::read_to_string(&path).ok()
        })
    }

    /// Waits until nothing is left in `running/`: hidden texts are swept after the job is done.
    pub(crate) fn await_swept(&self) {
        eventually(PATIENCE, "running/ is swept", || {
            self.in_folder("running").is_empty().then_some(())
        });
    }

    /// The names in a folder of the jobs directory, sorted.
    pub(crate) fn in_folder(&self, folder: &str) -> Vec<String> {
        names(&self.home.jobs().join(folder))
    }
}
