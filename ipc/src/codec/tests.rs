mod long;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Message, Product, Update};
use protocol::plan::{Kind, OperationId};

use super::*;

/// A bound of what is reserved ahead of what arrived.
const AHEAD: usize = 9 << 20;

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u64>(), any::<u8>(), any::<u64>()).prop_map(|(term, node, incarnation)| Epoch {
        term: Term(term),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    })
}

fn operation() -> impl Strategy<Value = OperationId> {
    let kind = prop_oneof![Just(Kind::Multiply), Just(Kind::Step)];
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
    let value = prop_oneof![
        9 => vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), 0..3 * LONG).prop_map(|(byte, length)| vec![byte; length]),
    ];
    (operation(), value).prop_map(|(operation, value)| Product {
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
    let value = (0..length).map(|i| (i % 251) as u8).collect();
    products([value])
}

fn products(values: impl IntoIterator<Item = Vec<u8>>) -> Message {
    let operation = OperationId {
        n: 10,
        kind: Kind::Step,
        level: 0,
        index: 0,
    };
    let products = values.into_iter().map(|value| Product {
        operation,
        value: value.into(),
    });
    Message::Products {
        products: products.collect(),
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
    let mut decoder = Decoder::default();
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
        let held = decoder.reserved();
        assert!(held <= 4 * arrived + AHEAD, "{held} bytes for {arrived}");
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
    let pieces = (message(), 1..40_usize, any::<bool>()).prop_map(|(message, size, ends)| {
        let whole = rmp_serde::to_vec(&(message, Vec::<u32>::new())).unwrap();
        let mut behind = whole.len() + usize::from(!ends);
        let mut frames = Vec::new();
        for part in whole.chunks(size.max(whole.len() / 40)) {
            behind -= part.len();
            frames.extend_from_slice(&(part.len() as u32 | PIECE_BIT).to_be_bytes());
            frames.extend_from_slice(&(behind as u32).to_be_bytes());
            frames.extend_from_slice(part);
        }
        frames
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
        splits in vec(prop_oneof![0_usize..200, 0_usize..2 * LONG], 0..60),
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
        prop_assert!(decoder.reserved() < AHEAD);
    }
}

#[test]
fn values_travel_as_bytes() {
    for length in [LONG / 2, 2 * LONG] {
        let encoded = Encoder::new().message(&large(length)).unwrap();
        // A list of numbers would take a byte more for each value above 127.
        assert!(encoded.len() < length + 100);
    }
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
    assert!(decoder.reserved() < 1024);
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
