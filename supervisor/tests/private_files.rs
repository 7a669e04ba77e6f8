//! What a cluster makes is for its user alone, whatever the umask.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Home, PATIENCE, bullpen, eventually};
use nix::sys::stat::{Mode, umask};

/// Has the command run under a mask.
fn under(command: &mut Command, mask: u32) -> &mut Command {
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            umask(Mode::from_bits_truncate(mask));
            Ok(())
        })
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A command that runs; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn under_an_open_mask_every_socket_and_log_is_closed_to_others() {
    let home = Home::new();
    let mut up = home.up();
    let cluster = home.launch(under(&mut up, 0));
    cluster.await_coordinator();
    assert_eq!(mode(&cluster.home.run_dir()), 0o700);
    let mut sockets = 0;
    for entry in fs::read_dir(cluster.home.run_dir()).unwrap() {
        let entry = entry.unwrap();
        sockets += usize::from(entry.file_type().unwrap().is_socket());
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
    }
    assert_eq!(sockets, 7);
}

#[test]
fn the_folder_of_a_command_is_closed_to_others_under_any_mask() {
    for mask in [0, 0o022, 0o077] {
        for (name, args) in [
            ("compute", &["3000", "--delay", "50ms"][..]),
            ("experiment", &["--rounds", "3"]),
        ] {
            let home = Home::new();
            let mut command = bullpen();
            command
                .arg(name)
                .args(args)
                .env("TMPDIR", home.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut running = Running(under(&mut command, mask).spawn().unwrap());
            eventually(PATIENCE, "it makes its folder", || {
                let entry = fs::read_dir(home.path()).unwrap().next()?.unwrap();
                assert_eq!(mode(&entry.path()), 0o700, "{name} under {mask:o}");
                Some(())
            });
            assert!(running.0.try_wait().unwrap().is_none());
        }
    }
}
