//! What is said of channels, deployments and webhooks, and what is refused.

use super::*;
use crate::snapshot::wire::{OnVersionChange, Remember, RolloutId, VersionPolicy};

/// A flow with two versions and a full deployment.
const DEPLOYED: &str = "
flowgate: project/1
project: shop
channels:
  - {name: web, attributes: [tags, plan]}
  - {name: 'intercom:acme', exclusive: true}
flows:
  - sid: chat
    deploymentsOnly: true
    versions:
      - {number: 1, blocks: [{sid: a, type: card}], paths: [{from: entry, to: a}]}
      - {number: 2, blocks: [{sid: a, type: card}], paths: [{from: entry, to: a}]}
    deployments:
      - name: vips
        environment: production
        channel: web
        version: 1
        audience:
          - name: paying
            rules:
              - {attribute: tags, operator: contains, value: vip, ignoreCase: true}
              - {attribute: plan, operator: is_not_empty}
          - rules: [{attribute: group.seats, operator: greater_than, value: 50}]
        percentage: 12.5
        schedule:
          - {at: '2026-05-01T00:00:00Z', percentage: 25}
          - {at: '2026-06-01T00:00:00Z', basisPoints: 5000}
        salt: pepper
        id: {attribute: tags}
        remember: user
        onVersionChange: migrate
      - {name: acme, environment: production, channel: 'intercom:acme', active: false, id: group}
";

fn deployed() -> Workspace {
    take(&workspace(), DEPLOYED).unwrap().workspace
}

fn named<'w>(workspace: &'w Workspace, name: &str) -> &'w Deployment {
    workspace.deployment("uid-production", name).unwrap()
}

use crate::store::workspace::Deployment;

#[test]
fn every_member_of_a_deployment_is_read() {
    let workspace = deployed();
    let flow = &workspace.flows["chat"];
    assert!(flow.deployments_only);
    assert!(workspace.channels["intercom:acme"].exclusive);
    assert_eq!(workspace.channels["web"].attributes, ["tags", "plan"]);
    let vips = named(&workspace, "vips");
    assert_eq!(vips.flow_uid, flow.uid);
    assert_eq!(vips.channel, "web");
    assert_eq!(vips.policy, VersionPolicy::Pinned(1));
    assert!(vips.active, "active unless the file says otherwise");
    assert_eq!(vips.on_version_change, Some(OnVersionChange::Migrate));
    let rollout = &vips.rollout;
    assert_eq!(rollout.basis_points, 1_250);
    assert_eq!(rollout.salt, "pepper");
    assert_eq!(rollout.id, RolloutId::Attribute("tags".to_owned()));
    assert_eq!(rollout.remember, Remember::User);
    let points: Vec<u16> = rollout
        .schedule
        .iter()
        .map(|own| own.basis_points)
        .collect();
    assert_eq!(points, [2_500, 5_000]);
    let [paying, large] = rollout.alternatives.as_slice() else {
        panic!("two alternatives expected, got {:?}", rollout.alternatives);
    };
    assert_eq!(paying.name.as_deref(), Some("paying"));
    assert!(paying.rules[0].ignore_case);
    assert_eq!(large.rules[0].value, serde_json::json!(50));
    let acme = named(&workspace, "acme");
    assert!(!acme.active);
    assert_eq!(acme.policy, VersionPolicy::Latest);
    assert_eq!(acme.rollout.basis_points, 10_000, "all of them by default");
    assert_eq!(acme.rollout.id, RolloutId::Group);
}

#[test]
fn members_may_be_written_with_dashes() {
    let dashes = DEPLOYED
        .replace("deploymentsOnly", "deployments-only")
        .replace("basisPoints", "basis-points")
        .replace("ignoreCase", "ignore-case")
        .replace("onVersionChange", "on-version-change");
    assert!(take(&deployed(), &dashes).unwrap().writes.is_empty());
    let twice = DEPLOYED.replace(
        "deploymentsOnly: true",
        "deploymentsOnly: true\n    deployments-only: true",
    );
    let said = faults(&workspace(), &twice);
    assert!(
        said.contains("deploymentsOnly appears in two spellings"),
        "{said}"
    );
}

