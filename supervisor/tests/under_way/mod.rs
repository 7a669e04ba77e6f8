//! Experiments, run to their end or watched while they run.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::{PATIENCE, bullpen, children, eventually};

/// For all rounds of a short experiment, and the work that is left then.
const LONG: Duration = Duration::from_secs(120);

/// `bullpen experiment` with a temporary directory of its own, short pauses and little work.
pub(crate) fn experiment(temporary: &TempDir, args: &[&str]) -> Command {
    let mut command = bullpen();
    let quick = ["--every", "50ms", "--n", "400", "--delay", "5ms"];
    command
        .env("TMPDIR", temporary.path())
        .arg("experiment")
        .args(quick)
        .args(args);
    command
}

pub(crate) fn temporary() -> TempDir {
    tempfile::Builder::new()
        .prefix("bullpen-test-")
        .tempdir()
        .unwrap()
}

/// An experiment under way, with what it says in files.
pub(crate) struct UnderWay {
    pub(crate) temporary: TempDir,
    output: TempDir,
    pub(crate) child: Child,
}

impl UnderWay {
    pub(crate) fn start(args: &[&str]) -> UnderWay {
        let (temporary, output) = (temporary(), temporary());
        let file = |name| Stdio::from(File::create(output.path().join(name)).unwrap());
        let child = experiment(&temporary, args)
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .process_group(0)
            .spawn()
            .unwrap();
        UnderWay {
            temporary,
            output,
            child,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// A folder of its cluster, once it is there.
    pub(crate) fn await_folder(&self, name: &str) -> PathBuf {
        eventually(PATIENCE, &format!("{name} is there"), || {
            let folder = fs::read_dir(self.temporary.path()).unwrap().next()?;
            let path = folder.unwrap().path().join(name);
            path.exists().then_some(path)
        })
    }

    pub(crate) fn await_file_in(&self, folder: &Path, ending: &str) -> PathBuf {
        eventually(PATIENCE, "a file appears", || {
            let mut files = fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().path());
            files.find(|path| path.to_string_lossy().ends_with(ending))
        })
    }

    /// The supervisor and the nodes.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let supervisors = children(self.pid());
        let nodes = supervisors.iter().flat_map(|&pid| children(pid));
        nodes.chain(supervisors.iter().copied()).collect()
    }

    pub(crate) fn await_exit(&mut self) -> ExitStatus {
        eventually(LONG, "the experiment ends", || {
            self.child.try_wait().unwrap()
        })
    }

    pub(crate) fn said(&self, name: &str) -> String {
        fs::read_to_string(self.output.path().join(name)).unwrap()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
