//! The wire format of protobuf: numbered parts, of which nothing is known but where they end.

/// Words for what is wrong.
pub(super) type Fault = String;

/// One field as it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) number: u64,
    pub(super) payload: Payload<'a>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Payload<'a> {
    Varint(u64),
    /// Four or eight bytes.
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// The parts of a message, in the order that they were sent; ends with the first fault.
pub(super) fn parts(message: &[u8]) -> impl Iterator<Item = Result<Part<'_>, Fault>> {
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let mut bytes = rest.filter(|b| !b.is_empty())?;
        let part = part(&mut bytes).ok_or_else(|| "it ends within a field".to_owned());
        rest = part.is_ok().then_some(bytes);
        Some(part)
    })
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<Part<'a>> {
    let key = varint(bytes)?;
    let payload = match key & 7 {
        0 => Payload::Varint(varint(bytes)?),
        1 => Payload::Fixed(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let len = usize::try_from(varint(bytes)?).ok()?;
            Payload::Bytes(take(bytes, len)?)
        }
        5 => Payload::Fixed(u64::from(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))),
        _ => return None,
    };
    Some(Part { number: key >> 3, payload })
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// At most ten bytes; what does not fit is cut, as by other readers.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
