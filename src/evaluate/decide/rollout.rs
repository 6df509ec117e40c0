//! Does the deployment let the subject in?
//!
//! A record first, then the audience, then the percentage of those who passed.
//! What has to be recorded now is returned with the answer.

use super::{Enrolled, Trace};
use crate::{
    clock::UnixMs,
    evaluate::{
        Reason,
        bucket::{BUCKETS, bucket},
        membership::{Membership, remembered_for, rollout_id},
        predicate::{AskedId, Judging},
        receipt::RolloutJudged,
        subject::SubjectView,
    },
    snapshot::{Audience, Deployment, wire::Remember},
};

/// In or out, by which step, and what the percentage came to.
pub(super) struct Admission {
    pub(super) is_in: bool,
    pub(super) by: Reason,
    pub(super) enrolled: Option<Enrolled>,
}

/// Asks record, audience and percentage.
pub(super) fn admit<'s, 'u, T: Trace<'s, 'u>>(
    deployment: &'s Deployment,
    subject: &SubjectView<'u>,
    record: Option<Membership>,
    now: UnixMs,
    trace: &mut T,
) -> Admission {
    let in_force = deployment.basis_points_at(now);
    let id = rollout_id(deployment, subject);
    let mut digits = itoa::Buffer::new();
    let bucket = id.map(|id| bucket(&deployment.salt, id.text(&mut digits)));
    // Without an id there is no key under which anything could stand.
    let record = record.filter(|_| bucket.is_some() && deployment.remember != Remember::Nothing);
    trace.rollout(|| RolloutJudged {
        basis_points: in_force,
        scheduled: deployment.scheduled_at(now).is_some(),
        salt: deployment.salt.strip_suffix(':').unwrap_or_default(),
        source: (&deployment.id).into(),
        id: id.map(AskedId::into_text),
        bucket,
        remember: deployment.remember,
        conversation: remembered_for(deployment, subject),
        record,
    });
    // The whole audience is in: whoever was kept out is judged anew.
    let record = record.filter(|record| record.is_in || in_force < BUCKETS);
    if let (Some(record), Some(bucket)) = (record, bucket) {
        return Admission {
            is_in: record.is_in,
            by: if record.is_in {
                Reason::Member
            } else {
                Reason::Excluded
            },
            enrolled: Some(Enrolled {
                is_in: record.is_in,
                bucket,
                basis_points: record.basis_points,
                recorded: true,
                to_record: None,
            }),
        };
    }
    let out = |by| Admission {
        is_in: false,
        by,
        enrolled: None,
    };
    if !fits(&deployment.audience, subject, now, trace) {
        return out(Reason::AudienceMismatch);
    }
    let Some(bucket) = bucket else {
        return out(Reason::NoRolloutId);
    };
    let judged = Membership {
        is_in: bucket < in_force,
        basis_points: in_force,
    };
    // At 0 nobody is asked: there is nothing to remember them by later.
    let is_kept = in_force > 0 && deployment.remember != Remember::Nothing;
    Admission {
        is_in: judged.is_in,
        by: Reason::Percentage,
        enrolled: Some(Enrolled {
            is_in: judged.is_in,
            bucket,
            basis_points: in_force,
            recorded: false,
            to_record: is_kept.then_some(judged),
        }),
    }
}

/// Whether the subject is meant: one alternative suffices, none means everyone.
fn fits<'s, 'u, T: Trace<'s, 'u>>(
    audience: &'s Audience,
    subject: &SubjectView<'u>,
    now: UnixMs,
    trace: &mut T,
) -> bool {
    trace.audience();
    let mut judging = Judging::new(subject, now);
    let mut fits = audience.alternatives.is_empty();
    for alternative in &audience.alternatives {
        if fits && !T::THOROUGH {
            break;
        }
        trace.alternative(alternative.name.as_deref());
        let mut all = true;
        for rule in &alternative.rules {
            if !all && !T::THOROUGH {
                break;
            }
            let holds = judging.holds(&rule.predicate);
            trace.rule(&rule.text, holds);
            all &= holds;
        }
        fits |= all;
    }
    fits
}
