//! The send queue of a link.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::codec::{Encoded, Frames, Rest};

/// Most buffers that one write takes.
pub(super) const SLICES: usize = 128;

/// Messages in sending order, except that a heartbeat overtakes the pieces of the
/// long message right in front of it.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    /// Parts of frames that nothing can overtake any more; the first may be half sent.
    staged: VecDeque<Bytes>,
    staged_bytes: usize,
    /// The part of the long message in progress that is not staged.
    long: Rest,
    waiting: VecDeque<Encoded>,
    waiting_bytes: usize,
}

impl SendQueue {
    pub(super) fn push(&mut self, encoded: Encoded) {
        self.waiting_bytes += encoded.len();
        self.waiting.push_back(encoded);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.staged.is_empty() && self.long.is_empty() && self.waiting.is_empty()
    }

    /// Bytes behind the message in progress.
    pub(super) fn waiting(&self) -> usize {
        self.waiting_bytes
    }

    /// All bytes that are not sent.
    pub(super) fn unsent(&self) -> usize {
        self.staged_bytes + self.long.len() + self.waiting_bytes
    }

    /// What to write next, of which about `staged` bytes are committed to the wire. Empty only if the queue is.
    pub(super) fn slices<'a, 'b>(
        &'a mut self,
        slices: &'b mut [IoSlice<'a>; SLICES],
        staged: usize,
    ) -> &'b [IoSlice<'a>] {
        self.stage(staged);
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.staged) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        &slices[..count]
    }

    /// Drops the first `n` bytes of what [`SendQueue::slices`] gave: they are sent.
    pub(super) fn consume(&mut self, mut n: usize) {
        self.staged_bytes -= n;
        while n > 0 {
            let Some(first) = self.staged.front_mut() else {
                return;
            };
            if n < first.len() {
                first.advance(n);
                return;
            }
            n -= first.len();
            self.staged.pop_front();
        }
    }

    /// Commits frames to the wire while fewer bytes than `staged` are.
    fn stage(&mut self, staged: usize) {
        while self.staged_bytes < staged {
            let overtakes = self.waiting.front().is_some_and(|next| next.urgent);
            if !self.long.is_empty() && !overtakes {
                for part in self.long.next_piece() {
                    self.commit(part);
                }
                continue;
            }
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            self.waiting_bytes -= next.len();
            match next.frames {
                Frames::Whole(frame) => self.commit(frame),
                Frames::Pieces(rest) => self.long = rest,
            }
        }
    }

    fn commit(&mut self, bytes: Bytes) {
        self.staged_bytes += bytes.len();
        self.staged.push_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::id::{Epoch, Incarnation, NodeId, Term};
    use protocol::message::{Message, Product};
    use protocol::plan::{Kind, OperationId};

    use super::*;
    use crate::codec::{Decoder, Encoder, Incoming, LONG, MAX_FRAME};

    fn epoch(term: u64) -> Epoch {
        Epoch {
            term: Term(term),
            node: NodeId(1),
            incarnation: Incarnation(1),
        }
    }

    fn sized(index: u32, length: usize) -> Message {
        Message::Products {
            products: vec![Product {
                operation: OperationId {
                    n: 1,
                    kind: Kind::Multiply,
                    level: 0,
                    index,
                },
                value: vec![3; length].into(),
            }],
        }
    }

    /// Sends at most `limit` bytes in one write and returns them.
    fn write(queue: &mut SendQueue, limit: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut sent = Vec::new();
        for slice in queue.slices(&mut slices, 256 << 10) {
            sent.extend_from_slice(&slice[..slice.len().min(limit - sent.len())]);
        }
        queue.consume(sent.len());
        sent
    }

    fn drain(queue: &mut SendQueue, limit: usize, decoder: &mut Decoder) -> Vec<Message> {
        let mut messages = Vec::new();
        while !queue.is_empty() {
            decoder.push(&write(queue, limit));
            while let Some(incoming) = decoder.decode().unwrap() {
                if let Incoming::Message(message) = incoming {
                    messages.push(message);
                }
            }
        }
        assert_eq!((queue.unsent(), queue.waiting()), (0, 0));
        messages
    }

    #[test]
    fn a_heartbeat_overtakes_one_long_message_and_nothing_else() {
        let mut encoder = Encoder::new();
        let mut queue = SendQueue::default();
        let mut decoder = Decoder::default();
        let messages = [
            sized(0, 4 * MAX_FRAME),
            sized(1, 10),
            Message::Heartbeat { epoch: epoch(1) },
            sized(2, 4 * MAX_FRAME),
            Message::Pulse {
                epoch: epoch(2),
                hangs: false,
            },
            Message::Heartbeat { epoch: epoch(3) },
            Message::Election {
                highest: epoch(4),
                hangs: false,
            },
        ];
        for message in &messages {
            queue.push(encoder.message(message).unwrap());
        }
        let got = drain(&mut queue, MAX_FRAME / 3, &mut decoder);
        let order: Vec<_> = got
            .iter()
            .map(|message| messages.iter().position(|m| m == message).unwrap())
            .collect();
        assert_eq!(order, [0, 1, 2, 4, 5, 3, 6]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn everything_else_stays_in_order(
            lengths in prop::collection::vec(
                prop_oneof![
                    0_usize..2_000,
                    LONG - 200..LONG + 200,
                    MAX_FRAME - 200..MAX_FRAME + 200,
                    MAX_FRAME..3 * MAX_FRAME,
                ],
                1..12,
            ),
            limit in 1_000_usize..3_000_000,
        ) {
            let mut encoder = Encoder::new();
            let mut queue = SendQueue::default();
            let mut messages = Vec::new();
            for (index, &length) in lengths.iter().enumerate() {
                messages.push(sized(index as u32, length));
                queue.push(encoder.message(&messages[index]).unwrap());
                queue.push(encoder.message(&Message::Pulse { epoch: epoch(7), hangs: false }).unwrap());
            }
            let mut got = drain(&mut queue, limit, &mut Decoder::default());
            let all = got.len();
            got.retain(|message| !matches!(message, Message::Pulse { .. }));
            prop_assert!(got == messages);
            prop_assert_eq!(all, 2 * messages.len());
        }
    }
}
