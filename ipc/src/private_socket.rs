//! Sockets in a run directory, private to their user.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};

/// How a socket's name ends until it listens. No longer than that of the name itself.
pub const UNFINISHED: &str = "new";

/// Binds a Unix socket that listens, close-on-exec and non-blocking, with mode 0600, whatever the umask, in
/// place of a socket that has the name. If somebody listens there, there is no moment without a listener: the
/// new socket is renamed to its name once it listens.
///
/// # Errors
///
/// The path is too long for a socket, the name belongs to something that is not a socket, or the error of the
/// system.
pub fn bind_private(path: &Path) -> io::Result<UnixListener> {
    make_room(path)?;
    let unfinished = path.with_extension(UNFINISHED);
    if make_room(&unfinished)? {
        fs::remove_file(&unfinished)?;
    }
    let listener = bind_new(&unfinished)?;
    fs::rename(&unfinished, path)?;
    Ok(listener)
}

/// Whether there is a socket to replace. A rename would replace a file too.
fn make_room(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The socket gets its mode before it is bound, and passes it to the file. The alternative is
/// the umask, which all threads of a process share.
fn bind_new(path: &Path) -> io::Result<UnixListener> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&fd, Backlog::MAXALLOWABLE)?;
    Ok(UnixListener::from(fd))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use nix::sys::stat::umask;

    use super::*;

    #[test]
    fn whatever_the_umask_a_socket_is_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let before = umask(Mode::empty());
        let bound = bind_private(&path);
        umask(before);
        bound.unwrap();
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_socket_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        fs::write(&path, "no socket").unwrap();
        let error = bind_private(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "no socket");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_socket_is_replaced_without_a_moment_in_which_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node-15.sock");
        let mut listeners = vec![bind_private(&path).unwrap()];
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let dials = scope.spawn(|| {
                let mut dials = 0;
                // A full backlog is not a refusal: a blocking connect would wait.
                while !is_done.load(Ordering::SeqCst) && dials < 100_000 {
                    drop(UnixStream::connect(&path).unwrap());
                    dials += 1;
                }
                dials
            });
            for _ in 0..500 {
                listeners.push(bind_private(&path).unwrap());
                for listener in &listeners {
                    while listener.accept().is_ok() {}
                }
            }
            is_done.store(true, Ordering::SeqCst);
            while !dials.is_finished() {
                while listeners[500].accept().is_ok() {}
            }
            assert!(dials.join().unwrap() > 0);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // The longest name of a node's socket bounds the path of a run directory.
        assert!(path.with_extension(UNFINISHED).as_os_str().len() <= path.as_os_str().len());
    }
}
