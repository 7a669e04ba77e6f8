//! What carries the bytes of links.

use std::fmt;
use std::io::{self, IoSlice};
use std::task::Poll;

use bytes::BufMut;
use protocol::id::NodeId;

/// What carries the bytes of one node's links, and knows nothing of what they mean.
///
/// No call waits. What cannot be done now is [`Poll::Pending`], and whoever drives the mesh polls it again
/// when it can be. An error is the end of a connection, save that a failed [`Wire::accept`] may be tried
/// again. [`io::ErrorKind::ConnectionAborted`] means that the wire has lost the connection, which says
/// nothing of the peer; by any other error, as by an end, the peer has closed it, or nobody is there.
pub trait Wire {
    /// This node's end of a connection.
    type Connection: fmt::Debug;

    /// Connects to a peer and sends the first frame.
    ///
    /// # Errors
    ///
    /// What the failure says of the peer.
    fn dial(&mut self, peer: NodeId, hello: &[u8]) -> Result<Self::Connection, DialError>;

    /// Takes a connection that somebody has dialled.
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

    /// Like [`Wire::read`], of a connection whose sender is dead: what is there now is all that comes.
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

    /// The mesh has more to do and has made room for others: it wants to be polled again soon.
    fn poll_again(&mut self);
}

/// Why a peer cannot be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialError {
    /// Nobody lives there.
    Dead,
    /// Too many want to be accepted by it.
    Full,
    /// It says nothing of the peer.
    Failed,
}
