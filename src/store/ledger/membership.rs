//! Which percentage decision stands?
//!
//! Pure. The first one, on whatever edge it was made, with two exceptions: full
//! launch lets everybody in who was out, and nobody who was started is out. So
//! every order of arrival ends in one record that all edges read.

use crate::{
    limits,
    progress::event::{Event, Intent, MembershipDocument, Operation},
};

/// Everybody is in.
const FULL_LAUNCH: u16 = 10_000;

/// What a further decision does to the one that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It stands from now on.
    Replaces,
    /// It says what stands already.
    Repeats,
    /// What stands says otherwise.
    Loses,
}

/// Rules on a decision; `started` says that it brings a start which was
/// applied.
pub(super) fn rule(
    standing: Option<&MembershipDocument>,
    new: &MembershipDocument,
    started: bool,
) -> Ruling {
    let Some(standing) = standing else {
        return Ruling::Replaces;
    };
    if standing.is_in == new.is_in {
        return Ruling::Repeats;
    }
    if new.is_in && (new.basis_points == FULL_LAUNCH || started) {
        return Ruling::Replaces;
    }
    Ruling::Loses
}

/// Whether the record starts its flow when it is applied.
pub(super) fn starts(operation: &Operation) -> bool {
    match operation {
        Operation::Start { .. } => true,
        Operation::Intent {
            intent, restarted, ..
        } => *intent == Intent::Reset && *restarted,
        Operation::Transition { .. }
        | Operation::Migrate { .. }
        | Operation::Membership
        | Operation::Identify { .. }
        | Operation::IdentifyGroup { .. } => false,
    }
}

/// What is wrong with the decision of a record, if it brings one or should.
pub(super) fn fault(event: &Event) -> Option<String> {
    let Some(membership) = &event.membership else {
        return (event.operation == Operation::Membership)
            .then(|| "the record of a membership holds none".to_owned());
    };
    let mut ids = vec![&membership.deployment, &membership.id];
    ids.extend(&membership.conversation);
    let misfit = |id: &&&String| id.is_empty() || id.len() > limits::SUBJECT_ID_BYTES_MAX;
    if let Some(id) = ids.iter().find(misfit) {
        return Some(format!(
            "a membership under an id of {} bytes (expected 1 to {})",
            id.len(),
            limits::SUBJECT_ID_BYTES_MAX
        ));
    }
    let (points, bucket) = (membership.basis_points, membership.bucket);
    (points > FULL_LAUNCH || bucket >= FULL_LAUNCH).then(|| {
        format!("{points} basis points and bucket {bucket} (expected at most 10000 and 9999)")
    })
}

#[cfg(test)]
mod tests {
    use super::{
        Ruling::{Loses, Repeats, Replaces},
        *,
    };

    fn decision(is_in: bool, basis_points: u16) -> MembershipDocument {
        MembershipDocument {
            deployment: "d".to_owned(),
            id: "u".to_owned(),
            conversation: None,
            is_in,
            basis_points,
            bucket: 3_000,
        }
    }

    #[test]
    fn the_first_decision_stands_but_for_full_launch_and_applied_starts() {
        const IN: bool = true;
        const OUT: bool = false;
        // What stands, what comes, with an applied start, the ruling.
        let table = [
            (None, (IN, 2_500), false, Replaces),
            (None, (OUT, 2_500), false, Replaces),
            (None, (IN, 10_000), true, Replaces),
            (Some((IN, 2_500)), (IN, 5_000), false, Repeats),
            (Some((IN, 2_500)), (IN, 10_000), true, Repeats),
            (Some((IN, 2_500)), (OUT, 5_000), false, Loses),
            (Some((IN, 10_000)), (OUT, 2_500), false, Loses),
            (Some((OUT, 2_500)), (OUT, 5_000), false, Repeats),
            (Some((OUT, 2_500)), (IN, 5_000), false, Loses),
            (Some((OUT, 2_500)), (IN, 9_999), false, Loses),
            (Some((OUT, 2_500)), (IN, 10_000), false, Replaces),
            (Some((OUT, 2_500)), (IN, 5_000), true, Replaces),
            (Some((OUT, 2_500)), (IN, 10_000), true, Replaces),
        ];
        for (standing, new, started, expected) in table {
            let stands = standing.map(|(is_in, at)| decision(is_in, at));
            let ruling = rule(stands.as_ref(), &decision(new.0, new.1), started);
            assert_eq!(ruling, expected, "{standing:?} {new:?} {started}");
        }
    }
}
