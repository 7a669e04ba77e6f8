//! Messages that travel in pieces, and the values in them.

use bytes::BufMut;

use super::*;
use crate::codec;

#[test]
fn a_long_message_travels_in_pieces_with_a_heartbeat_between() {
    let long = large(3 * MAX_FRAME);
    let heartbeat = Message::Heartbeat { epoch: Epoch::NONE };
    let mut encoder = Encoder::new();
    let encoded = encoder.message(&long).unwrap();
    let Frames::Pieces(mut rest) = encoded.frames else {
        panic!("the message is not cut");
    };
    let between = encoder.message(&heartbeat).unwrap();
    assert!(between.urgent && !encoded.urgent);

    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let frame = rest.next_piece();
        assert!(frame.iter().map(bytes::Bytes::len).sum::<usize>() <= PIECE_HEAD + MAX_FRAME);
        for bytes in frame {
            decoder.push(&bytes);
        }
        let mut bytes = Vec::new();
        between.write_to(&mut bytes);
        decoder.push(&bytes);
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
fn a_long_value_is_written_from_where_its_sender_holds_it() {
    let message = large(2 * LONG);
    let frames = Encoder::new().message(&message).unwrap().frames;
    let Frames::Pieces(mut rest) = frames else {
        panic!("the message is not cut");
    };
    let value = &codec::products(&message)[0].value;
    let parts = rest.next_piece();
    assert!(parts.iter().any(|part| part.as_ptr() == value.as_ptr()));
}

#[test]
fn a_long_value_is_read_to_where_its_receiver_keeps_it() {
    let message = large(3 * MAX_FRAME);
    let heartbeat = Message::Heartbeat { epoch: Epoch::NONE };
    let mut encoder = Encoder::new();
    let mut frames = Vec::new();
    for message in [&message, &heartbeat] {
        encoder.message(message).unwrap().write_to(&mut frames);
    }
    let mut decoder = Decoder::default();
    let mut rest = &frames[..];
    let mut kept = None;
    let got = loop {
        match decoder.decode().unwrap() {
            Some(Incoming::Message(message)) => break message,
            Some(_) => continue,
            None => {}
        }
        let mut room = decoder.room(100);
        let read = rest.len().min(room.remaining_mut());
        room.put_slice(&rest[..read]);
        rest = &rest[read..];
        if read > 100 {
            kept.get_or_insert(room.get_ref().as_ptr_range().start);
        }
    };
    assert!(got == message);
    let value = &codec::products(&got)[0].value;
    let before = value.as_ptr() as usize - kept.unwrap() as usize;
    assert!(
        before < 100,
        "{before} bytes of the message before its value"
    );

    // It was read with the end of the last piece.
    assert!(rest.is_empty());
    let behind = Incoming::Message(heartbeat);
    assert!(matches!(decoder.decode(), Ok(Some(incoming)) if incoming == behind));
}

#[test]
fn no_value_keeps_the_memory_of_many() {
    let message = products((0..4).map(|_| vec![7; LONG]));
    let mut frames = Vec::new();
    Encoder::new()
        .message(&message)
        .unwrap()
        .write_to(&mut frames);
    let mut decoder = Decoder::default();
    decoder.push(&frames);
    let Some(Incoming::Message(got)) = decoder.decode().unwrap() else {
        panic!("not a message");
    };
    assert!(got == message);
    let Message::Products { products } = got else {
        unreachable!("it is what was sent");
    };
    for product in &products {
        // Only who has the memory alone may write to it.
        assert!(product.value.is_unique());
    }
}

#[test]
fn values_must_be_those_that_are_announced() {
    let announced = |message: Message, lengths: &[u32], behind: usize| {
        let mut pieces = rmp_serde::to_vec(&(message, lengths)).unwrap();
        pieces.resize(pieces.len() + behind, 7);
        let mut frames = (pieces.len() as u32 | PIECE_BIT).to_be_bytes().to_vec();
        frames.extend([0; LENGTH]);
        frames.extend(pieces);
        decode_split(&frames, &[])
    };
    let two = || products([Vec::new(), Vec::new()]);
    assert!(announced(two(), &[3, 4], 7).is_ok());
    for result in [
        announced(two(), &[7], 7),
        announced(two(), &[1, u32::MAX], 7),
        announced(Message::Heartbeat { epoch: Epoch::NONE }, &[7], 7),
    ] {
        assert!(matches!(result, Err(CodecError::OtherValues)));
    }
}
