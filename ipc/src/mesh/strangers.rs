//! Connections that were accepted and have not said who they are.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::Mesh;
use crate::codec::{Hello, MAX_FRAME};
use crate::link::{Inbound, socket};

/// Time that a stranger has for its first frame.
pub(super) const GREETING_LIMIT: Duration = Duration::from_secs(1);
/// Accepted connections that have not said who they are; more wait in the backlog.
const MAX_GREETINGS: usize = 64;
/// Pause after a failed accept, which would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Mesh {
    /// Accepts connections, and takes those in that say who they are.
    pub(super) fn poll_strangers(&mut self, cx: &mut Context<'_>, now: Instant) {
        self.poll_accept(cx, now);
        let full = self.greetings.len() >= MAX_GREETINGS;
        self.poll_greetings(cx, now);
        if full && self.greetings.len() < MAX_GREETINGS {
            cx.waker().wake_by_ref();
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>, now: Instant) {
        while self.greetings.len() < MAX_GREETINGS && self.accept_at <= now {
            let mut accepted = self.listener.poll_accept(cx);
            if let (Poll::Pending, Some(former)) = (&accepted, &self.former) {
                accepted = former.poll_accept(cx);
            }
            match accepted {
                Poll::Pending => return,
                Poll::Ready(Ok((stream, _))) => match socket::check_user(&stream) {
                    Ok(()) => {
                        self.accept_told = false;
                        let link = Inbound::new(stream);
                        self.greetings.push((link, now + GREETING_LIMIT));
                    }
                    Err(error) => tracing::warn!(%error, "connection refused"),
                },
                Poll::Ready(Err(error)) => {
                    if !std::mem::replace(&mut self.accept_told, true) {
                        tracing::warn!(%error, "cannot accept connections, trying again");
                    }
                    self.accept_at = now + ACCEPT_PAUSE;
                }
            }
        }
    }

    fn poll_greetings(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut index = 0;
        while let Some((link, deadline)) = self.greetings.get_mut(index) {
            match link.poll_hello(cx) {
                Poll::Pending if *deadline > now => index += 1,
                Poll::Pending => {
                    tracing::warn!("connection closed: it did not say who it is");
                    self.greetings.swap_remove(index);
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "connection closed before it said who it is");
                    self.greetings.swap_remove(index);
                }
                Poll::Ready(Ok(hello)) => {
                    let (link, _) = self.greetings.swap_remove(index);
                    self.admit(&hello, link, now);
                }
            }
        }
    }

    fn admit(&mut self, hello: &Hello, mut link: Inbound, now: Instant) {
        if hello.node == self.local.id {
            tracing::warn!("connection closed: it claims to be this node");
            return;
        }
        let Some(peer) = self.peers.get_mut(usize::from(hello.node.0)) else {
            tracing::warn!(peer = hello.node.0, "connection closed: no such node");
            return;
        };
        if !peer.admits(hello) {
            tracing::debug!(?hello, "connection closed: an older link or life");
            return;
        }
        let welcome = match self.local.hello(hello.serial) {
            Ok(welcome) => welcome,
            Err(error) => {
                tracing::error!(%error, "connection closed: no welcome");
                return;
            }
        };
        if let Err(error) = socket::send_whole(&link.stream, &welcome) {
            tracing::debug!(?hello, %error, "connection closed: it ended before its welcome");
            return;
        }
        link.decoder.set_max_frame(MAX_FRAME);
        peer.admit(hello, link, now, &mut self.changes);
    }
}
