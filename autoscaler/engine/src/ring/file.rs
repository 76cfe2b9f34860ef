//! The ring in its ConfigMap: Thanos' hashring file under the policy's key, ours beside it as an annotation.
//!
//! The file is Thanos' own (`pkg/receive/config.go`): nothing of ours is in it. Version and ordinals, which it
//! has no room for, are in the annotation; without it ordinals are found by address or name.

use std::collections::BTreeMap;

use autoscaler_api::Ring;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Member, Pod};
use crate::objects::ConfigMap;

/// Holds [`Notes`].
pub const ANNOTATION: &str = "autoscaling.gauntlet.dev/ring";

/// Largest file that is read; a ConfigMap may have 1 MiB.
const MAX_BYTES: usize = 1 << 20;

/// What the file has no room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    /// Counts every change.
    version: i64,
    /// Address by ordinal.
    members: BTreeMap<u32, String>,
}

/// What we read of one hashring of Thanos' file.
#[derive(Deserialize)]
struct Hashring {
    #[serde(default)]
    hashring: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

/// An address, or an object with one; we write addresses.
#[derive(Deserialize)]
#[serde(untagged)]
enum Endpoint {
    Address(String),
    Object { address: String },
}

/// The ring as a ConfigMap has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Counts every change; 0 if nobody counted.
    pub version: i64,
    /// In the file's order.
    pub members: Vec<Member>,
}

/// Reads the ring.
///
/// # Errors
/// The file is not Thanos' format; deleting the key starts a new ring.
pub fn read(map: &ConfigMap, ring: &Ring, pods: &[Pod], target: &str) -> Result<Current, String> {
    let notes: Notes =
        map.notes.as_ref().and_then(|notes| serde_json::from_str(notes).ok()).unwrap_or_default();
    let Some(text) = map.data.get(&ring.key).filter(|t| !t.trim().is_empty()) else {
        return Ok(Current { version: notes.version, members: Vec::new() });
    };
    if text.len() > MAX_BYTES {
        return Err(format!("key {} has {} bytes, over the limit of {MAX_BYTES}", ring.key, text.len()));
    }
    let rings: Vec<Hashring> = serde_json::from_str(text).map_err(|e| {
        format!(
            "key {} is not a hashring file: {e}; correct it, or delete the key to start a new ring",
            ring.key
        )
    })?;
    let ours = rings.into_iter().find(|r| r.hashring == ring.hashring);
    let addresses = ours.into_iter().flat_map(|r| r.endpoints).map(|e| match e {
        Endpoint::Address(address) | Endpoint::Object { address } => address,
    });
    let ordinal = |address: &str| {
        let noted = notes.members.iter().find(|(_, a)| *a == address).map(|(o, _)| *o);
        noted
            .or_else(|| pods.iter().find(|p| p.address.as_deref() == Some(address)).map(|p| p.ordinal))
            .or_else(|| {
                address.strip_prefix(target)?.strip_prefix('-')?.split(['.', ':']).next()?.parse().ok()
            })
    };
    let members = addresses.map(|address| Member { ordinal: ordinal(&address), address }).collect();
    Ok(Current { version: notes.version, members })
}

/// The key's text with the ring in it; other hashrings of the file stay.
///
/// # Errors
/// Serde's, which these types do not have.
pub fn write(map: Option<&ConfigMap>, ring: &Ring, members: &[Member]) -> Result<String, String> {
    let old = map.and_then(|m| m.data.get(&ring.key));
    let mut rings: Vec<Value> = old.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let endpoints: Value = members.iter().map(|m| m.address.as_str()).collect();
    match rings
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .find(|r| r.get("hashring").and_then(Value::as_str).unwrap_or_default() == ring.hashring)
    {
        Some(ours) => {
            ours.insert("endpoints".into(), endpoints);
            ours.insert("algorithm".into(), json!("ketama"));
        }
        None => {
            rings.push(json!({ "hashring": ring.hashring, "endpoints": endpoints, "algorithm": "ketama" }))
        }
    }
    serde_json::to_string_pretty(&rings).map_err(|e| e.to_string())
}

/// The text of [`ANNOTATION`].
#[must_use]
pub fn notes(version: i64, members: &[Member]) -> String {
    let members = members.iter().filter_map(|m| Some((m.ordinal?, m.address.clone()))).collect();
    serde_json::to_string(&Notes { version, members }).unwrap_or_default()
}

#[cfg(test)]
mod tests;
