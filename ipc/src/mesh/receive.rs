//! Reading from the links that were accepted.

use std::task::{Context, Poll};

use protocol::id::{Incarnation, NodeId};

use super::event::{Batch, MeshEvent};
use crate::codec::Incoming;
use crate::link::{Inbound, LinkEnd, socket};

/// The life that a link comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) peer: NodeId,
    pub(super) incarnation: Incarnation,
}

/// Hands out what is complete, reads once where there is room for more, and hands out that.
pub(super) fn read(
    link: &mut Inbound,
    from: Sender,
    batch: &mut Batch<'_>,
    cx: &mut Context<'_>,
) -> Result<(), LinkEnd> {
    hand_out(link, from, batch)?;
    if !batch.has_room() {
        return Ok(());
    }
    let Poll::Ready(read) = link.poll_fill(cx) else {
        return Ok(());
    };
    read?;
    if hand_out(link, from, batch)? == 0 && batch.has_room() {
        batch.into.push(MeshEvent::Alive {
            from: from.peer,
            incarnation: from.incarnation,
        });
    }
    Ok(())
}

/// Hands out what a dead process has left in its socket; an error when that is all. It sends no
/// more, so there is no need to wait for the end that its socket will come to.
pub(super) fn drain(
    link: &mut Inbound,
    from: Sender,
    batch: &mut Batch<'_>,
) -> Result<(), LinkEnd> {
    hand_out(link, from, batch)?;
    let mut buffer = vec![0; 64 << 10];
    while batch.has_room() {
        match socket::receive_now(&link.stream, &mut buffer)? {
            0 => return Err(LinkEnd::Closed),
            n => link.decoder.push(&buffer[..n]),
        }
        hand_out(link, from, batch)?;
    }
    Ok(())
}

/// Hands out the messages that are complete, and returns how many there were.
fn hand_out(link: &mut Inbound, from: Sender, batch: &mut Batch<'_>) -> Result<usize, LinkEnd> {
    let mut count = 0;
    while batch.has_room() {
        match link.decoder.decode()? {
            None => break,
            Some(Incoming::Piece) => {}
            Some(Incoming::Hello(_)) => return Err(LinkEnd::Unexpected),
            Some(Incoming::Message(message)) => {
                count += 1;
                batch.into.push(MeshEvent::Received {
                    from: from.peer,
                    incarnation: from.incarnation,
                    message,
                });
            }
        }
    }
    Ok(count)
}
