//! How is a decision written down so that anybody can make it again?
//!
//! Two members: `inputs`, everything that was looked at besides the snapshot,
//! and `receipt`, what led from there to the answer. The receipt is a pure
//! function of the snapshot and of the inputs *as they are written*, and names
//! their hash; so a replay against an archived snapshot comes to the very same
//! bytes, or something was changed.

mod inputs;
mod names;
mod written;

pub(crate) use inputs::{Inputs, InputsError, Question, tag_text};

use serde_json::{Value, json};

use crate::{
    evaluate::{Ask, SubjectView, explain},
    snapshot::{Snapshot, sha256_hex},
};

/// The receipt of these inputs.
pub(crate) fn receipt(snapshot: &Snapshot, inputs: &Inputs) -> Result<Value, InputsError> {
    check_snapshot(snapshot, inputs)?;
    // The written form decides, also where it was made a moment ago.
    let text = serde_json::to_string(inputs).map_err(json_error)?;
    let inputs: Inputs = serde_json::from_str(&text).map_err(json_error)?;
    let flow = snapshot.flows.get(inputs.flow.as_str());
    let user = inputs.user(flow.map(|flow| &**flow))?;
    let group = inputs.group.as_ref().map(|group| group.to_profile());
    let view = SubjectView {
        user: &user,
        group: group.as_ref(),
        attributes: inputs.attributes.as_ref(),
        conversation: inputs.conversation.as_deref(),
    };
    let ask = Ask {
        sid: &inputs.flow,
        tag: inputs.tag()?,
        channel: inputs.channel.as_deref(),
        membership: inputs.record(),
    };
    let projects = &inputs.projects;
    let sees = |project: &str| projects.is_empty() || projects.iter().any(|own| own == project);
    let explained = explain(snapshot, &view, &ask, sees, inputs.now_ms);
    let mut receipt = written::written(&explained, inputs.conversation.as_deref());
    receipt["inputs_sha256"] = json!(sha256_hex(canonical(&inputs)?.as_bytes()));
    Ok(receipt)
}

/// Inputs and receipt together.
pub(crate) fn document(snapshot: &Snapshot, inputs: &Inputs) -> Result<Value, InputsError> {
    let receipt = receipt(snapshot, inputs)?;
    Ok(json!({"inputs": inputs, "receipt": receipt}))
}

/// Inputs of another snapshot would be decided, only not as they were.
fn check_snapshot(snapshot: &Snapshot, inputs: &Inputs) -> Result<(), InputsError> {
    if inputs.format != inputs::FORMAT {
        return Err(InputsError::Format {
            found: inputs.format,
        });
    }
    let pairs = [
        ("environment", &*snapshot.environment, &inputs.environment),
        (
            "environment uid",
            &*snapshot.environment_uid,
            &inputs.environment_uid,
        ),
    ];
    let differs = |what, found: &str, expected: &str| InputsError::Snapshot {
        what,
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    for (what, found, expected) in pairs {
        if found != expected {
            return Err(differs(what, found, expected));
        }
    }
    let found = snapshot.revision;
    if found != inputs.revision()? {
        return Err(differs("revision", &found.to_string(), &inputs.revision));
    }
    Ok(())
}

/// The one spelling of inputs that is hashed: compact, members sorted.
fn canonical(inputs: &Inputs) -> Result<String, InputsError> {
    let value = serde_json::to_value(inputs).map_err(json_error)?;
    Ok(value.to_string())
}

fn json_error(error: serde_json::Error) -> InputsError {
    InputsError::Json(error.to_string())
}

#[cfg(test)]
mod tests;
