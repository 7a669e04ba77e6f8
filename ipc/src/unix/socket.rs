//! The system calls behind links.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::task::Poll;

use bytes::BufMut;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket,
};
use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};

use crate::bind_private;

/// Connects and sends the first frame. Never blocks: a Unix socket connects at once or not.
pub(crate) fn dial(path: &Path, hello: &[u8]) -> io::Result<UnixStream> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    send_whole(&fd, hello)?;
    let stream = UnixStream::from_std(<OwnedFd as Into<std::os::unix::net::UnixStream>>::into(fd))?;
    check_user(&stream)?;
    Ok(stream)
}

/// Sends a first frame on a connection that carries nothing yet, so that there is room for it.
pub(crate) fn send_whole(socket: &impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let sent = send(socket.as_fd().as_raw_fd(), bytes, flags)?;
    if sent < bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// Appends what is in the socket now, asking the kernel instead of a poll that may be behind; 0 at
/// the end.
pub(crate) fn receive_now(socket: &impl AsFd, into: &mut impl BufMut) -> Poll<io::Result<usize>> {
    let mut buffer = [0; 16 << 10];
    let room = buffer.len().min(into.remaining_mut());
    let fd = socket.as_fd().as_raw_fd();
    match recv(fd, &mut buffer[..room], MsgFlags::MSG_DONTWAIT) {
        Ok(n) => {
            into.put_slice(&buffer[..n]);
            Poll::Ready(Ok(n))
        }
        Err(Errno::EAGAIN) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error.into())),
    }
}

/// Whether the process at the other end belongs to this user or to root.
pub(crate) fn check_user(stream: &UnixStream) -> io::Result<()> {
    let user = Uid::from_raw(stream.peer_cred()?.uid());
    if user == Uid::effective() || user.is_root() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("the peer belongs to user {user}"),
    ))
}

/// Binds a socket private to this user, in place of one that was bound there before.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    UnixListener::from_std(bind_private(path)?)
}

/// Whether a socket can be bound to that path.
pub(crate) fn fits(path: &Path) -> bool {
    UnixAddr::new(path).is_ok()
}

/// Whether a failed dial means that the peer is dead: nobody listens, or a dying
/// process closed its end. Other errors (no descriptor left, a full backlog) prove nothing, and neither
/// does a missing path: a dead process leaves its socket behind, so somebody has removed that of a live
/// one.
pub(crate) fn means_death(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ECONNREFUSED | Errno::ECONNRESET | Errno::EPIPE)
    )
}
