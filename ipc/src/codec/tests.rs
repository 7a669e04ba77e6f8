use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Message, Product, Update};
use protocol::plan::{Kind, OperationId};

use super::encoder::next_piece;
use super::*;

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u64>(), any::<u8>(), any::<u64>()).prop_map(|(term, node, incarnation)| Epoch {
        term: Term(term),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    })
}

fn operation() -> impl Strategy<Value = OperationId> {
    let kind = prop_oneof![Just(Kind::Multiply), Just(Kind::Decimal)];
    (any::<u32>(), kind, any::<u8>(), any::<u32>()).prop_map(|(n, kind, level, index)| {
        OperationId {
            n,
            kind,
            level,
            index,
        }
    })
}

fn product() -> impl Strategy<Value = Product> {
    (operation(), vec(any::<u8>(), 0..300)).prop_map(|(operation, value)| Product {
        operation,
        value: value.into(),
    })
}

fn message() -> impl Strategy<Value = Message> {
    let operations = || vec(operation(), 0..20);
    let attempts = || vec((operation(), any::<u32>()), 0..5);
    prop_oneof![
        epoch().prop_map(|highest| Message::Election {
            highest,
            hangs: false
        }),
        epoch().prop_map(|highest| Message::Answer {
            highest,
            hangs: false
        }),
        epoch().prop_map(|highest| Message::Stale { highest }),
        epoch().prop_map(|epoch| Message::Following { epoch }),
        epoch().prop_map(|epoch| Message::Collect { epoch }),
        epoch().prop_map(|epoch| Message::Victory { epoch }),
        epoch().prop_map(|epoch| Message::Heartbeat { epoch }),
        epoch().prop_map(|epoch| Message::Pulse {
            epoch,
            hangs: false
        }),
        (epoch(), operations()).prop_map(|(epoch, operations)| Message::Pull { epoch, operations }),
        (epoch(), operations())
            .prop_map(|(epoch, operations)| Message::Missing { epoch, operations }),
        (epoch(), operations())
            .prop_map(|(epoch, operations)| Message::Assign { epoch, operations }),
        vec(product(), 0..8).prop_map(|products| Message::Products { products }),
        (epoch(), operations(), operations(), attempts()).prop_map(
            |(epoch, held, queued, attempts)| Message::Promise {
                epoch,
                inventory: Inventory {
                    held,
                    kept: Vec::new(),
                    queued,
                    attempts,
                },
            }
        ),
        (
            epoch(),
            vec(any::<u32>(), 0..5),
            attempts(),
            vec(product(), 0..8),
            operations()
        )
            .prop_map(
                |(epoch, forgotten, attempts, products, kept)| Message::Checkpoint {
                    epoch,
                    update: Update {
                        forgotten,
                        attempts,
                        products,
                        kept,
                    },
                }
            ),
    ]
}

fn large(length: usize) -> Message {
    let operation = OperationId {
        n: 10,
        kind: Kind::Decimal,
        level: 0,
        index: 0,
    };
    let value = (0..length)
        .map(|i| (i % 251) as u8)
        .collect::<Vec<_>>()
        .into();
    Message::Products {
        products: vec![Product { operation, value }],
    }
}

/// Pushes `bytes` in parts that end at the given fractions of the rest.
fn decode_split(bytes: &[u8], splits: &[usize]) -> Result<Vec<Incoming>, CodecError> {
    let mut decoder = Decoder::default();
    let mut incoming = Vec::new();
    let mut rest = bytes;
    let mut splits = splits.iter().cycle();
    while !rest.is_empty() {
        let at = splits.next().map_or(rest.len(), |s| 1 + s % rest.len());
        decoder.push(&rest[..at]);
        rest = &rest[at..];
        while let Some(next) = decoder.decode()? {
            incoming.push(next);
        }
    }
    Ok(incoming)
}

