//! Accepted connections that have not introduced themselves.

use std::task::Poll;
use std::time::Duration;

use protocol::time::Time;

use super::link::Inbound;
use super::{Mesh, Wire};
use crate::codec::Hello;

/// Deadline for a stranger's first frame.
pub(super) const GREETING_LIMIT: Duration = Duration::from_secs(1);
/// Maximum number of strangers; further connections wait to be accepted.
const MAX_GREETINGS: usize = 64;
/// Pause after a failed accept, which would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl<C> Mesh<C> {
    /// Accepts connections, and admits those that introduce themselves.
    pub(super) fn poll_strangers(&mut self, now: Time, wire: &mut impl Wire<Connection = C>) {
        self.poll_accept(now, wire);
        let full = self.greetings.len() >= MAX_GREETINGS;
        self.poll_greetings(now, wire);
        if full && self.greetings.len() < MAX_GREETINGS {
            wire.poll_again();
        }
    }

    fn poll_accept(&mut self, now: Time, wire: &mut impl Wire<Connection = C>) {
        while self.greetings.len() < MAX_GREETINGS && self.accept_at <= now {
            match wire.accept() {
                Poll::Pending => return,
                Poll::Ready(Ok(connection)) => {
                    self.accept_told = false;
                    let link = Inbound::new(connection);
                    self.greetings.push((link, now + GREETING_LIMIT));
                }
                Poll::Ready(Err(error)) => {
                    if !std::mem::replace(&mut self.accept_told, true) {
                        tracing::warn!(%error, "cannot accept connections, trying again");
                    }
                    self.accept_at = now + ACCEPT_PAUSE;
                }
            }
        }
    }

    fn poll_greetings(&mut self, now: Time, wire: &mut impl Wire<Connection = C>) {
        let mut index = 0;
        while let Some((link, deadline)) = self.greetings.get_mut(index) {
            let said = match link.poll_hello(wire) {
                Poll::Pending if *deadline > now => {
                    index += 1;
                    continue;
                }
                said => said,
            };
            let (link, _) = self.greetings.swap_remove(index);
            match said {
                Poll::Pending => {
                    tracing::warn!("connection closed: it did not say who it is");
                    wire.close(link.connection);
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "connection closed before it said who it is");
                    wire.close(link.connection);
                }
                Poll::Ready(Ok(hello)) => self.admit(&hello, link, now, wire),
            }
        }
    }

    fn admit(
        &mut self,
        hello: &Hello,
        mut link: Inbound<C>,
        now: Time,
        wire: &mut impl Wire<Connection = C>,
    ) {
        if self.welcome(hello, &mut link, wire) {
            let peer = &mut self.peers[usize::from(hello.node.0)];
            peer.admit(hello, link, now, wire, &mut self.changes);
        } else {
            wire.close(link.connection);
        }
    }

    /// Answers a Hello that is newer than all before it; returns whether the link is up.
    fn welcome(
        &mut self,
        hello: &Hello,
        link: &mut Inbound<C>,
        wire: &mut impl Wire<Connection = C>,
    ) -> bool {
        if hello.node == self.local.id {
            tracing::warn!("connection closed: it claims to be this node");
            return false;
        }
        let Some(peer) = self.peers.get(usize::from(hello.node.0)) else {
            tracing::warn!(peer = hello.node.0, "connection closed: no such node");
            return false;
        };
        if !peer.admits(hello) {
            tracing::debug!(?hello, "connection closed: an older link or life");
            return false;
        }
        let welcome = match self.local.hello(hello.serial) {
            Ok(welcome) => welcome,
            Err(error) => {
                tracing::error!(%error, "connection closed: no welcome");
                return false;
            }
        };
        if let Err(error) = wire.welcome(&mut link.connection, &welcome) {
            tracing::debug!(?hello, %error, "connection closed: it ended before its welcome");
            return false;
        }
        true
    }
}