#[test]
fn salt_and_uid_are_made_once_and_survive_edits() {
    let plain = DEPLOYED.replace("        salt: pepper\n", "");
    let first = take(&workspace(), &plain).unwrap().workspace;
    let made = named(&first, "vips").clone();
    assert!(!made.rollout.salt.is_empty() && !made.uid.is_empty());
    assert_ne!(made.rollout.salt, named(&first, "acme").rollout.salt);
    let edited = plain.replace("percentage: 12.5", "percentage: 50");
    let imported = take(&first, &edited).unwrap();
    assert_eq!(kinds(&imported), [ChangeKind::DeploymentChanged]);
    let changed = &imported.report.changes[0];
    assert_eq!(changed.deployment.as_deref(), Some("vips"));
    assert_eq!(changed.environment.as_deref(), Some("production"));
    let after = named(&imported.workspace, "vips");
    assert_eq!(after.uid, made.uid);
    assert_eq!(after.rollout.salt, made.rollout.salt);
    assert_eq!(after.rollout.basis_points, 5_000);
    // What the file does not say of activity and percentage stays, too.
    let silent = edited.replace("        percentage: 50\n", "");
    assert!(
        take(&imported.workspace, &silent)
            .unwrap()
            .writes
            .is_empty()
    );
    let renamed = plain.replace(
        "name: vips",
        &format!("name: very important\n        uid: {}", made.uid),
    );
    let imported = take(&first, &renamed).unwrap();
    assert_eq!(named(&imported.workspace, "very important").uid, made.uid);
    assert_eq!(imported.workspace.deployments.len(), 2);
}

#[test]
fn a_deployment_left_out_of_the_file_stays() {
    let before = deployed();
    let at = DEPLOYED.find("    deployments:").unwrap();
    let without = take(&before, &DEPLOYED[..at]).unwrap();
    assert!(without.writes.is_empty(), "{:?}", without.report);
}

#[test]
fn every_fault_of_a_deployment_is_named_with_its_place() {
    let vips = "flow \"chat\", deployment \"vips\"";
    for (old, new, place, rule) in [
        (
            "environment: production\n",
            "environment: nowhere\n",
            vips,
            "expected one of development, production",
        ),
        (
            "channel: web",
            "channel: 'a b'",
            vips,
            "platform or platform:workspace",
        ),
        ("        channel: web\n", "", vips, "channel is missing"),
        (
            "version: 1",
            "version: 7",
            vips,
            "version 7 of flow \"chat\" does not exist (expected latest or 1 to 2)",
        ),
        (
            "version: 1",
            "version: 0",
            vips,
            "expected latest or a whole number from 1 on",
        ),
        (
            "version: 1",
            "version: newest",
            vips,
            "expected latest or a whole number",
        ),
        (
            "percentage: 12.5",
            "percentage: 101",
            vips,
            "percentage is 101",
        ),
        (
            "percentage: 12.5",
            "percentage: -1",
            vips,
            "percentage is -1",
        ),
        (
            "percentage: 12.5",
            "percentage: 12.345",
            vips,
            "at most two decimals",
        ),
        (
            "percentage: 12.5",
            "percentage: ten",
            vips,
            "percentage is \"ten\"",
        ),
        (
            "percentage: 12.5",
            "basisPoints: 10001",
            vips,
            "basisPoints is 10001",
        ),
        (
            "percentage: 12.5",
            "percentage: 1\n        basisPoints: 100",
            vips,
            "expected one of the two",
        ),
        (
            "operator: is_not_empty",
            "operator: like",
            "alternative 1, rule 2",
            "operator is \"like\"",
        ),
        (
            "operator: is_not_empty",
            "value: 1",
            "alternative 1, rule 2",
            "operator is missing",
        ),
        (
            "rules: [{attribute: group.seats, operator: greater_than, value: 50}]",
            "name: empty",
            vips,
            "alternative 2: found no rules",
        ),
        (
            "basisPoints: 5000",
            "speed: 3",
            "schedule entry 2",
            "percentage is missing",
        ),
        ("2026-06-01", "2026-04-01", vips, "ascending times"),
        (
            "2026-06-01T00:00:00Z",
            "soon",
            "schedule entry 2",
            "at is \"soon\"",
        ),
        ("salt: pepper", "salt: [1]", vips, "salt is a list"),
        (
            "id: {attribute: tags}",
            "id: {shoe: 43}",
            vips,
            "id holds something else",
        ),
        (
            "remember: user",
            "remember: forever",
            vips,
            "expected conversation, user or nothing",
        ),
        (
            "onVersionChange: migrate",
            "onVersionChange: cry",
            vips,
            "expected stay or migrate",
        ),
        (
            "salt: pepper",
            "pepper: salt",
            vips,
            "unknown member \"pepper\"",
        ),
        (
            "name: acme",
            "name: vips",
            vips,
            "the deployment appears twice in this import",
        ),
        (
            "name: 'intercom:acme', exclusive",
            "name: web, exclusive",
            "channel \"web\"",
            "the channel appears twice",
        ),
        (
            "{name: web, attributes: [tags, plan]}",
            "{name: ':', attributes: [tags, plan]}",
            "channel 1",
            "platform:workspace",
        ),
        (
            "attributes: [tags, plan]",
            "attributes: [tags, tags]",
            "channel \"web\"",
            "appears twice",
        ),
    ] {
        assert!(DEPLOYED.contains(old), "{old}");
        let said = faults(&workspace(), &DEPLOYED.replacen(old, new, 1));
        let found = said
            .lines()
            .any(|line| line.contains(place) && line.contains(rule));
        assert!(found, "{place} … {rule} not in:\n{said}");
    }
    let second = "
  - sid: survey
    deployments: [{name: vips, environment: production, channel: email}]
";
    let said = faults(&workspace(), &format!("{DEPLOYED}{second}"));
    let expected = "another deployment of environment production is named \"vips\"";
    assert_eq!(said.matches(expected).count(), 2, "{said}");
    let top = format!("{DEPLOYED}deployments: []\n");
    assert!(faults(&workspace(), &top).contains("stand under the flow"));
}

