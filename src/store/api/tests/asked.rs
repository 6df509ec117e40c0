//! Which requests change flags, segments, channels, users, projects and
//! environments?
//!
//! A good one for each operation: name, method, path, body. What comes first
//! makes what the later ones need.

use super::*;

pub(super) type Asked = (&'static str, &'static str, &'static str, Value);

/// Flags and segments, from the making to the end of each.
pub(super) fn of_flags() -> Vec<Asked> {
    let named = json!({"project": "tried", "name": "tried"});
    let segment = json!({"project": "tried", "name": "grown-ups", "constraints": []});
    let strategy = |rollout: &str| {
        json!({"name": "flexibleRollout",
            "parameters": {"rollout": rollout, "stickiness": "userId", "groupId": "tried"}})
    };
    vec![
        ("createFlag", "POST", "flags", named),
        (
            "changeFlag",
            "PATCH",
            "flags/tried",
            json!({"description": "A try"}),
        ),
        (
            "enableFlag",
            "POST",
            "flags/tried/environments/production/on",
            Value::Null,
        ),
        (
            "addFlagStrategy",
            "POST",
            "flags/tried/environments/production/strategies",
            strategy("25"),
        ),
        (
            "replaceFlagStrategies",
            "PUT",
            "flags/tried/environments/production/strategies",
            json!([strategy("50"), strategy("75")]),
        ),
        (
            "removeFlagStrategy",
            "DELETE",
            "flags/tried/environments/production/strategies/1",
            Value::Null,
        ),
        (
            "disableFlag",
            "POST",
            "flags/tried/environments/production/off",
            Value::Null,
        ),
        ("createSegment", "POST", "segments", segment),
        (
            "changeSegment",
            "PATCH",
            "segments/grown-ups",
            json!({"description": "Of age"}),
        ),
        ("deleteSegment", "DELETE", "segments/grown-ups", Value::Null),
        ("archiveFlag", "POST", "flags/tried/archive", Value::Null),
        ("reviveFlag", "POST", "flags/tried/revive", Value::Null),
        ("archiveFlag", "POST", "flags/tried/archive", Value::Null),
        ("deleteFlag", "DELETE", "flags/tried", Value::Null),
    ]
}

/// What operators do to channels, users and groups.
pub(super) fn of_people() -> Vec<Asked> {
    let reset = json!({"flow": "onboarding-tour", "force": true});
    let there = json!({"flow": "onboarding-tour", "to": 1, "blocks": ["invite-colleagues"]});
    vec![
        (
            "setChannel",
            "PUT",
            "channels/kiosk",
            json!({"exclusive": true, "attributes": ["floor"]}),
        ),
        (
            "moveUser",
            "POST",
            "environments/production/users/ann/move",
            there,
        ),
        (
            "resetUser",
            "POST",
            "environments/production/users/ann/reset",
            reset,
        ),
        (
            "eraseUser",
            "DELETE",
            "environments/production/users/ann",
            Value::Null,
        ),
        (
            "eraseGroup",
            "DELETE",
            "environments/production/groups/acme",
            Value::Null,
        ),
    ]
}

/// Environments and projects that come and go.
pub(super) fn of_environments() -> Vec<Asked> {
    vec![
        (
            "createProject",
            "POST",
            "projects",
            json!({"sid": "empty", "name": "Empty"}),
        ),
        (
            "changeProject",
            "PATCH",
            "projects/empty",
            json!({"name": "Nothing"}),
        ),
        ("deleteProject", "DELETE", "projects/empty", Value::Null),
        (
            "createEnvironment",
            "POST",
            "environments",
            json!({"name": "eu", "type": "test"}),
        ),
        (
            "cloneEnvironment",
            "POST",
            "environments/production/clone",
            json!({"name": "us", "keys": true}),
        ),
        (
            "deleteEnvironment",
            "DELETE",
            "environments/eu",
            Value::Null,
        ),
    ]
}