/// All that a decoder says of these bytes, and the error that ends it, if one does. After each part
/// the memory behind it has a bound in what had arrived.
fn decode_to_the_end(bytes: &[u8], splits: &[usize]) -> (Vec<Incoming>, Option<String>) {
    let mut decoder = Decoder::new(PIECE);
    let mut incoming = Vec::new();
    let mut arrived = 0;
    let mut splits = splits.iter();
    while arrived < bytes.len() {
        let rest = &bytes[arrived..];
        let at = splits.next().map_or(rest.len(), |s| 1 + s % rest.len());
        decoder.push(&rest[..at]);
        arrived += at;
        loop {
            match decoder.decode() {
                Ok(Some(next)) => incoming.push(next),
                Ok(None) => break,
                Err(error) => return (incoming, Some(error.to_string())),
            }
        }
        let held = decoder.room(0).capacity() + decoder.joined();
        assert!(held <= 4 * arrived + 1024, "{held} bytes for {arrived}");
    }
    (incoming, None)
}

/// Bytes such as a link may carry that somebody has damaged: frames, pieces, and neither.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let encoded = |message: Message| {
        let mut bytes = Vec::new();
        Encoder::new()
            .message(&message)
            .unwrap()
            .write_to(&mut bytes);
        bytes
    };
    let pieces = (message(), 1..40_usize, any::<bool>()).prop_map(move |(message, size, ends)| {
        let whole = encoded(message).split_off(LENGTH);
        let parts: Vec<&[u8]> = whole.chunks(size).collect();
        let frames = parts.iter().enumerate().map(|(at, bytes)| {
            let last = ends && at + 1 == parts.len();
            framed(&rmp_serde::to_vec(&Frame::Piece { last, bytes }).unwrap())
        });
        frames.collect::<Vec<_>>().concat()
    });
    let part = prop_oneof![
        4 => message().prop_map(encoded),
        2 => pieces,
        1 => vec(any::<u8>(), 0..60).prop_map(|payload| framed(&payload)),
        1 => vec(any::<u8>(), 0..20),
    ];
    vec(part, 1..8).prop_map(|parts| parts.concat())
}

/// A frame with this payload, well formed or not.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

proptest! {
    #[test]
    fn messages_survive_any_split(
        messages in vec(message(), 1..10),
        splits in vec(0_usize..10_000, 0..20),
    ) {
        let mut encoder = Encoder::new();
        let mut bytes = Vec::new();
        for message in &messages {
            encoder.message(message).unwrap().write_to(&mut bytes);
        }
        let expected: Vec<_> = messages.into_iter().map(Incoming::Message).collect();
        prop_assert_eq!(decode_split(&bytes, &splits).unwrap(), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in vec(any::<u8>(), 0..2_000),
        splits in vec(0_usize..100, 0..20),
    ) {
        let _ = decode_split(&bytes, &splits);
        let mut stream = Vec::new();
        for payload in bytes.chunks(40) {
            stream.extend(framed(payload));
        }
        let _ = decode_split(&stream, &splits);
    }

    #[test]
    fn what_a_stream_says_does_not_depend_on_how_it_arrives(
        bytes in stream(),
        splits in vec(0_usize..200, 0..60),
    ) {
        let at_once = decode_to_the_end(&bytes, &[]);
        prop_assert_eq!(&decode_to_the_end(&bytes, &splits), &at_once);
        let one_by_one = vec![0; bytes.len()];
        prop_assert_eq!(&decode_to_the_end(&bytes, &one_by_one), &at_once);
    }

    #[test]
    fn a_damaged_message_is_an_error_or_a_message(
        message in message(),
        at in any::<proptest::sample::Index>(),
        damage in 1_u8..,
    ) {
        let mut bytes = Vec::new();
        Encoder::new().message(&message).unwrap().write_to(&mut bytes);
        let at = at.index(bytes.len().min(100));
        bytes[at] ^= damage;
        // Whatever it decodes to, the memory behind it arrived.
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        let _ = decoder.decode();
        prop_assert!(decoder.room(0).capacity() < 1 << 20);
    }
}

#[test]
fn a_long_message_travels_in_pieces_with_a_heartbeat_between() {
    let long = large(3 * PIECE);
    let heartbeat = Message::Heartbeat { epoch: Epoch::NONE };
    let mut encoder = Encoder::new();
    let encoded = encoder.message(&long).unwrap();
    assert!(encoded.long && !encoded.urgent);
    let between = encoder.message(&heartbeat).unwrap();
    assert!(between.urgent && !between.long);

    let mut decoder = Decoder::default();
    let mut rest = encoded.bytes.clone();
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let [head, piece] = next_piece(&mut rest);
        assert!(piece.len() <= PIECE);
        for bytes in [head, piece, between.bytes.clone()] {
            decoder.push(&bytes);
        }
        while let Some(incoming) = decoder.decode().unwrap() {
            seen.push(incoming);
        }
    }
    let heartbeat = Incoming::Message(heartbeat);
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.extend([Incoming::Piece, heartbeat.clone()]);
    }
    expected.extend([Incoming::Message(long), heartbeat]);
    assert_eq!(seen.len(), expected.len());
    assert!(seen == expected);
}

