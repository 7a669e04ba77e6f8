//! The values of a block of operations in one product: each with two bytes in front of it that
//! tell its length, the lower first.

use bytes::{BufMut, Bytes};

/// Packs values of less than 64 KiB each.
pub fn pack<V: AsRef<[u8]>>(values: impl Iterator<Item = V>) -> Bytes {
    let mut packed = Vec::with_capacity(values.size_hint().0 * 16);
    for value in values {
        let value = value.as_ref();
        debug_assert!(value.len() <= usize::from(u16::MAX));
        packed.put_u16_le(value.len() as u16);
        packed.put_slice(value);
    }
    packed.into()
}

/// The values of a block, in order. Of what was not packed here it gives what fits the form.
pub fn unpack(mut packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = packed.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        packed = rest;
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..9)) {
            let packed = pack(values.iter());
            prop_assert!(unpack(&packed).eq(values.iter().map(Vec::as_slice)));
        }

        #[test]
        fn anything_is_unpacked_without_a_panic(bytes: Vec<u8>) {
            prop_assert!(unpack(&bytes).count() <= bytes.len());
        }
    }
}
