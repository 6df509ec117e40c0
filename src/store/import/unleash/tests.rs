//! What becomes of exports as Unleash servers write them.

use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Ambient,
    store::{
        Environment,
        flags::FlagStrategy,
        import::{ImportError, Imported, import},
    },
};

fn workspace() -> Workspace {
    let environment = |name: &str, kind| Environment {
        uid: format!("uid-{name}"),
        name: name.to_owned(),
        kind,
        drafts: false,
        access: Default::default(),
        deprecated: false,
        confirm_changes: false,
    };
    Workspace {
        environments: vec![
            environment("development", EnvironmentType::Development),
            environment("production", EnvironmentType::Production),
        ],
        ..Workspace::default()
    }
}

fn take(
    workspace: &Workspace,
    document: &Value,
    terms: &UnleashTerms,
) -> Result<Imported, ImportError> {
    let files = [SourceFile {
        name: "export.json".to_owned(),
        content: document.to_string(),
    }];
    let files = read_unleash(workspace, &files, terms);
    import(workspace, files, &Ambient::system())
}

/// As the whole state was exported by servers of version 4.
fn state() -> Value {
    json!({
        "version": 4,
        "features": [
            {"name": "new-cart", "description": "The cart", "type": "experiment", "project": "shop",
             "stale": false, "impressionData": true, "archived": false, "createdAt": "2022-01-01T00:00:00.000Z",
             "lastSeenAt": null},
            {"name": "base", "description": null, "type": "release", "project": "default", "stale": false,
             "variants": [{"name": "v", "weight": 1000, "weightType": "variable", "stickiness": "default", "overrides": []}]},
            {"name": "gone", "project": "default", "archived": true},
        ],
        "strategies": [{"name": "perTenant", "description": "", "parameters": []}],
        "projects": [{"id": "shop", "name": "The shop", "health": 100}],
        "tagTypes": [{"name": "simple"}], "tags": [], "featureTags": [{"featureName": "new-cart", "tagValue": "a"}],
        "environments": [{"name": "default", "type": "production"}],
        "featureEnvironments": [
            {"enabled": true, "featureName": "new-cart", "environment": "default", "variants": []},
            {"enabled": false, "featureName": "new-cart", "environment": "development", "variants": []},
            {"enabled": true, "featureName": "base", "environment": ":global:"},
        ],
        "featureStrategies": [
            {"id": "s2", "featureName": "new-cart", "projectId": "shop", "environment": "default",
             "strategyName": "default", "parameters": {}, "constraints": [], "sortOrder": 2, "createdAt": "x"},
            {"id": "s1", "featureName": "new-cart", "projectId": "shop", "environment": "default", "title": "",
             "strategyName": "flexibleRollout", "sortOrder": 1,
             "parameters": {"groupId": "new-cart", "rollout": "25", "stickiness": "userId"},
             "constraints": [{"contextName": "plan", "operator": "IN", "value": "", "values": ["pro"], "inverted": false, "caseInsensitive": false}]},
        ],
        "segments": [{"id": 7, "name": "testers", "description": "", "createdBy": "ada",
            "constraints": [{"contextName": "userId", "operator": "IN", "values": ["ada"]}]}],
        "featureStrategySegments": [{"featureStrategyId": "s1", "segmentId": 7}],
        "dependencies": [{"feature": "new-cart", "dependencies": [{"feature": "base", "enabled": true}]}],
    })
}

#[test]
fn an_export_of_a_whole_server_comes_in_with_what_is_not_kept_said() {
    let imported = take(&workspace(), &state(), &UnleashTerms::default()).unwrap();
    let after = &imported.workspace;
    assert_eq!(after.projects["shop"].name, "The shop");
    let flag = &after.flags["new-cart"];
    let strategies = &flag.environments["uid-production"].strategies;
    assert_eq!(strategies[0].parameters["rollout"], "25", "in their order");
    assert_eq!(
        strategies[0].segments,
        [after.segment("testers").unwrap().id]
    );
    assert_eq!(strategies[0].constraints[0].value, None);
    assert!(flag.enabled_in("uid-production") && !flag.enabled_in("uid-development"));
    assert_eq!(flag.dependencies[0].feature, "base");
    assert_eq!(after.flags["base"].variants.len(), 1);
    assert!(!after.flags.contains_key("gone"));
    let notices = imported.report.notices.iter().map(|own| own.rule.as_str());
    let notices = notices.collect::<Vec<_>>().join("\n");
    for said in [
        "environment \"default\" of the export became production",
        "1 tags of flags are not kept",
        "1 definitions of strategies are not kept",
        "archived there, and not kept",
    ] {
        assert!(notices.contains(said), "{said} not in {notices}");
    }
    let again = take(after, &state(), &UnleashTerms::default()).unwrap();
    assert!(again.writes.is_empty(), "{:?}", again.report);
}

