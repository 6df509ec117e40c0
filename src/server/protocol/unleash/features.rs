//! Which flags are there, for clients that evaluate themselves?
//!
//! Each flag as it was written, of the projects that the token sees, and the
//! segments these refer to. `query` repeats what was asked, because clients
//! check it. Clients that follow events get the one that leads to everything.

use serde_json::json;

use super::reply::{Ingredients, Reply};
use crate::{
    http::Answer,
    limits::FLAG_NAME_BYTES_MAX,
    server::{
        error::{Fault, Invalid, Missing},
        query::{Plus, pairs},
    },
    snapshot::flags::Flags,
};

/// All flags whose names begin as the query says.
pub(super) fn all(reply: &Reply<'_>, query: &str) -> Result<Answer, Fault> {
    let prefix = prefix(query)?;
    let snapshot = &reply.access.environment.snapshot;
    let (flags, key) = (&*snapshot.flags, reply.access.key);
    let mut own = Ingredients::of(reply.access, "features");
    own.add(snapshot.environment.as_bytes());
    own.add(prefix.as_bytes());
    own.add(snapshot.revision.to_string().as_bytes());
    let hash = own.hash();
    let tag = hash.clone();
    Ok(reply.unless_known(Some(tag), || {
        let mut body = b"{\"version\":2,".to_vec();
        flags.write_features(&mut body, |flag| {
            key.sees(&flag.project) && flag.name.starts_with(&*prefix)
        });
        let mut query = json!({
            "environment": snapshot.environment,
            "projects": if key.projects.is_empty() { vec!["*"] } else { projects(&key.projects) },
            "inlineSegmentConstraints": false,
        });
        if !prefix.is_empty() {
            query["namePrefix"] = json!(prefix);
        }
        let meta = json!({
            "etag": format!("\"{hash}\""),
            "revisionId": snapshot.revision.number,
            "queryHash": hash.get(..8),
        });
        // Writing into memory cannot fail, and neither can a text's formatting.
        body.extend_from_slice(format!(",\"query\":{query},\"meta\":{meta}}}").as_bytes());
        body
    }))
}

/// One flag.
pub(super) fn one(reply: &Reply<'_>, name: &str) -> Result<Answer, Fault> {
    let snapshot = &reply.access.environment.snapshot;
    let flag = snapshot.flags.named(name);
    let flag = flag.filter(|flag| reply.access.key.sees(&flag.project));
    let flag = flag.ok_or_else(|| Missing::Flag {
        name: name.to_owned(),
        environment: snapshot.environment.to_string(),
    })?;
    let mut own = Ingredients::of(reply.access, "feature");
    own.add(name.as_bytes());
    Ok(reply.unless_known(Some(own.hash()), || {
        let mut body = Vec::new();
        Flags::write_feature(&mut body, flag);
        body
    }))
}

/// All flags as the one event that leads to them. What a client has is told by
/// its tag; which events it lacks nobody has counted, so it gets everything
/// anew, as after events that are no longer kept.
pub(super) fn delta(reply: &Reply<'_>) -> Answer {
    let snapshot = &reply.access.environment.snapshot;
    let (flags, key) = (&*snapshot.flags, reply.access.key);
    let own = Ingredients::of(reply.access, "delta");
    reply.unless_known(Some(own.hash()), || {
        let mut body = b"{\"events\":[{\"type\":\"hydration\",\"eventId\":".to_vec();
        body.extend_from_slice(snapshot.revision.number.to_string().as_bytes());
        body.push(b',');
        flags.write_features(&mut body, |flag| key.sees(&flag.project));
        body.extend_from_slice(b"}]}");
        body
    })
}

fn projects(names: &[Box<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// What names are to begin with; empty for all.
fn prefix(query: &str) -> Result<String, Fault> {
    let mut found: Option<String> = None;
    for pair in pairs(query, Plus::Space) {
        let (name, value) = pair?;
        if name == "namePrefix" && found.replace(value.into_owned()).is_some() {
            return Err(Invalid::Repeated { what: "namePrefix" }.into());
        }
    }
    let found = found.unwrap_or_default();
    if found.len() > FLAG_NAME_BYTES_MAX {
        return Err(Invalid::Length {
            what: "namePrefix",
            found: found.len(),
            expected: "at most 255 bytes, as names have",
        }
        .into());
    }
    Ok(found)
}

// The text above names the limit.
const _: () = assert!(FLAG_NAME_BYTES_MAX == 255);
