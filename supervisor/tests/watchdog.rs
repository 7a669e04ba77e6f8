//! A node that runs and does not answer is killed; one that a user has stopped is not.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::harness::{Cluster, eventually, is_alive};
use libc::{c_int, c_void, socklen_t};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The limit, and time for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_node_that_runs_and_is_not_heard_is_killed_and_a_stopped_one_is_not() {
    let cluster = Cluster::start(&[]);
    let (stopped, mute) = (
        cluster.node_named("worker-0"),
        cluster.node_named("worker-2"),
    );
    // Silent for longer than the other one.
    kill(stopped, Signal::SIGSTOP).unwrap();
    if let Err(error) = drop_reports_of(&cluster, 2) {
        // Containers may forbid the look into another process that this takes.
        eprintln!("not tested: {error}");
        return;
    }
    let exited = eventually(PATIENCE, "the mute one is killed", || {
        cluster.events_named("node_exited").pop()
    });
    assert_eq!(exited["pid"], mute.as_raw());
    assert_eq!(exited["signal"], "SIGKILL");
    assert!(cluster.stderr().contains("has not answered for 10s"));
    eventually(PATIENCE, "it is back", || {
        cluster.find_node("worker-2").filter(|pid| *pid != mute)
    });
    assert!(is_alive(stopped));
    kill(stopped, Signal::SIGCONT).unwrap();
    assert_eq!(cluster.events_named("node_exited").len(), 1);
}

/// Lets what the node says vanish at the supervisor's end of its control link. The links were made
/// in the order of the IDs, and the last one is that of what watches the jobs directory.
fn drop_reports_of(cluster: &Cluster, id: usize) -> io::Result<()> {
    let mut fds: Vec<c_int> = fs::read_dir(format!("/proc/{}/fd", cluster.pid()))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    fds.sort_unstable();
    let mut links = Vec::new();
    for fd in fds {
        let fd = borrow_from(cluster.pid(), fd)?;
        if is_control_link(&fd) {
            links.push(fd);
        }
    }
    assert_eq!(links.len(), 7);
    // One instruction: of every packet keep nothing.
    let mut keep_nothing = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut keep_nothing,
    };
    // SAFETY: the program and its one instruction are valid for reads for the whole call.
    check(unsafe {
        libc::setsockopt(
            links[id].as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast::<c_void>(),
            size_of::<libc::sock_fprog>() as socklen_t,
        )
    })?;
    Ok(())
}

/// A copy of another process's descriptor.
fn borrow_from(pid: Pid, fd: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only, and gives a new descriptor.
    let process = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) } as c_int)?;
    // SAFETY: just opened, and nobody else's.
    let process = unsafe { OwnedFd::from_raw_fd(process) };
    // SAFETY: takes numbers only, and gives a new descriptor.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) } as c_int;
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(check(copy)?) })
}

fn is_control_link(fd: &OwnedFd) -> bool {
    let mut kind: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: `kind` and `length` are valid for writes for the whole call, and agree.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast::<c_void>(),
            &raw mut length,
        )
    };
    result == 0 && kind == libc::SOCK_SEQPACKET
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