#[test]
fn an_export_of_some_features_needs_their_segments_here() {
    let mut export = state();
    for own in export["featureStrategies"].as_array_mut().unwrap() {
        own["name"] = own["strategyName"].take();
        own.as_object_mut().unwrap().retain(|name, _| {
            !["environment", "strategyName", "projectId"].contains(&name.as_str())
        });
        own["segments"] = json!([7]);
    }
    export["featureStrategySegments"].take();
    export["featureEnvironments"] = json!([{"enabled": true, "featureName": "new-cart", "name": "new-cart",
        "environment": "development", "variants": []}]);
    export["segments"] = json!([{"id": 7, "name": "testers"}]);
    let error = take(&workspace(), &export, &UnleashTerms::default()).unwrap_err();
    assert!(error.faults[0].rule.contains("make it first"), "{error:?}");
    let known = take(&workspace(), &state(), &UnleashTerms::default())
        .unwrap()
        .workspace;
    let after = take(&known, &export, &UnleashTerms::default())
        .unwrap()
        .workspace;
    let strategies = &after.flags["new-cart"].environments["uid-development"].strategies;
    assert_eq!(strategies.len(), 2, "the environment of its flags");
    assert_eq!(
        strategies[1].segments,
        [known.segment("testers").unwrap().id]
    );
}

#[test]
fn a_document_for_clients_goes_where_it_says_or_where_it_is_told() {
    let document = json!({"version": 2, "query": {"environment": "development"}, "features": [
        {"name": "f", "type": "release", "enabled": true, "project": "default", "strategies": [
            {"name": "flexibleRollout", "segments": [3], "parameters": {"rollout": "50", "stickiness": "default", "groupId": "f"}}],
         "variants": [], "dependencies": []}],
        "segments": [{"id": 3, "constraints": []}]});
    let told = UnleashTerms {
        environment: Some("production".to_owned()),
        ..UnleashTerms::default()
    };
    for (terms, uid) in [
        (UnleashTerms::default(), "uid-development"),
        (told, "uid-production"),
    ] {
        let after = take(&workspace(), &document, &terms).unwrap().workspace;
        let flag = &after.flags["f"];
        assert_eq!(flag.environments.keys().collect::<Vec<_>>(), [uid]);
        assert!(after.segment("segment-3").is_some());
    }
}

/// Its clients let everybody in; a flag there is may have named somebody.
#[test]
fn a_document_for_clients_that_names_nobody_means_everybody_each_time() {
    let document = |strategies: Value| {
        json!({"version": 2, "query": {"environment": "production"}, "features": [
            {"name": "f", "enabled": true, "strategies": strategies}]})
    };
    let terms = UnleashTerms::default();
    let some = json!([{"name": "userWithId", "parameters": {"userIds": "ada"}}]);
    let some = take(&workspace(), &document(some), &terms)
        .unwrap()
        .workspace;
    let open = take(&some, &document(json!([])), &terms).unwrap().workspace;
    let settings = &open.flags["f"].environments["uid-production"];
    assert!(settings.enabled);
    assert_eq!(settings.strategies, [FlagStrategy::everybody("f")]);
    let again = take(&open, &document(json!([])), &terms).unwrap();
    assert!(again.writes.is_empty(), "{:?}", again.report);
}

