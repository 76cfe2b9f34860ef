//! Protobuf's wire form, walked without building anything.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Gives each field of a message with its number. `None`: it is no message, or `give` said so.
pub(super) fn each_field<'a>(
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
