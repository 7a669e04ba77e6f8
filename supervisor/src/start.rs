//! What a cluster needs of the system, looked at before anything else: file descriptors, and that this
//! program can be executed once more for each node.

use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::geteuid;

use crate::launch::SELF;

/// File descriptors that a supervisor and a node need at most beside those for each node: the standard
/// streams, folders, sockets, texts and those who ask.
const BASE: usize = 24;
/// What a node has open for each peer: a link in either direction, and for a moment their successors.
const EACH: usize = 4;

/// The threads of a node at most: the loop, arithmetic, files, large texts, standard output, and its keeper; and
/// the processes and threads beside all nodes.
const THREADS: rlim_t = 8;
const OTHER_THREADS: rlim_t = 4;

/// The reason for which a job fails whose text is too large takes less.
const SMALLEST_FILE: rlim_t = 64;

/// Why no cluster can be started here. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Too few descriptors, though their limit was raised as far as it goes.
    #[error(
        "{nodes} nodes need {needed} file descriptors each, and the limit of {limit} leaves {free}: raise the hard \
         limit, with ulimit -n 1024 (in a container: --ulimit nofile=1024), or start fewer nodes with --nodes"
    )]
    Descriptors {
        /// How many nodes there are to be.
        nodes: u8,
        /// What they need.
        needed: usize,
        /// How many there may be, open ones included.
        limit: rlim_t,
        /// How many are not open.
        free: usize,
    },
    /// Too few processes and threads, though their limit was raised as far as it goes.
    #[error(
        "{nodes} nodes need {needed} processes and threads, and the limit of this user is {limit}: raise the hard \
         limit (ulimit -u), or start fewer nodes with --nodes"
    )]
    Processes {
        /// How many nodes there are to be.
        nodes: u8,
        /// What they need.
        needed: rlim_t,
        /// How many there may be, of all that this user does.
        limit: rlim_t,
    },
    /// Not even the reasons for which a job fails could be written.
    #[error(
        "files may have {limit} bytes at most here, and {SMALLEST_FILE} are needed for the texts of small jobs: raise \
         the limit (ulimit -f; in a container: --ulimit fsize)"
    )]
    FileSize {
        /// The limit.
        limit: rlim_t,
    },
    /// The system does not tell which file this process executes.
    #[error(
        "nodes are started by /proc/self/exe, which is not there: mount /proc (mount -t proc proc /proc)"
    )]
    NoProc,
    /// Executed again, this process would be another program.
    #[error(
        "this program was started by the loader {}, so it cannot start its nodes by executing itself: execute \
         the file itself (chmod a+rx makes it executable)",
        loader.display()
    )]
    Loader {
        /// The file that this process executes.
        loader: PathBuf,
    },
}

/// Looks whether a cluster of so many nodes can be started here. Raises the limit of descriptors, for this
/// process and all that it will start, if that helps.
///
/// # Errors
///
/// Why it cannot.
pub fn check(nodes: u8) -> Result<(), StartError> {
    provide_descriptors(nodes)?;
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).unwrap_or((rlim_t::MAX, rlim_t::MAX));
    if limit < SMALLEST_FILE {
        return Err(StartError::FileSize { limit });
    }
    let program = fs::read_link(Path::new(SELF)).map_err(|_| StartError::NoProc)?;
    if is_loader(&program) {
        return Err(StartError::Loader { loader: program });
    }
    Ok(())
}

/// What to do about an error, as the end of a sentence, where the limit of descriptors is too low for
/// anything.
pub(crate) fn advice(error: &io::Error) -> String {
    if error.raw_os_error() != Some(libc::EMFILE) {
        return String::new();
    }
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    format!("; raise the limit of {limit} file descriptors, with ulimit -n 1024")
}

/// Looks whether this user may have as many processes as so many nodes need, and raises the limit of them, as
/// that of descriptors. To be asked by the user as whom the cluster works.
///
/// # Errors
///
/// There are too few for this cluster, even if there is nothing else.
pub fn provide_processes(nodes: u8) -> Result<(), StartError> {
    let needed = OTHER_THREADS + THREADS * rlim_t::from(nodes);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC).unwrap_or((rlim_t::MAX, rlim_t::MAX));
    if soft >= needed || geteuid().is_root() {
        return Ok(());
    }
    if hard < needed || setrlimit(Resource::RLIMIT_NPROC, hard, hard).is_err() {
        return Err(StartError::Processes {
            nodes,
            needed,
            limit: hard,
        });
    }
    tracing::info!("the limit of processes was {soft}, and is {hard} for this cluster");
    Ok(())
}

fn provide_descriptors(nodes: u8) -> Result<(), StartError> {
    let needed = BASE + EACH * usize::from(nodes);
    // Refused for no limit that the kernel knows, as this one.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((rlim_t::MAX, rlim_t::MAX));
    if free_below(soft, needed) == needed {
        return Ok(());
    }
    let is_raised = hard > soft && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let limit = if is_raised { hard } else { soft };
    let free = free_below(limit, needed);
    if free < needed {
        return Err(StartError::Descriptors {
            nodes,
            needed,
            limit,
            free,
        });
    }
    tracing::info!("the limit of file descriptors was {soft}, and is {limit} for this cluster");
    Ok(())
}

/// How many descriptors can be opened, as far as anybody wants to know.
fn free_below(limit: rlim_t, wanted: usize) -> usize {
    let limit = RawFd::try_from(limit).unwrap_or(RawFd::MAX);
    // SAFETY: takes a number, of which it tells whether it is open, and changes nothing.
    let is_free = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == -1;
    (0..limit).filter(is_free).take(wanted).count()
}

/// Whether a program is what loads others, which is a library itself.
fn is_loader(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.contains(".so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_are_told_from_programs() {
        for loader in [
            "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "/lib/ld-2.31.so",
            "/lib/ld-musl-x86_64.so.1",
            "/usr/lib/libc.so",
        ] {
            assert!(is_loader(Path::new(loader)), "{loader}");
        }
        for program in ["/usr/bin/bullpen", "/srv/my.software/bullpen (deleted)"] {
            assert!(!is_loader(Path::new(program)), "{program}");
        }
    }

    #[test]
    fn no_more_is_counted_than_is_wanted() {
        assert_eq!(free_below(rlim_t::MAX, 7), 7);
        assert_eq!(free_below(3, 7), 0, "the standard streams are open");
    }
}
