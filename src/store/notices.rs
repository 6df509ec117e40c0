//! What may an author of a deployment not have meant?
//!
//! Everything here is allowed. Imports tell it as notices, the API and the
//! command line as notes, before and after it is done.

use super::{
    deploying::BASIS_POINTS,
    workspace::{Channel, Deployment, Workspace},
};
use crate::{clock::UnixMs, snapshot::wire::RolloutId};

/// What is said when a deployment is set to everybody.
pub(super) fn full_launch(before: Option<&Deployment>, after: &Deployment) -> Option<&'static str> {
    let launches = |deployment: &Deployment| reaches(deployment, BASIS_POINTS);
    (launches(after) && !before.is_some_and(launches)).then_some(
        "100 % is a full launch: whoever was excluded earlier is let in, and stays in when the \
         percentage is lowered again",
    )
}

/// What is said when a deployment is set to nobody.
pub(super) fn closed(before: Option<&Deployment>, after: &Deployment) -> Option<&'static str> {
    let closes = |deployment: &Deployment| reaches(deployment, 0);
    (closes(after) && !before.is_some_and(closes)).then_some(
        "at 0 % nobody new enters and nothing is recorded; whoever was let in before stays in",
    )
}

fn reaches(deployment: &Deployment, basis_points: u16) -> bool {
    let rollout = &deployment.rollout;
    let mut scheduled = rollout.schedule.iter();
    rollout.basis_points == basis_points
        || scheduled.any(|entry| entry.basis_points == basis_points)
}

/// What is said of a channel nobody described.
pub(super) fn undescribed(workspace: &Workspace, deployment: &Deployment) -> Option<String> {
    let name = &deployment.channel;
    (!workspace.channels.contains_key(name)).then(|| {
        format!(
            "nobody described the channel {name:?} (deployed all the same; channels: says what \
             it is)"
        )
    })
}

/// Attributes that the deployment asks for and its channel is not said to
/// carry, each with its place.
pub(super) fn unknown_attributes(workspace: &Workspace, deployment: &Deployment) -> Vec<String> {
    let channel = workspace.channels.get(&deployment.channel);
    let Some(channel) = channel.filter(|channel| !channel.attributes.is_empty()) else {
        return Vec::new();
    };
    let mut unknown = Vec::new();
    for (place, alternative) in (1..).zip(&deployment.rollout.alternatives) {
        for (at, rule) in (1..).zip(&alternative.rules) {
            if !carries(channel, &rule.attribute) {
                let text = missing(channel, &rule.attribute);
                unknown.push(format!("alternative {place}, rule {at}: {text}"));
            }
        }
    }
    if let RolloutId::Attribute(attribute) = &deployment.rollout.id
        && !carries(channel, attribute)
    {
        unknown.push(format!("id: {}", missing(channel, attribute)));
    }
    unknown
}

fn carries(channel: &Channel, attribute: &str) -> bool {
    // The subject itself and its group come with every channel.
    attribute.starts_with("group.")
        || attribute.starts_with("user.")
        || channel.attributes.iter().any(|own| own == attribute)
}

fn missing(channel: &Channel, attribute: &str) -> String {
    format!(
        "channel {:?} is not said to carry the attribute {attribute:?}: unless it is a stored \
         property of the user it is missing (known: {})",
        channel.name,
        channel.attributes.join(", ")
    )
}

/// Steps of a schedule that go down, or hold at once.
pub(super) fn odd_steps(deployment: &Deployment, now: UnixMs) -> Vec<String> {
    let rollout = &deployment.rollout;
    let mut odd = Vec::new();
    let mut last = rollout.basis_points;
    for entry in &rollout.schedule {
        let (from, to) = (percent(last), percent(entry.basis_points));
        if entry.basis_points < last {
            odd.push(format!(
                "the schedule goes down from {from} to {to}: whoever was let in before stays in"
            ));
        }
        if entry.at_ms <= now {
            odd.push(format!(
                "the step to {to} lies in the past and holds at once"
            ));
        }
        last = entry.basis_points;
    }
    odd
}

/// What is said when a percentage set by hand ends a schedule.
pub(super) fn cancelled(before: &Deployment, after: &Deployment) -> Option<String> {
    let steps = before.rollout.schedule.len();
    (steps > 0 && after.rollout.schedule.is_empty()).then(|| {
        let last = before.rollout.schedule.last();
        let to = last.map_or(0, |entry| entry.basis_points);
        format!(
            "the schedule of {steps} {} up to {} is cancelled",
            if steps == 1 { "step" } else { "steps" },
            percent(to)
        )
    })
}

/// Basis points as people say them.
fn percent(basis_points: u16) -> String {
    let (whole, rest) = (basis_points / 100, basis_points % 100);
    match rest {
        0 => format!("{whole} %"),
        rest if rest % 10 == 0 => format!("{whole}.{} %", rest / 10),
        rest => format!("{whole}.{rest:02} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percentages_are_spelt_as_they_are_typed() {
        let table = [
            (0, "0 %"),
            (2_500, "25 %"),
            (10_000, "100 %"),
            (1_234, "12.34 %"),
            (1_250, "12.5 %"),
            (1_005, "10.05 %"),
        ];
        for (points, text) in table {
            assert_eq!(percent(points), text);
        }
    }
}
