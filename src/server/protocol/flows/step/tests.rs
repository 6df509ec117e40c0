//! What a step says when somebody else was faster.

use serde_json::Value;

use super::*;
use crate::{
    progress::{EnrolRequest, event::MembershipDocument},
    server::{
        auth::Access,
        deciding::Who,
        target::place,
        tests::{harness::Harness, installation::SERVER},
    },
    snapshot::sha256,
};

#[tokio::test]
async fn a_start_that_lost_to_an_exclusion_says_so() {
    let harness = Harness::start();
    let edge = harness.edge.service();
    let live = harness.edge.current.load();
    let (environment, key) = live.key(&sha256(SERVER.as_bytes())).expect("the key");
    let step = |user| Step {
        inquiry: Inquiry::open(
            Access { environment, key },
            Who {
                user,
                group: None,
                conversation: None,
                attributes: None,
            },
            Some("web"),
            (edge.now(), edge.now()),
        )
        .expect("it is fresh"),
        id: None,
        shown: None,
    };
    let mut is_told = false;
    for user in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let step = step(user);
        let known = step.inquiry.known(&edge, std::iter::once("half")).await;
        let known = known.expect("the ledger answers");
        let decision = step.inquiry.decision(&known, 0, "half", Tag::Latest);
        let enrolled = decision.enrolled.expect("a percentage");
        if !enrolled.is_in {
            continue;
        }
        // Between decision and step.
        let exclusion = EnrolRequest {
            place: place(Access { environment, key }),
            user,
            group: None,
            membership: MembershipDocument {
                deployment: "d_half_web".to_owned(),
                id: user.to_owned(),
                conversation: None,
                is_in: false,
                basis_points: 1,
                bucket: enrolled.bucket,
            },
            now: edge.now(),
        };
        edge.progress.enrol(exclusion).await.expect("it is kept");
        let start = Action::Start { force: true };
        let body = step.body(&edge, "half", (&known, &decision), start).await;
        let body: Value = serde_json::from_slice(&body.expect("no fault")).expect("JSON");
        assert_eq!(
            (&body["changed"], &body["reason"]),
            (&Value::from(false), &Value::from("excluded")),
            "{body}"
        );
        is_told = true;
    }
    assert!(is_told, "half of them are in");
}