#[test]
fn a_piece_is_what_serde_would_write() {
    for (length, last) in [(PIECE, false), (70_000, true)] {
        let body = Bytes::from(vec![7; length]);
        let mut rest = if last {
            body.clone()
        } else {
            Bytes::from(vec![7; length + 1])
        };
        let [head, piece] = next_piece(&mut rest);
        let frame = Frame::Piece {
            last,
            bytes: &piece,
        };
        let payload = rmp_serde::to_vec(&frame).unwrap();
        assert_eq!(head.len() + piece.len(), LENGTH + payload.len());
        assert!(framed(&payload) == [&head[..], &piece[..]].concat());
    }
}

#[test]
fn values_travel_as_bytes() {
    let message = large(PIECE / 2);
    let encoded = Encoder::new().message(&message).unwrap();
    // A list of numbers would take a byte more for each value above 127.
    assert!(encoded.bytes.len() < PIECE / 2 + 100);
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_bytes_come() {
    let mut decoder = Decoder::default();
    decoder.push(&(MAX_FRAME as u32 + 1).to_be_bytes());
    assert!(matches!(
        decoder.decode(),
        Err(CodecError::FrameTooLong { length, limit: MAX_FRAME }) if length == MAX_FRAME + 1
    ));
    let mut decoder = Decoder::default();
    decoder.push(&(MAX_FRAME as u32).to_be_bytes());
    assert!(matches!(decoder.decode(), Ok(None)));
    assert!(decoder.room(0).capacity() < 1024);
}

#[test]
fn a_value_that_claims_more_than_it_brings_takes_no_memory() {
    // {"Message": {"Products": [[[operation, 4 GiB of bytes]]]}}, cut off behind the length.
    let mut payload = vec![0x81, 0xa7];
    payload.extend(b"Message");
    payload.extend([0x81, 0xa8]);
    payload.extend(b"Products");
    payload.extend([0x91, 0xdd, 0xff, 0xff, 0xff, 0xff]);
    let mut decoder = Decoder::default();
    decoder.push(&framed(&payload));
    assert!(matches!(decoder.decode(), Err(CodecError::Malformed(_))));
}

#[test]
fn joined_pieces_must_be_a_message() {
    for inner in [
        Frame::Hello(Hello {
            node: NodeId(1),
            incarnation: Incarnation(1),
            serial: 1,
            version: VERSION,
            highest: Epoch::NONE,
        }),
        Frame::Piece {
            last: true,
            bytes: b"x",
        },
    ] {
        let inner = rmp_serde::to_vec(&inner).unwrap();
        let mut rest = Bytes::from(inner);
        let mut decoder = Decoder::default();
        for part in next_piece(&mut rest) {
            decoder.push(&part);
        }
        assert!(matches!(decoder.decode(), Err(CodecError::NotAMessage)));
    }
}
