//! Protobuf bodies, as client-go's typed clients send them: an envelope (`k8s\0`, then `runtime.Unknown`) around an
//! object in the form of its type.
//!
//! The object becomes the JSON that the same client would have sent: zeros of fields that JSON leaves out go. Source:
//! k8s.io/apimachinery `pkg/runtime/serializer/protobuf` (envelope), `types.txt` (types).

mod wire;

use serde_json::{Map, Value, json};

use crate::types::{self, Field, Message, Of, Shape};
use wire::{Fault, Part, Payload};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Structures within structures; the types need fifteen.
const DEPTH_MAX: usize = 64;
/// Values in one body: a small message can say very many of them.
const VALUES_MAX: usize = 200_000;

/// The object in a body.
///
/// # Errors
/// Words for a body that is none, or of a kind that has no protobuf form here.
pub(super) fn decode(body: &[u8]) -> Result<Value, Fault> {
    let unknown = body.strip_prefix(MAGIC).ok_or("it does not begin with the bytes \"k8s\\0\"")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in wire::parts(unknown) {
        match part? {
            Part { number: 1, payload: Payload::Bytes(meta) } => {
                for part in wire::parts(meta) {
                    match part? {
                        Part { number: 1, payload: Payload::Bytes(text) } => api_version = utf8(text)?,
                        Part { number: 2, payload: Payload::Bytes(text) } => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            Part { number: 2, payload: Payload::Bytes(bytes) } => raw = bytes,
            Part { number: 3, payload: Payload::Bytes(encoding) } if !encoding.is_empty() => {
                return Err("its content is encoded".into());
            }
            _ => {}
        }
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let name = if group == "events.k8s.io" { format!("events.{kind}") } else { kind.clone() };
    // Of definitions the table knows a part only.
    let message = types::message(&name)
        .filter(|m| m.field("metadata").is_some() || kind == "DeleteOptions")
        .filter(|_| kind != "CustomResourceDefinition")
        .ok_or_else(|| format!("{api_version} {kind} is not read as protobuf: send JSON"))?;
    let mut object = Reader { values: VALUES_MAX }.message(raw, message, DEPTH_MAX)?;
    if let Value::Object(map) = &mut object {
        map.insert("apiVersion".into(), json!(api_version));
        map.insert("kind".into(), json!(kind));
    }
    Ok(object)
}

fn utf8(bytes: &[u8]) -> Result<String, Fault> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text is not UTF-8".into())
}

/// Reads messages, and counts what it makes of them.
struct Reader {
    values: usize,
}

impl Reader {
    fn message(&mut self, bytes: &[u8], message: &Message, depth: usize) -> Result<Value, Fault> {
        let mut out = Map::new();
        self.fill(bytes, message, depth, &mut out)?;
        Ok(Value::Object(out))
    }

    fn fill(
        &mut self,
        bytes: &[u8],
        message: &Message,
        depth: usize,
        out: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
        for part in wire::parts(bytes) {
            let part = part?;
            let Some(field) = message.numbered(part.number) else { continue };
            self.values = self.values.checked_sub(1).ok_or("it has too many values")?;
            if field.name == ">" {
                if let (Payload::Bytes(bytes), Some(inlined)) = (part.payload, field.message()) {
                    self.fill(bytes, inlined, depth, out)?;
                }
                continue;
            }
            match field.shape {
                Shape::One => {
                    let value = self.value(part.payload, field, depth)?;
                    if field.pointer || field.always || !is_zero(&value) {
                        out.insert(field.name.to_owned(), value);
                    }
                }
                Shape::List => {
                    let value = self.value(part.payload, field, depth)?;
                    let list = out.entry(field.name).or_insert_with(|| json!([]));
                    if let Value::Array(list) = list {
                        list.push(value);
                    }
                }
                Shape::Map => {
                    let (key, value) = self.entry(part.payload, field, depth)?;
                    let map = out.entry(field.name).or_insert_with(|| json!({}));
                    if let Value::Object(map) = map {
                        map.insert(key, value);
                    }
                }
            }
        }
        Ok(())
    }

    /// One pair of a map: a message of a key and a value, each of which may be left out.
    fn entry(&mut self, payload: Payload<'_>, field: &Field, depth: usize) -> Result<(String, Value), Fault> {
        let Payload::Bytes(bytes) = payload else { return Err(mistaken(field)) };
        let (mut key, mut value) = (String::new(), None);
        for part in wire::parts(bytes) {
            match part? {
                Part { number: 1, payload: Payload::Bytes(text) } => key = utf8(text)?,
                Part { number: 2, payload } => value = Some(self.value(payload, field, depth)?),
                _ => {}
            }
        }
        let value = match value {
            Some(value) => value,
            None => self.value(Payload::Bytes(&[]), field, depth)?,
        };
        Ok((key, value))
    }

    fn value(&mut self, payload: Payload<'_>, field: &Field, depth: usize) -> Result<Value, Fault> {
        Ok(match (field.of, payload) {
            (Of::Text, Payload::Bytes(text)) => json!(utf8(text)?),
            (Of::Integer, Payload::Varint(n)) => json!(signed(n)),
            (Of::Boolean, Payload::Varint(n)) => json!(n != 0),
            (Of::Float, Payload::Fixed(bits)) => json!(f64::from_bits(bits)),
            (Of::Bytes, Payload::Bytes(bytes)) => base64(bytes),
            (Of::Time, Payload::Bytes(bytes)) => time(bytes, false)?,
            (Of::MicroTime, Payload::Bytes(bytes)) => time(bytes, true)?,
            (Of::Duration, Payload::Bytes(bytes)) => json!(format!("{}ns", first_varint(bytes)?)),
            (Of::Quantity, Payload::Bytes(bytes)) => match first_bytes(bytes)? {
                Some(text) => json!(utf8(text)?),
                None => json!("0"),
            },
            (Of::IntOrString, Payload::Bytes(bytes)) => int_or_string(bytes)?,
            (Of::Raw | Of::Fields, Payload::Bytes(bytes)) => match first_bytes(bytes)? {
                Some(text) => {
                    let (value, _) = super::json::parse(text).map_err(|e| format!("JSON within it: {e}"))?;
                    value
                }
                None => Value::Null,
            },
            (Of::Message(_), Payload::Bytes(bytes)) => match field.message() {
                Some(message) => self.message(bytes, message, depth)?,
                None => return Err(mistaken(field)),
            },
            _ => return Err(mistaken(field)),
        })
    }
}

fn mistaken(field: &Field) -> Fault {
    format!("field {:?} (number {}) has the wrong wire type", field.name, field.number)
}

/// Zero of what JSON leaves out.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(flag) => !flag,
        Value::Null => true,
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Two's complement, as int32 and int64 are sent.
fn signed(n: u64) -> i64 {
    i64::from_ne_bytes(n.to_ne_bytes())
}

fn first_bytes(message: &[u8]) -> Result<Option<&[u8]>, Fault> {
    for part in wire::parts(message) {
        if let Part { number: 1, payload: Payload::Bytes(bytes) } = part? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn first_varint(message: &[u8]) -> Result<i64, Fault> {
    for part in wire::parts(message) {
        if let Part { number: 1, payload: Payload::Varint(n) } = part? {
            return Ok(signed(n));
        }
    }
    Ok(0)
}

/// `{type, intVal, strVal}`.
fn int_or_string(message: &[u8]) -> Result<Value, Fault> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for part in wire::parts(message) {
        match part? {
            Part { number: 1, payload: Payload::Varint(kind) } => is_text = kind == 1,
            Part { number: 2, payload: Payload::Varint(n) } => number = signed(n),
            Part { number: 3, payload: Payload::Bytes(bytes) } => text = utf8(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

/// `{seconds, nanos}`; nothing at all is no time.
fn time(message: &[u8], micro: bool) -> Result<Value, Fault> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut given = false;
    for part in wire::parts(message) {
        match part? {
            Part { number: 1, payload: Payload::Varint(n) } => (seconds, given) = (signed(n), true),
            Part { number: 2, payload: Payload::Varint(n) } => (nanos, given) = (signed(n), true),
            _ => {}
        }
    }
    if !given {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).map_err(|_| "a time is out of range")?;
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| "a time is out of range")?;
    let format = if micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(json!(time.strftime(format).to_string()))
}

fn base64(bytes: &[u8]) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