/// One more deployment of the flow.
fn and(line: &str) -> String {
    format!("{DEPLOYED}      - {line}\n")
}

#[test]
fn deployments_that_contradict_each_other_are_refused() {
    let same = and("{name: other, environment: production, channel: web}");
    let said = faults(&workspace(), &same);
    assert!(
        said.contains("\"vips\" is active for the same flow on channel \"web\""),
        "{said}"
    );
    assert!(
        said.contains("\"other\" is active for the same flow on channel \"web\""),
        "{said}"
    );
    for sound in [
        "{name: other, environment: production, channel: web, active: false}",
        "{name: other, environment: development, channel: web}",
        "{name: vips, environment: development, channel: web}",
        "{name: other, environment: production, channel: slack}",
    ] {
        assert!(take(&workspace(), &and(sound)).is_ok(), "{sound}");
    }
    // On an exclusive channel also those of different flows.
    let second = "
  - sid: survey
    deployments: [{name: ask, environment: production, channel: 'intercom:acme'}]
";
    let both = format!("{DEPLOYED}{second}");
    assert!(take(&workspace(), &both).is_ok(), "the other is not active");
    let both = both.replace("active: false", "active: true");
    let said = faults(&workspace(), &both);
    assert!(
        said.contains("active on the exclusive channel \"intercom:acme\""),
        "{said}"
    );
}

#[test]
fn two_deployments_may_change_places_in_one_import() {
    let two = and("{name: other, environment: production, channel: web, active: false}");
    let before = take(&workspace(), &two).unwrap().workspace;
    let swapped = two
        .replace("channel: web, active: false", "channel: web, active: true")
        .replace("name: vips", "name: vips\n        active: false");
    let after = take(&before, &swapped).unwrap().workspace;
    assert!(named(&after, "other").active && !named(&after, "vips").active);
}

#[test]
fn a_channel_cannot_become_exclusive_under_two_active_deployments() {
    let second = "
  - sid: survey
    deployments: [{name: ask, environment: production, channel: web}]
";
    let before = take(&workspace(), &format!("{DEPLOYED}{second}"))
        .unwrap()
        .workspace;
    let said = faults(
        &before,
        "
flowgate: project/1
project: shop
channels: [{name: web, exclusive: true}]
",
    );
    assert!(
        said.contains("channel \"web\": deployment \"vips\""),
        "{said}"
    );
}

#[test]
fn what_may_not_be_meant_is_noticed_once() {
    let notices = |before: &Workspace, content: &str| -> String {
        let imported = take(before, content).unwrap();
        let notices = imported.report.notices.iter();
        notices.map(|own| format!("{own}\n")).collect()
    };
    let unknown = DEPLOYED
        .replace("attributes: [tags, plan]", "attributes: [plan]")
        .replace(
            "environment: production, channel: 'intercom:acme'",
            "environment: production, channel: slack",
        );
    let said = notices(&workspace(), &unknown);
    for expected in [
        "deployment \"vips\": alternative 1, rule 1: channel \"web\" is not said to carry the attribute \"tags\"",
        "deployment \"vips\": id: channel \"web\"",
        "deployment \"acme\": nobody described the channel \"slack\"",
        "deployment \"acme\": 100 % is a full launch",
    ] {
        assert!(said.contains(expected), "{expected} not in:\n{said}");
    }
    assert!(!said.contains("group.seats"), "{said}");
    let after = take(&workspace(), &unknown).unwrap().workspace;
    assert_eq!(notices(&after, &unknown), "", "nothing changed");
    let launched = DEPLOYED.replace("percentage: 12.5", "percentage: 100");
    let said = notices(&deployed(), &launched);
    assert!(
        said.contains("whoever was excluded earlier is let in"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn uids_of_other_deployments_are_refused() {
    let before = deployed();
    let uid = &named(&before, "vips").uid;
    let moved = and(&format!(
        "{{name: x, uid: {uid}, environment: development, channel: web}}"
    ));
    let said = faults(&before, &moved);
    assert!(said.contains("belongs to deployment \"vips\""), "{said}");
    let other = DEPLOYED.replace("name: vips", "name: vips\n        uid: mine");
    let said = faults(&before, &other);
    assert!(said.contains("uid is \"mine\" (expected"), "{said}");
    let twice = and(&format!(
        "{{name: x, uid: {uid}, environment: production, channel: web}}"
    ));
    assert!(faults(&before, &twice).contains("appears twice in this import"));
}
