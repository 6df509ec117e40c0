//! What are a subject's properties after an identify call?
//!
//! The edge merges as the ledger will, so that a call is visible at once and
//! one that would exceed a limit is refused before it is stored.

use serde_json::{Map, Value};

use crate::{
    evaluate::Profile,
    limits::{PROPERTIES_BYTES_MAX, PROPERTIES_MAX},
};

/// A profile after merging properties; null removes.
pub(super) fn merged(
    profile: &Profile,
    properties: &Map<String, Value>,
    now: u64,
) -> Result<Profile, String> {
    let mut merged = profile.clone();
    for (name, value) in properties {
        if value.is_null() {
            merged.properties.remove(name);
        } else {
            merged.properties.insert(name.clone(), value.clone());
        }
    }
    if merged.properties.len() > PROPERTIES_MAX {
        return Err(format!(
            "{} properties after merging; at most {PROPERTIES_MAX} are kept",
            merged.properties.len()
        ));
    }
    let bytes = serde_json::to_vec(&merged.properties).map_or(usize::MAX, |text| text.len());
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(format!(
            "properties of {bytes} bytes after merging; at most {PROPERTIES_BYTES_MAX} are kept"
        ));
    }
    merged.created_ms.get_or_insert(now);
    merged.updated_ms = Some(now);
    Ok(merged)
}
