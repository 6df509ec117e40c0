//! Which bytes do clients get for flags?
//!
//! A frontend's answer is made of pieces that were serialised when the flags
//! were compiled, one for each thing a flag can come to; clients that evaluate
//! themselves get the flags as they were written. Writing copies, and allocates
//! nothing beyond the buffer it is given.

use serde_json::{Value, json};

use super::{Flag, FlagScope, Flags, Variant};

/// What a flag came to.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'f> {
    /// Whether it is on.
    pub enabled: bool,
    /// Which variant it has, if it is on and has any.
    pub variant: Option<&'f Variant>,
}

impl Judged<'_> {
    /// Off.
    pub const OFF: Self = Self {
        enabled: false,
        variant: None,
    };
}

impl Flag {
    /// A frontend's answer about this flag, as JSON.
    #[inline]
    pub fn toggle<'f>(&'f self, judged: &Judged<'f>) -> &'f [u8] {
        match judged {
            Judged {
                variant: Some(variant),
                ..
            } => &variant.on,
            Judged { enabled: true, .. } => &self.on,
            Judged { enabled: false, .. } => &self.off,
        }
    }
}

impl Variant {
    pub(super) fn bytes(&self) -> usize {
        self.on.len()
    }
}

impl Flags {
    /// The most bytes all answers have together, with a comma each.
    pub fn toggles_bytes_max(&self) -> usize {
        self.toggles_bytes_max
    }

    /// Appends `"features":[…],"segments":[…]` with the flags of a scope and
    /// the segments they refer to.
    pub fn write_features(&self, out: &mut Vec<u8>, scope: &FlagScope<'_>) {
        let mut used = vec![false; self.segments.len()];
        out.extend_from_slice(b"\"features\":[");
        let mut separator: &[u8] = b"";
        for flag in self.list.iter().filter(|flag| scope.has(flag)) {
            out.extend_from_slice(separator);
            out.extend_from_slice(&flag.source);
            separator = b",";
            for place in &flag.refers {
                used[*place] = true;
            }
        }
        out.extend_from_slice(b"],\"segments\":[");
        separator = b"";
        for (segment, _) in self.segments.iter().zip(used).filter(|(_, used)| *used) {
            out.extend_from_slice(separator);
            out.extend_from_slice(&segment.source);
            separator = b",";
        }
        out.push(b']');
    }

    /// Appends one flag as it was written.
    pub fn write_feature(&self, out: &mut Vec<u8>, flag: &Flag) {
        out.extend_from_slice(&flag.source);
    }

    /// The same as [`write_features`](Self::write_features) for clients that
    /// know no segments.
    pub fn write_inlined(&self, out: &mut Vec<u8>, scope: &FlagScope<'_>) {
        out.extend_from_slice(b"\"features\":[");
        let mut separator: &[u8] = b"";
        for flag in self.list.iter().filter(|flag| scope.has(flag)) {
            out.extend_from_slice(separator);
            self.write_inlined_feature(out, flag);
            separator = b",";
        }
        out.extend_from_slice(b"],\"segments\":[]");
    }

    /// One flag, likewise.
    pub fn write_inlined_feature(&self, out: &mut Vec<u8>, flag: &Flag) {
        match &flag.inlined {
            Some(inlined) => inlined.write(out, self),
            None => out.extend_from_slice(&flag.source),
        }
    }

    /// How many bytes these flags have with their segments in them.
    pub fn inlined_bytes(&self, scope: &FlagScope<'_>) -> usize {
        let flags = self.list.iter().filter(|flag| scope.has(flag));
        let bytes = flags.map(|flag| match &flag.inlined {
            Some(inlined) => inlined.bytes(self) + 1,
            None => flag.source.len() + 1,
        });
        bytes.sum()
    }
}

/// A value as it was written, without spaces.
pub(super) fn source(value: &Value) -> Box<[u8]> {
    value.to_string().into_bytes().into()
}

/// The elements of a list as they were written, without brackets.
pub(super) fn elements(list: Option<&Value>) -> Box<[u8]> {
    let list = list.and_then(Value::as_array);
    let list = list.into_iter().flatten().map(Value::to_string);
    list.collect::<Vec<String>>().join(",").into_bytes().into()
}

/// A frontend's answer about a flag. Each fact stands twice, under the names of
/// older and newer clients.
pub(super) fn toggle(
    name: &str,
    enabled: bool,
    variant: Option<(&str, Option<&Value>)>,
    impression_data: bool,
) -> Box<[u8]> {
    let payload = variant.and_then(|(_, payload)| payload);
    let chosen = variant.map_or("disabled", |(name, _)| name);
    let answer = json!({
        "name": name,
        "enabled": enabled,
        "variant": {
            "name": chosen,
            "enabled": variant.is_some(),
            "payload": payload,
            "feature_enabled": enabled,
            "featureEnabled": enabled,
        },
        "impressionData": impression_data,
        "impression_data": impression_data,
    });
    answer.to_string().into_bytes().into()
}
