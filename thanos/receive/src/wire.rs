//! Protobuf's wire form, walked without building anything, and written.

use bytes::{BufMut, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Gives each field of a message with its number. `None`: it is no message, or `give` said so.
pub(crate) fn each_field<'a>(
    mut p: &'a [u8],
    mut give: impl FnMut(u64, Field<'a>) -> Option<()>,
) -> Option<()> {
    while !p.is_empty() {
        let tag = varint(&mut p)?;
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut p)?),
            1 => {
                let (value, rest) = p.split_first_chunk()?;
                p = rest;
                Field::Fixed64(*value)
            }
            2 => {
                let len = usize::try_from(varint(&mut p)?).ok()?;
                let (body, rest) = p.split_at_checked(len)?;
                p = rest;
                Field::Bytes(body)
            }
            5 => {
                p = p.get(4..)?;
                Field::Fixed32
            }
            _ => return None,
        };
        give(tag >> 3, field)?;
    }
    Some(())
}

fn varint(p: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = p.split_first()?;
        *p = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Writes a field of bytes, or nothing where there are none.
pub(crate) fn put_bytes(out: &mut BytesMut, number: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_head(out, number, bytes.len());
        out.put_slice(bytes);
    }
}

/// Writes what comes before the content of a message or bytes.
pub(crate) fn put_head(out: &mut BytesMut, number: u32, len: usize) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

/// How long [`put_bytes`] is, with a number below 16.
pub(crate) fn bytes_len(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { 1 + encoded_len_varint(bytes.len() as u64) + bytes.len() }
}