/// Before, whom it had named went on to be the only ones.
#[test]
fn an_export_that_names_nobody_any_more_leaves_no_strategy_standing() {
    let terms = UnleashTerms::default();
    let export = |enabled: bool, strategies: Value| {
        json!({"version": 4, "features": [{"name": "f"}],
            "featureEnvironments": [{"featureName": "f", "environment": "production", "enabled": enabled}],
            "featureStrategies": strategies})
    };
    let only_ada = |place: Value| {
        json!([{"featureName": "f", "environment": place, "strategyName": "userWithId",
            "parameters": {"userIds": "ada"}}])
    };
    // A strategy that names no environment stands in the only one.
    let some = take(&workspace(), &export(true, only_ada(Value::Null)), &terms);
    let some = some.unwrap().workspace;
    let settings = &some.flags["f"].environments["uid-production"];
    assert_eq!(settings.strategies[0].parameters["userIds"], "ada");
    let again = take(&some, &export(true, only_ada("production".into())), &terms).unwrap();
    assert!(again.writes.is_empty(), "{:?}", again.report);
    for (enabled, expected) in [
        (true, vec![FlagStrategy::everybody("f")]),
        (false, Vec::new()),
    ] {
        let after = take(&some, &export(enabled, json!([])), &terms).unwrap();
        let after = after.workspace;
        let settings = &after.flags["f"].environments["uid-production"];
        assert_eq!(
            (settings.enabled, &settings.strategies),
            (enabled, &expected)
        );
        let again = take(&after, &export(enabled, json!([])), &terms).unwrap();
        assert!(again.writes.is_empty(), "{:?}", again.report);
    }
}

#[test]
fn environments_can_be_renamed_and_unknown_ones_are_refused() {
    let mut export = state();
    export["featureEnvironments"][0]["environment"] = "staging".into();
    let error = take(&workspace(), &export, &UnleashTerms::default()).unwrap_err();
    assert!(
        error.faults[0]
            .rule
            .contains("environment \"staging\" does not exist"),
        "{error:?}"
    );
    let terms = UnleashTerms {
        environments: BTreeMap::from([("staging".to_owned(), "development".to_owned())]),
        ..UnleashTerms::default()
    };
    assert!(take(&workspace(), &export, &terms).is_ok());
}

#[test]
fn what_is_no_export_is_refused() {
    for (content, rule) in [
        ("{", "no JSON"),
        ("[]", "no list of features"),
        ("{\"features\": 1}", "no list of features"),
    ] {
        let files = [SourceFile {
            name: "x".to_owned(),
            content: content.to_owned(),
        }];
        let files = read_unleash(&workspace(), &files, &UnleashTerms::default());
        let error = import(&workspace(), files, &Ambient::system()).unwrap_err();
        assert!(error.faults[0].rule.contains(rule), "{error:?}");
    }
}

/// Before, it went to a project of the name default, and so another time to
/// another project than the one it belongs to.
#[test]
fn a_segment_without_a_project_stays_where_it_is_or_goes_where_it_is_used() {
    let document = |value: &str| {
        let constraint = json!({"contextName": "plan", "operator": "IN", "values": [value]});
        json!({"version": 2, "query": {"environment": "production"},
            "segments": [
                {"id": 7, "name": "testers", "constraints": [constraint]},
                {"id": 8, "name": "nobody's", "constraints": []}],
            "features": [
                {"name": "f", "project": "shop", "enabled": true,
                 "strategies": [{"name": "default", "segments": [7]}]},
                {"name": "g", "project": "desk", "enabled": true,
                 "strategies": [{"name": "default", "segments": [7]}]}]})
    };
    let terms = UnleashTerms::default();
    let first = take(&workspace(), &document("pro"), &terms)
        .unwrap()
        .workspace;
    let project = |workspace: &Workspace, name: &str| {
        workspace
            .segment(name)
            .map(|own| own.project.clone())
            .unwrap()
    };
    assert_eq!(project(&first, "testers"), "shop");
    assert_eq!(project(&first, "nobody's"), "default");
    assert!(
        take(&first, &document("pro"), &terms)
            .unwrap()
            .writes
            .is_empty()
    );
    // Whose it is does not follow from who refers to it once it is there.
    let mut moved = document("team");
    moved["features"].as_array_mut().unwrap().remove(0);
    let moved = take(&first, &moved, &terms).unwrap().workspace;
    assert_eq!(project(&moved, "testers"), "shop");
    let values = &moved.segment("testers").unwrap().constraints[0].values;
    assert_eq!(*values, ["team"]);
    // Where strategies stand apart from their flags, they are found as well.
    let apart = json!({"version": 4,
        "segments": [{"id": 7, "name": "testers", "constraints": []}],
        "features": [{"name": "f", "project": "shop"}],
        "featureEnvironments": [{"featureName": "f", "environment": "production", "enabled": true}],
        "featureStrategies": [{"id": "s", "featureName": "f", "environment": "production", "name": "default"}],
        "featureStrategySegments": [{"featureStrategyId": "s", "segmentId": 7}]});
    let apart = take(&workspace(), &apart, &terms).unwrap().workspace;
    assert_eq!(project(&apart, "testers"), "shop");
}
