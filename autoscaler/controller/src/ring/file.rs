//! The ring in its ConfigMap: Thanos' hashring file under the policy's key, ours beside it as an annotation.
//!
//! The file is Thanos' own (`pkg/receive/config.go`): nothing of ours is in it. Version and ordinals, which it
//! has no room for, are in the annotation; without it ordinals are found by address or name.

use std::collections::BTreeMap;

use autoscaler_api::Ring;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Member, Pod};

/// Holds [`Notes`].
pub(crate) const ANNOTATION: &str = "autoscaling.gauntlet.dev/ring";

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
pub(crate) struct Current {
    /// Counts every change; 0 if nobody counted.
    pub version: i64,
    /// In the file's order.
    pub members: Vec<Member>,
}

/// Reads the ring.
///
/// # Errors
/// The file is not Thanos' format; deleting the key starts a new ring.
pub(crate) fn read(map: &ConfigMap, ring: &Ring, pods: &[Pod], target: &str) -> Result<Current, String> {
    let notes: Notes = map
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| serde_json::from_str(a.get(ANNOTATION)?).ok())
        .unwrap_or_default();
    let Some(text) = map.data.as_ref().and_then(|d| d.get(&ring.key)).filter(|t| !t.trim().is_empty()) else {
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

/// Puts the ring into the ConfigMap; other keys, and other hashrings of the file, stay.
pub(crate) fn write(
    map: &mut ConfigMap,
    ring: &Ring,
    version: i64,
    members: &[Member],
) -> Result<(), String> {
    let data = map.data.get_or_insert_default();
    let mut rings: Vec<Value> =
        data.get(&ring.key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let at = rings.iter().position(|r| r["hashring"] == ring.hashring.as_str()).unwrap_or_else(|| {
        rings.push(json!({ "hashring": ring.hashring }));
        rings.len() - 1
    });
    rings[at]["endpoints"] = members.iter().map(|m| m.address.as_str()).collect();
    rings[at]["algorithm"] = json!("ketama");
    let text = serde_json::to_string_pretty(&rings).map_err(|e| e.to_string())?;
    data.insert(ring.key.clone(), text);
    let notes = Notes {
        version,
        members: members.iter().filter_map(|m| Some((m.ordinal?, m.address.clone()))).collect(),
    };
    let notes = serde_json::to_string(&notes).map_err(|e| e.to_string())?;
    map.metadata.annotations.get_or_insert_default().insert(ANNOTATION.into(), notes);
    Ok(())
}
