//! Which flags are there, for clients that evaluate themselves?
//!
//! Each flag as it was written, of the projects that the token sees, and the
//! segments these refer to; clients that know no segments get them written
//! into the flags. `query` repeats what was asked, because clients check it.

use hyper::header::{HeaderValue, VARY};
use serde_json::json;

use super::{
    reply::{Ingredients, Reply},
    wanted::{Wanted, knows_segments},
};
use crate::{
    http::Answer,
    limits::FLAGS_INLINED_BYTES_MAX,
    server::error::{Fault, Invalid, Missing},
};

/// What these answers go by beside the address.
const VARIES_BY: &str = "accept-encoding, unleash-client-spec";

/// All flags of what the query asks for.
pub(super) fn all(reply: &Reply<'_>, query: &str) -> Result<Answer, Fault> {
    let wanted = Wanted::of_query(query)?;
    let inline = !knows_segments(reply.headers);
    let snapshot = &reply.access.environment.snapshot;
    let (flags, key) = (&*snapshot.flags, reply.access.key);
    let scope = wanted.scope(key);
    if inline && flags.inlined_bytes(&scope) > FLAGS_INLINED_BYTES_MAX {
        return Err(Invalid::Missing {
            what: "Unleash-Client-Spec",
            expected: "4.2.0 or newer: with their segments written into them the flags are too large",
        }
        .into());
    }
    let mut own = Ingredients::of(reply.access, "features");
    own.add(snapshot.environment.as_bytes());
    own.add(&[u8::from(inline)]);
    own.add(wanted.prefix.as_bytes());
    own.add(snapshot.revision.to_string().as_bytes());
    for project in &wanted.projects {
        own.add(project.as_bytes());
    }
    let hash = own.hash();
    let tag = hash.clone();
    let answer = reply.unless_known(Some(tag), || {
        let mut body = b"{\"version\":2,".to_vec();
        match inline {
            true => flags.write_inlined(&mut body, &scope),
            false => flags.write_features(&mut body, &scope),
        }
        let mut query = json!({
            "environment": snapshot.environment,
            "projects": wanted.projects_told(key),
            "inlineSegmentConstraints": inline,
        });
        if !wanted.prefix.is_empty() {
            query["namePrefix"] = json!(wanted.prefix);
        }
        let meta = json!({
            "etag": format!("\"{hash}\""),
            "revisionId": snapshot.revision.number,
            "queryHash": hash.get(..8),
        });
        // Writing into memory cannot fail, and neither can a text's formatting.
        body.extend_from_slice(format!(",\"query\":{query},\"meta\":{meta}}}").as_bytes());
        body
    });
    Ok(varied(answer))
}

/// One flag.
pub(super) fn one(reply: &Reply<'_>, name: &str) -> Result<Answer, Fault> {
    let snapshot = &reply.access.environment.snapshot;
    let flags = &*snapshot.flags;
    let flag = flags.named(name);
    let flag = flag.filter(|flag| reply.access.key.sees(&flag.project));
    let flag = flag.ok_or_else(|| Missing::Flag {
        name: name.to_owned(),
        environment: snapshot.environment.to_string(),
    })?;
    let inline = !knows_segments(reply.headers);
    let mut own = Ingredients::of(reply.access, "feature");
    own.add(&[u8::from(inline)]);
    own.add(name.as_bytes());
    let answer = reply.unless_known(Some(own.hash()), || {
        let mut body = Vec::new();
        match inline {
            true => flags.write_inlined_feature(&mut body, flag),
            false => flags.write_feature(&mut body, flag),
        }
        body
    });
    Ok(varied(answer))
}

fn varied(mut answer: Answer) -> Answer {
    let varies_by = HeaderValue::from_static(VARIES_BY);
    answer.headers_mut().insert(VARY, varies_by);
    answer
}
