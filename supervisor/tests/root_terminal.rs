//! What the owner of a jobs directory gets of root who starts the service in a terminal: nothing of
//! the terminal but that it is written to, nothing of the environment, and no way into the nodes.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::{
    self, Home, PATIENCE, children, eventually, kill_node, open_files, process_name, run,
    stat_field,
};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::unistd::{Gid, Pid, Uid, User, geteuid, getgrouplist};

/// A user with an entry in every user database.
const NOBODY: u32 = 65_534;
/// One with none.
const STRANGER: u32 = 54_321;
const SECRET: &str = "SECRET_OF_ROOT";
/// A descriptor that root's shell has left open.
const STRAY: i32 = 77;

/// `bullpen up` in a terminal of root's own, on the jobs directory of another user; killed when
/// dropped.
struct Session {
    home: Home,
    supervisor: Child,
    terminal: File,
    /// Where the terminal is, such as `/dev/pts/3`.
    path: PathBuf,
    /// What was written to it so far.
    shown: String,
}

impl Session {
    /// None if this is not root, who alone can become somebody else.
    fn begin(owner: u32, group: u32) -> Option<Session> {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can work as somebody else");
            return None;
        }
        let home = Home::new();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(home.jobs()).unwrap();
        chown(home.jobs(), Some(owner), Some(group)).unwrap();
        let pty = openpty(None, None).unwrap();
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let path = fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        let mut up = home.up();
        up.env(SECRET, "open sesame");
        take_terminal(&mut up, &pty.slave);
        let supervisor = up.spawn().unwrap();
        let mut session = Session {
            home,
            supervisor,
            terminal: pty.master.into(),
            path,
            shown: String::new(),
        };
        session.await_coordinator(None);
        Some(session)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.supervisor.id().try_into().unwrap())
    }

    /// Reads what is on the terminal, so that nobody waits to write to it.
    fn shown(&mut self) -> &str {
        loop {
            let mut ready = [PollFd::new(
                std::os::fd::AsFd::as_fd(&self.terminal),
                PollFlags::POLLIN,
            )];
            poll(&mut ready, PollTimeout::ZERO).unwrap();
            if !ready[0].any().unwrap() {
                return &self.shown;
            }
            let mut buffer = [0; 4096];
            let Ok(count) = self.terminal.read(&mut buffer) else {
                // Nobody has it open any more.
                return &self.shown;
            };
            self.shown += &String::from_utf8_lossy(&buffer[..count]);
        }
    }

    /// Waits for six nodes, one of which has said that it acts, and is not `other`.
    fn await_coordinator(&mut self, other: Option<Pid>) -> Pid {
        eventually(PATIENCE, "six nodes, one of which coordinates", || {
            if self.supervisor.try_wait().unwrap().is_some() {
                panic!("it has ended: {}", self.shown());
            }
            self.shown();
            let nodes = self.nodes();
            let (_, found) = nodes
                .iter()
                .find(|(name, _)| name.starts_with("coordinator-"))?;
            let log = fs::read_to_string(self.home.run_dir().join("events.jsonl")).ok()?;
            let acts = |line: &str| {
                line.contains(r#""event":"acting""#) && line.contains(&format!(r#""pid":{found},"#))
            };
            (nodes.len() == 6 && Some(*found) != other && log.lines().any(acts)).then_some(*found)
        })
    }

    /// The nodes that live and have named themselves.
    fn nodes(&self) -> Vec<(String, Pid)> {
        let named = |pid| Some((process_name(pid)?, pid));
        let nodes = children(self.pid()).into_iter().filter_map(named);
        nodes
            .filter(|(name, _)| name.starts_with("worker-") || name.starts_with("coordinator-"))
            .collect()
    }

    fn await_text(&mut self, text: &str) {
        eventually(PATIENCE, text, || self.shown().contains(text).then_some(()));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

/// Makes the command the first process of a session with this terminal, as a log-in does.
fn take_terminal(command: &mut Command, terminal: &OwnedFd) {
    let end = || Stdio::from(terminal.try_clone().unwrap());
    command.stdin(end()).stdout(end()).stderr(end());
    // SAFETY: the closure makes system calls alone, and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            // And a copy without close-on-exec.
            if libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 || libc::dup2(0, STRAY) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// A line of `/proc/PID/FILE`, without its name, blanks as single ones.
fn field(pid: Pid, file: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let values = line.unwrap().trim_start_matches(':').split_whitespace();
    values.collect::<Vec<_>>().join(" ")
}

/// How a descriptor was opened.
fn mode_of(pid: Pid, number: i32) -> OFlag {
    let flags = field(pid, &format!("fdinfo/{number}"), "flags");
    OFlag::from_bits_truncate(i32::from_str_radix(&flags, 8).unwrap()) & OFlag::O_ACCMODE
}

/// What the owner of the jobs directory may not read.
fn assert_closed_to(user: u32, pid: Pid) {
    for file in ["environ", "maps", "fd"] {
        let path = format!("/proc/{pid}/{file}");
        let mut look = Command::new("setpriv");
        look.args(["--reuid", &user.to_string(), "--regid", &user.to_string()]);
        look.args(["--clear-groups", "--inh-caps=-all"]);
        look.args(["sh", "-c", r#"ls "$0/" || cat "$0""#, &path]);
        let seen = run(&mut look);
        assert_ne!(seen.status.code(), Some(0), "{path} is open to {user}");
        let complaint = harness::stderr(&seen);
        assert!(complaint.contains("denied"), "{complaint}");
    }
}

#[test]
fn a_node_has_no_terminal_and_no_session_of_roots() {
    let Some(session) = Session::begin(NOBODY, NOBODY) else {
        return;
    };
    for (name, pid) in session.nodes() {
        assert_eq!(stat_field(pid, 6), pid.as_raw(), "{name} leads its session");
        assert_eq!(stat_field(pid, 7), 0, "{name} has no controlling terminal");
    }
}

#[test]
fn the_owner_cannot_look_into_the_processes() {
    let Some(session) = Session::begin(NOBODY, NOBODY) else {
        return;
    };
    assert_closed_to(NOBODY, session.pid());
    for (_, pid) in session.nodes() {
        assert_closed_to(NOBODY, pid);
    }
}

#[test]
fn a_node_gets_nothing_of_roots_environment_but_what_it_needs() {
    let Some(session) = Session::begin(NOBODY, NOBODY) else {
        return;
    };
    let known = [
        "RUST_BACKTRACE",
        "RUST_LIB_BACKTRACE",
        "LD_LIBRARY_PATH",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "TERM",
    ];
    for (name, pid) in session.nodes() {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        for variable in String::from_utf8(environment)
            .unwrap()
            .split_terminator('\0')
        {
            let (key, _) = variable.split_once('=').unwrap();
            assert!(known.contains(&key), "{name} has {key}");
        }
    }
}

#[test]
fn a_terminal_is_passed_on_to_be_written_to_alone() {
    let Some(mut session) = Session::begin(NOBODY, NOBODY) else {
        return;
    };
    for (name, pid) in session
        .nodes()
        .into_iter()
        .chain([("bullpen".to_owned(), session.pid())])
    {
        let open = open_files(pid);
        let terminals = open.iter().filter(|(_, path)| *path == session.path);
        let numbers: Vec<i32> = terminals.map(|(number, _)| *number).collect();
        // What the supervisor was given beside its standard streams it keeps, to itself.
        let known: &[i32] = if pid == session.pid() {
            &[1, 2, STRAY]
        } else {
            &[1, 2]
        };
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, known, "{name} has {open:?}");
        for number in [1, 2] {
            assert_eq!(mode_of(pid, number), OFlag::O_WRONLY, "{number} of {name}");
        }
        assert!(
            open.contains(&(0, PathBuf::from("/dev/null"))),
            "{name}: {open:?}"
        );
    }
    let part = session.home.jobs().join(".ten.tmp");
    fs::write(&part, "10!\n").unwrap();
    fs::rename(part, session.home.jobs().join("ten.job")).unwrap();
    session.await_text("10!=3628800");
    session.await_text("working as user 65534:65534");
}

#[test]
fn a_node_has_nothing_open_but_what_it_works_with() {
    let Some(session) = Session::begin(NOBODY, NOBODY) else {
        return;
    };
    let ours = [session.home.jobs(), session.home.run_dir()];
    for (name, pid) in session.nodes() {
        for (number, path) in open_files(pid)
            .into_iter()
            .filter(|(number, _)| *number > 2)
        {
            let text = path.display().to_string();
            // By the pipe its keeper learns of its end.
            let is_kernels = ["socket:", "pipe:"]
                .iter()
                .any(|kind| text.starts_with(kind))
                || ["eventpoll", "eventfd"]
                    .iter()
                    .any(|kind| text.starts_with("anon_inode:") && text.contains(kind));
            assert!(
                is_kernels || ours.iter().any(|folder| path.starts_with(folder)),
                "{name} has {number}: {text}"
            );
        }
    }
}

#[test]
fn nodes_bear_their_names_and_change_them_at_a_takeover() {
    let Some(mut session) = Session::begin(NOBODY, NOBODY) else {
        return;
    };
    assert_eq!(process_name(session.pid()).as_deref(), Some("bullpen"));
    let names = |session: &Session| -> BTreeSet<String> {
        session.nodes().into_iter().map(|(name, _)| name).collect()
    };
    let whole: BTreeSet<String> = (0..5)
        .map(|id| format!("worker-{id}"))
        .chain(["coordinator-5".to_owned()])
        .collect();
    eventually(PATIENCE, "node 5 coordinates", || {
        (names(&session) == whole).then_some(())
    });
    let coordinator = session.await_coordinator(None);
    kill_node(coordinator);
    let next = session.await_coordinator(Some(coordinator));
    assert!(process_name(next).unwrap().starts_with("coordinator-"));
    eventually(PATIENCE, "node 5 coordinates again", || {
        session.shown();
        (names(&session) == whole).then_some(())
    });
}

#[test]
fn the_groups_are_those_of_the_user_database() {
    // The group of the folder is root's.
    let Some(session) = Session::begin(NOBODY, 0) else {
        return;
    };
    let user = User::from_uid(Uid::from_raw(NOBODY)).unwrap().unwrap();
    let name = std::ffi::CString::new(user.name).unwrap();
    let expected: HashSet<Gid> = getgrouplist(&name, user.gid).unwrap().into_iter().collect();
    assert!(!expected.contains(&Gid::from_raw(0)));
    for pid in children(session.pid()).into_iter().chain([session.pid()]) {
        let group = user.gid;
        let gids = field(pid, "status", "Gid");
        assert_eq!(gids, format!("{group} {group} {group} {group}"));
        let groups = field(pid, "status", "Groups");
        let groups: HashSet<Gid> = groups
            .split(' ')
            .map(|group| Gid::from_raw(group.parse().unwrap()))
            .collect();
        assert_eq!(groups, expected);
    }
    let run_dir = fs::metadata(session.home.run_dir()).unwrap();
    assert_eq!((run_dir.uid(), run_dir.gid()), (NOBODY, user.gid.as_raw()));
}

#[test]
fn of_a_user_without_an_entry_the_folder_tells_the_group() {
    let Some(session) = Session::begin(STRANGER, STRANGER + 1) else {
        return;
    };
    assert_eq!(User::from_uid(Uid::from_raw(STRANGER)).unwrap(), None);
    for (name, pid) in session.nodes() {
        assert!(field(pid, "status", "Uid").starts_with("54321 "), "{name}");
        assert!(field(pid, "status", "Gid").starts_with("54322 "), "{name}");
        assert_eq!(field(pid, "status", "Groups"), "54322", "{name}");
    }
}
