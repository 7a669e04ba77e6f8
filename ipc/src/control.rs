//! The link between the supervisor and each process that it starts: one MessagePack message per packet.
//!
//! Both ends are non-blocking and close-on-exec. Nothing is queued here: messages carry state, so a sender
//! that finds the link full keeps the latest state and tries again.

#[cfg(test)]
mod tests;

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt,
};
use protocol::deaths::Deaths;
use protocol::event::ChildState;
use protocol::id::{Incarnation, NodeId};
use protocol::status::Status;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest encoded message, in bytes: 128 KiB. A status of 256 jobs with names of 200 bytes
/// takes less than half of it.
pub const MAX_PACKET: usize = 128 << 10;

/// Requested size of the socket's send buffer, in bytes. The kernel refuses a packet that is longer
/// than the buffer, and may grant less than requested, but by default at least twice [`MAX_PACKET`].
const SEND_BUFFER: usize = 4 * MAX_PACKET;

/// A byte with which no MessagePack value begins, so no message either.
const NOT_EXECUTED: u8 = 0xc1;

/// One end of the link. `Out` is what it sends, `In` what it receives.
#[derive(Debug)]
pub struct ControlLink<Out, In> {
    fd: OwnedFd,
    words: PhantomData<fn(Out) -> In>,
}

/// The supervisor's end.
pub type SupervisorEnd = ControlLink<ToNode, ToSupervisor>;
/// A node's end.
pub type NodeEnd = ControlLink<ToSupervisor, ToNode>;

/// The supervisor's end of the link to the process that watches the jobs directory.
pub type WatchedEnd = ControlLink<(), WatchReport>;
/// The watch process's end.
pub type WatchEnd = ControlLink<WatchReport, ()>;

/// A message from the supervisor to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// Every node has bound its socket, or its time is up: begin.
    Start,
    /// The latest state of every node.
    Hints(Vec<Hint>),
    /// The cluster is stopping: no elections from now on.
    Stopping,
    /// A signal has stopped the node, so its peers may have missed it.
    WasStopped,
    /// Something may have been dropped into the jobs directory. Sent to the coordinator.
    InboxChanged,
    /// How many nodes died of their own work; the latest message counts.
    Deaths(Deaths),
    /// The path of the event log now leads to another file: open it again.
    ReopenLog,
    /// The path of the node's socket is missing or leads to something else: bind it again.
    BindAgain,
}

/// The state of one node's process, as its parent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Which node.
    pub node: NodeId,
    /// Its incarnation; for [`ChildState::Gone`] the last one.
    pub incarnation: Incarnation,
    /// Its state.
    pub state: ChildState,
}

/// The supervisor's messages since the node last read them, merged. Only the latest state counts: outdated
/// hints are about dead incarnations, and a node that was stopped would elect, win and act among them.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The cluster is stopping. Handled before the rest, so that no peer's end is taken for a crash.
    pub stopping: bool,
    /// A signal has stopped this node.
    pub was_stopped: bool,
    hints: Vec<Hint>,
    /// The start signal was given. Handled after the hints, so that the election begins among live nodes.
    pub start: bool,
    /// Something may have been dropped into the jobs directory, one or more times.
    pub inbox_changed: bool,
    /// Deaths that jobs caused, if any were reported. Handled before the start.
    pub deaths: Option<Deaths>,
    /// The event log must be opened again.
    pub reopen_log: bool,
    /// The socket must be bound again.
    pub bind_again: bool,
}

impl News {
    /// Adds one message.
    pub fn merge(&mut self, message: ToNode) {
        match message {
            ToNode::Start => self.start = true,
            ToNode::Stopping => self.stopping = true,
            ToNode::WasStopped => self.was_stopped = true,
            ToNode::Hints(hints) => self.hints = hints,
            ToNode::InboxChanged => self.inbox_changed = true,
            ToNode::Deaths(deaths) => self.deaths.get_or_insert_default().merge(deaths),
            ToNode::ReopenLog => self.reopen_log = true,
            ToNode::BindAgain => self.bind_again = true,
        }
    }

    /// The latest state of every node. The coordinator's comes last: if it is lost, the states of the others
    /// are then known.
    pub fn hints(&mut self, coordinator: Option<NodeId>) -> Vec<Hint> {
        let mut hints = std::mem::take(&mut self.hints);
        hints.sort_by_key(|hint| Some(hint.node) == coordinator);
        hints
    }
}

/// A message from a node to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// The node's socket is bound, or bound again.
    Bound,
    /// The node cannot start, or its peers cannot reach it. One sentence, which the supervisor shows to the
    /// user: a node that is restarted again and again would print it each time.
    Trouble(String),
    /// The node's view.
    Status {
        /// Its role, knowledge and holdings.
        status: Status,
        /// The peak of the bytes of products in its copy of the checkpoint, in this incarnation.
        peak_held_bytes: u64,
    },
    /// Events of this incarnation that could not be written to the event log.
    EventsLost {
        /// Their total number.
        count: u64,
        /// The error of the last failed write.
        errno: i32,
    },
    /// The injected fault with this number in the specifications fires now; this may be the last
    /// message of this incarnation.
    FaultFired(usize),
    /// A job has ended, and its text has its name: commands that wait for a job check the files.
    JobEnded,
    /// This process is about to abort, by itself.
    Aborting,
}

