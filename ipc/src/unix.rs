//! The wire of one machine: Unix sockets in a folder, on tokio.
//!
//! A mesh has no tasks: its input and output happen while its owner waits in
//! [`UnixMesh::recv_many`], so what is sent in one turn goes out in one write, and a node that does
//! not take events stops reading its sockets.

pub(crate) mod socket;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BufMut;
use protocol::event::Event;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;
use protocol::time::Time;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::mesh::{DialError, Mesh, Sizes, Wire};

/// Who this node is, and where its peers are.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Folder of the sockets, `node-ID.sock` each.
    pub run_dir: PathBuf,
    /// Number of nodes; static IDs are 0..nodes.
    pub nodes: u8,
    /// This node.
    pub id: NodeId,
    /// Its incarnation.
    pub incarnation: Incarnation,
}

/// Why a mesh cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The path does not fit into a socket's address.
    #[error(
        "the socket path {} has {} bytes, more than the 107 that a Unix socket can have: give a shorter --run-dir",
        .0.display(), .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    /// The static ID is not one of the cluster's.
    #[error("node {id} is not one of {nodes} nodes, whose IDs count from 0")]
    NoSuchNode {
        /// The refused ID.
        id: NodeId,
        /// Number of nodes.
        nodes: u8,
    },
    /// The socket cannot be bound.
    #[error("cannot bind the socket {}: {source}", .path.display())]
    Bind {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// All links of one node, over Unix sockets: see [the module](self).
#[derive(Debug)]
pub struct UnixMesh {
    mesh: Mesh<UnixStream>,
    sockets: Sockets,
    /// The origin of the mesh's time.
    origin: Instant,
    alarm: Pin<Box<Sleep>>,
}

/// This node's socket, and where the others have theirs.
#[derive(Debug)]
struct Sockets {
    run_dir: PathBuf,
    path: PathBuf,
    listener: UnixListener,
    /// The previous socket: a peer that resolved the path before the new one was bound may still dial it, and
    /// a refusal would mean that this node is dead.
    former: Option<UnixListener>,
}

/// The sockets, and the task to wake when they are ready.
struct UnixWire<'a, 'b> {
    sockets: &'a Sockets,
    cx: &'a mut Context<'b>,
}

impl UnixMesh {
    /// Binds `RUN_DIR/node-ID.sock`, in place of a socket that an earlier incarnation has left, and
    /// accepts from then on. Dials nobody.
    ///
    /// # Errors
    ///
    /// The path is too long for a socket, or cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with input, output and time.
    pub fn bind(config: MeshConfig) -> Result<UnixMesh, MeshError> {
        let MeshConfig {
            run_dir,
            nodes,
            id,
            incarnation,
        } = config;
        if id.0 >= nodes {
            return Err(MeshError::NoSuchNode { id, nodes });
        }
        let path = socket_path(&run_dir, id);
        if !socket::fits(&path) {
            return Err(MeshError::PathTooLong(path));
        }
        let listener = listen(&path)?;
        let origin = Instant::now();
        Ok(UnixMesh {
            mesh: Mesh::new(nodes, id, incarnation, Sizes::default(), Time::default()),
            sockets: Sockets {
                run_dir,
                path,
                listener,
                former: None,
            },
            origin,
            alarm: Box::pin(sleep_until(origin)),
        })
    }

    /// Binds the socket again, under the same path, which may now be missing or lead to something else. Links stay
    /// up, and if it fails, the current socket stays too.
    ///
    /// # Errors
    ///
    /// The path cannot be bound.
    pub fn bind_again(&mut self) -> Result<(), MeshError> {
        let listener = listen(&self.sockets.path)?;
        let sockets = &mut self.sockets;
        sockets.former = Some(std::mem::replace(&mut sockets.listener, listener));
        Ok(())
    }

    /// See [`Mesh::dial_all`].
    pub fn dial_all(&mut self) {
        self.mesh.dial_all(self.now());
    }

    /// Appends up to `limit` events to `into` and returns how many; waits for the first. Cancel safe. See
    /// [`Mesh::poll`].
    pub async fn recv_many(&mut self, into: &mut Vec<Event>, limit: usize) -> usize {
        poll_fn(|cx| {
            loop {
                let count = self.poll(cx, into, limit);
                if count > 0 || limit == 0 {
                    return Poll::Ready(count);
                }
                let Some(due) = self.mesh.next_deadline() else {
                    return Poll::Pending;
                };
                let due = self.origin + due.since(Time::default());
                if self.alarm.deadline() != due {
                    self.alarm.as_mut().reset(due);
                }
                if self.alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Like [`UnixMesh::recv_many`], but does not wait: 0 when nothing happened.
    pub fn try_recv_many(&mut self, into: &mut Vec<Event>, limit: usize) -> usize {
        self.poll(&mut Context::from_waker(Waker::noop()), into, limit)
    }

    /// See [`Mesh::has_more`].
    pub fn has_more(&self) -> bool {
        self.mesh.has_more()
    }

    /// See [`Mesh::send`]. Never waits.
    pub fn send(&mut self, to: &[NodeId], message: &Message) {
        self.on_wire(|mesh, now, wire| mesh.send(now, wire, to, message));
    }

    /// See [`Mesh::flush`]. Never waits.
    pub fn flush(&mut self) {
        self.on_wire(|mesh, now, wire| mesh.flush(now, wire));
    }

    /// See [`Mesh::peer_gone`].
    pub fn peer_gone(&mut self, peer: NodeId, incarnation: Incarnation) {
        self.on_wire(|mesh, now, wire| mesh.peer_gone(now, wire, peer, incarnation));
    }

    /// See [`Mesh::set_highest`].
    pub fn set_highest(&mut self, highest: Epoch) {
        self.mesh.set_highest(highest);
    }

    fn poll(&mut self, cx: &mut Context<'_>, into: &mut Vec<Event>, limit: usize) -> usize {
        let now = self.now();
        let mut wire = UnixWire {
            sockets: &self.sockets,
            cx,
        };
        self.mesh.poll(now, &mut wire, into, limit)
    }

    /// Polls without a waker: the next [`UnixMesh::recv_many`] registers one.
    fn on_wire(&mut self, act: impl FnOnce(&mut Mesh<UnixStream>, Time, &mut UnixWire<'_, '_>)) {
        let now = self.now();
        let mut wire = UnixWire {
            sockets: &self.sockets,
            cx: &mut Context::from_waker(Waker::noop()),
        };
        act(&mut self.mesh, now, &mut wire);
    }

    fn now(&self) -> Time {
        Time::default() + self.origin.elapsed()
    }
}

impl Wire for UnixWire<'_, '_> {
    type Connection = UnixStream;

    fn dial(&mut self, peer: NodeId, hello: &[u8]) -> Result<UnixStream, DialError> {
        let path = socket_path(&self.sockets.run_dir, peer);
        socket::dial(&path, hello).map_err(|error| {
            tracing::debug!(peer = peer.0, %error, "cannot dial");
            if socket::means_death(&error) {
                DialError::Dead
            } else if error.kind() == io::ErrorKind::WouldBlock {
                DialError::Full
            } else {
                DialError::Failed
            }
        })
    }

    fn accept(&mut self) -> Poll<io::Result<UnixStream>> {
        loop {
            let mut accepted = self.sockets.listener.poll_accept(self.cx);
            if let (Poll::Pending, Some(former)) = (&accepted, &self.sockets.former) {
                accepted = former.poll_accept(self.cx);
            }
            let stream = match std::task::ready!(accepted) {
                Ok((stream, _)) => stream,
                Err(error) => return Poll::Ready(Err(error)),
            };
            match socket::check_user(&stream) {
                Ok(()) => return Poll::Ready(Ok(stream)),
                Err(error) => tracing::warn!(%error, "connection refused"),
            }
        }
    }

    fn welcome(&mut self, stream: &mut UnixStream, hello: &[u8]) -> io::Result<()> {
        socket::send_whole(stream, hello)
    }

    fn read(&mut self, stream: &mut UnixStream, into: &mut impl BufMut) -> Poll<io::Result<usize>> {
        pin!(stream.read_buf(into)).poll(self.cx)
    }

    fn read_rest(
        &mut self,
        stream: &mut UnixStream,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        socket::receive_now(stream, into)
    }

    fn write(&mut self, stream: &mut UnixStream, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(stream).poll_write_vectored(self.cx, bytes)
    }

    fn close(&mut self, stream: UnixStream) {
        drop(stream);
    }

    fn poll_again(&mut self) {
        self.cx.waker().wake_by_ref();
    }
}

fn listen(path: &Path) -> Result<UnixListener, MeshError> {
    socket::listen(path).map_err(|source| MeshError::Bind {
        path: path.to_owned(),
        source,
    })
}

/// Where a node's socket is.
pub fn socket_path(run_dir: &Path, id: NodeId) -> PathBuf {
    run_dir.join(format!("node-{id}.sock"))
}
