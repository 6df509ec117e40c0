//! Do expressions come to what the vectors say?
//!
//! [`each_case`] also walks the vectors of audiences: both are judged for a
//! subject that groups of cases change a little.

use flowgate::{
    evaluate::{BlockState, Profile, Subject, SubjectView, predicate::Predicate},
    snapshot::BlockKey,
};
use serde_json::Value;

use super::{Report, list};

pub(super) fn run(document: &Value, report: &mut Report) {
    each_case(document, |group, case, view, now| {
        let source = case["expression"].as_str().unwrap();
        let blocks = group.get("blocks").map(blocks);
        let parsed = match &blocks {
            Some(blocks) => Predicate::parse_branch(source, &|sid| {
                let mut known = blocks.iter().map(|block| block.key);
                known.find(|key| *key == BlockKey::of(sid))
            }),
            None => Predicate::parse(source),
        };
        match (parsed, case["holds"].as_bool()) {
            (Ok(predicate), Some(expected)) => {
                let holds = predicate.holds_in(&view, now, blocks.as_deref());
                report.same(source, holds, expected);
            }
            (Err(error), None) => {
                if let Some(position) = case["position"].as_u64() {
                    report.same(source, error.position as u64, position);
                }
                report.says(source, &error.message, &case["message"]);
            }
            (parsed, _) => report.same(source, parsed.is_ok(), case["holds"].is_boolean()),
        }
    });
}

/// Hands every case to `judge`, with its group and the view it is judged for.
pub(super) fn each_case(
    document: &Value,
    mut judge: impl FnMut(&Value, &Value, SubjectView<'_>, u64),
) {
    let now = document["now"].as_u64().unwrap();
    let user = Subject {
        profile: profile(&document["subject"]["user"]).unwrap().into(),
        flows: Vec::new(),
    };
    for group in list(&document["groups"]) {
        let company = profile(group.get("group").unwrap_or(&document["subject"]["group"]));
        let view = SubjectView {
            user: &user,
            group: company.as_ref(),
            attributes: group.get("attributes").and_then(Value::as_object),
            conversation: None,
        };
        for case in list(&group["cases"]) {
            judge(group, case, view, now);
        }
    }
}

fn profile(value: &Value) -> Option<Profile> {
    Some(Profile {
        identifier: value["identifier"].as_str()?.into(),
        created_ms: value["createdAt"].as_u64(),
        updated_ms: value["updatedAt"].as_u64(),
        properties: value["properties"].as_object().cloned().unwrap_or_default(),
    })
}

/// Where the blocks of a group stand: their sids, and what is true of each.
fn blocks(value: &Value) -> Vec<BlockState> {
    let mut blocks: Vec<BlockState> = value
        .as_object()
        .expect("blocks by sid")
        .iter()
        .map(|(sid, stands)| {
            let is = |name: &str| list(stands).iter().any(|one| one == name);
            BlockState {
                key: BlockKey::of(sid),
                active: is("active"),
                entered: is("entered"),
                exited: is("exited"),
                taken: Box::default(),
            }
        })
        .collect();
    blocks.sort_unstable_by_key(|block| block.key);
    blocks
}