/// A message from the process that watches the jobs directory. Each one also means that something may have been
/// dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchReport {
    /// How it detects dropped files.
    pub mode: WatchMode,
    /// Why it does not use events, although it was not asked to poll. One sentence.
    pub why: Option<String>,
}

/// How dropped files are detected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchMode {
    /// By file system events.
    Notify,
    /// By polling.
    #[default]
    Poll,
}

/// The result of sending a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the socket.
    Done,
    /// The socket is full; nothing was sent.
    WouldBlock,
}

/// The result of [`ControlLink::receive`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<In> {
    /// A message.
    Message(In),
    /// Nothing, for now.
    Empty,
    /// The other end is closed, and all its messages have been received.
    Closed,
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The message is longer than [`MAX_PACKET`], or than what the kernel takes as one packet.
    #[error("a control message of {0} bytes is too long for one packet")]
    TooLong(usize),
    /// The other end is closed.
    #[error("the other end of the control link is closed")]
    Closed,
    /// The message cannot be encoded.
    #[error("a control message cannot be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// The packet is not a message; the next one may be.
    #[error("a control message cannot be decoded: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// The child could not execute its program, and has exited.
    #[error("the system does not execute the program: {0}")]
    NotExecuted(io::Error),
    /// The socket failed.
    #[error("control link: {0}")]
    Io(#[from] io::Error),
}

/// A new link: the supervisor's end, and the child's, to be inherited. Both are close-on-exec;
/// clear it on the child's end only in the child, or siblings inherit it.
///
/// # Errors
///
/// The kernel refuses a socket pair.
pub fn pair<Out, In>() -> io::Result<(ControlLink<Out, In>, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    )?;
    Ok((ControlLink::from_fd(ours)?, theirs))
}

/// The packet with which a forked child reports that its program cannot be executed, with the error number.
/// Allocates nothing.
pub fn not_executed(errno: i32) -> [u8; 5] {
    let [a, b, c, d] = errno.to_le_bytes();
    [NOT_EXECUTED, a, b, c, d]
}

impl<Out, In> ControlLink<Out, In> {
    /// Takes one end of a [`pair`], perhaps inherited; makes it non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// The descriptor is not open, or is not a socket.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        setsockopt(&fd, sockopt::SndBuf, &SEND_BUFFER)?;
        Ok(ControlLink {
            fd,
            words: PhantomData,
        })
    }
}

impl<Out: Serialize, In> ControlLink<Out, In> {
    /// An encoded message, for a sender that cannot encode it when it is needed.
    ///
    /// # Errors
    ///
    /// [`ControlError::Encode`].
    pub fn packet(message: &Out) -> Result<Vec<u8>, ControlError> {
        Ok(rmp_serde::to_vec(message)?)
    }

    /// Sends a message, or nothing at all when the socket is full. Never blocks.
    ///
    /// # Errors
    ///
    /// [`ControlError::TooLong`], [`ControlError::Closed`], or the error of the socket.
    pub fn send(&self, message: &Out) -> Result<Sent, ControlError> {
        let packet = Self::packet(message)?;
        if packet.len() > MAX_PACKET {
            return Err(ControlError::TooLong(packet.len()));
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            return match send(self.fd.as_raw_fd(), &packet, flags) {
                Ok(_) => Ok(Sent::Done),
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => Ok(Sent::WouldBlock),
                Err(Errno::EMSGSIZE) => Err(ControlError::TooLong(packet.len())),
                Err(Errno::EPIPE | Errno::ECONNRESET) => Err(ControlError::Closed),
                Err(errno) => Err(io::Error::from(errno).into()),
            };
        }
    }
}

impl<Out, In: DeserializeOwned> ControlLink<Out, In> {
    /// The next message, if there is one. Never blocks.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotExecuted`], [`ControlError::Malformed`], [`ControlError::TooLong`], or the error of
    /// the socket.
    pub fn receive(&self) -> Result<Received<In>, ControlError> {
        // Its length first, so that an empty link, the most frequent case, allocates nothing.
        let length = match self.take(&mut [], MsgFlags::MSG_PEEK) {
            Ok(0) => return Ok(Received::Closed),
            Err(Errno::EAGAIN) => return Ok(Received::Empty),
            length => length.map_err(io::Error::from)?,
        };
        let mut packet = vec![0; length.min(MAX_PACKET)];
        self.take(&mut packet, MsgFlags::empty())
            .map_err(io::Error::from)?;
        if length > MAX_PACKET {
            return Err(ControlError::TooLong(length));
        }
        if let [NOT_EXECUTED, errno @ ..] = &packet[..]
            && let Ok(errno) = errno.try_into()
        {
            let error = io::Error::from_raw_os_error(i32::from_le_bytes(errno));
            return Err(ControlError::NotExecuted(error));
        }
        Ok(Received::Message(rmp_serde::from_slice(&packet)?))
    }

    /// The next packet, or the part that fits; returns its whole length.
    fn take(&self, buffer: &mut [u8], flags: MsgFlags) -> nix::Result<usize> {
        let flags = flags | MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        loop {
            match recv(self.fd.as_raw_fd(), buffer, flags) {
                // Reported once, before the last messages of the other end, if that left something unread.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                received => return received,
            }
        }
    }
}

impl<Out, In> AsFd for ControlLink<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<Out, In> AsRawFd for ControlLink<Out, In> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
