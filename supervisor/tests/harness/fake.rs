//! A control socket behind which no supervisor is, and commands that must not wait for what they find.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use super::{PATIENCE, eventually};

/// Answers every request in the run directory with the same line, until the test ends.
pub(crate) fn serve(run_dir: &Path, answer: &str) {
    let socket = run_dir.join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // As whoever wants to be asked would do.
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let answer = format!("{answer}\n");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let _ = BufReader::new(&stream).read_line(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
}

/// Runs a command to its end, which has to come. What it says must fit into a pipe.
pub(crate) fn run_to_its_end(command: &mut Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(PATIENCE, "the command ends", || child.try_wait().unwrap())
    }));
    if let Err(late) = ended {
        let _ = child.kill();
        let _ = child.wait();
        std::panic::resume_unwind(late);
    }
    child.wait_with_output().unwrap()
}
