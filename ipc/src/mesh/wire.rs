//! The transport below links.

use std::fmt;
use std::io::{self, IoSlice};
use std::task::Poll;

use bytes::BufMut;
use protocol::id::NodeId;

/// The transport of one node's links, which knows nothing of their meaning.
///
/// No call blocks. If a call cannot proceed, it returns [`Poll::Pending`], and the driver of the mesh polls
/// it again when it can. An error ends the connection, except that a failed [`Wire::accept`] may be retried.
/// [`io::ErrorKind::ConnectionAborted`] means that the wire has lost the connection, which says nothing about
/// the peer; any other error, like an end, means that the peer has closed it, or is dead.
pub trait Wire {
    /// This node's end of a connection.
    type Connection: fmt::Debug;

    /// Connects to a peer and sends the first frame.
    ///
    /// # Errors
    ///
    /// What the failure says about the peer.
    fn dial(&mut self, peer: NodeId, hello: &[u8]) -> Result<Self::Connection, DialError>;

    /// Accepts a connection.
    fn accept(&mut self) -> Poll<io::Result<Self::Connection>>;

    /// Sends the first frame on a connection that was accepted: whole, since there is room for it.
    ///
    /// # Errors
    ///
    /// The connection is over.
    fn welcome(&mut self, connection: &mut Self::Connection, hello: &[u8]) -> io::Result<()>;

    /// Appends what has arrived to `into`, as far as there is room, and returns how many bytes; 0 is the
    /// end.
    fn read(
        &mut self,
        connection: &mut Self::Connection,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>>;

    /// Like [`Wire::read`], of a connection whose sender is dead: what is there now is all that comes, and
    /// [`Poll::Pending`] means that nothing is left.
    fn read_rest(
        &mut self,
        connection: &mut Self::Connection,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>>;

    /// Takes some of these bytes, from the first on, and returns how many.
    fn write(
        &mut self,
        connection: &mut Self::Connection,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Closes this end. The peer still reads what was written.
    fn close(&mut self, connection: Self::Connection);

    /// Requests another poll soon: the mesh has more to do, but has yielded to others.
    fn poll_again(&mut self);
}

/// Why a peer cannot be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialError {
    /// The peer is dead.
    Dead,
    /// Its backlog is full.
    Full,
    /// The failure says nothing about the peer.
    Failed,
}
