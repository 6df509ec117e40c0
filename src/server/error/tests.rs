//! The table, row by row.
//! Every fault is told in both forms, with the same status.

use http_body_util::BodyExt;

use super::*;
use crate::{evaluate::StepError, server::limits::Class};

fn body_of(answer: Answer) -> serde_json::Value {
    let collected = futures_util::FutureExt::now_or_never(answer.into_body().collect());
    let bytes = collected.expect("it is whole").expect("it cannot fail");
    serde_json::from_slice(&bytes.to_bytes()).expect("errors are JSON")
}

fn every_fault() -> Vec<(Fault, u16, &'static str)> {
    let sid = || "welcome".to_owned();
    let environment = || "development".to_owned();
    vec![
        (RouteError::NoSuchPath.into(), 404, "not_found_error"),
        (
            RouteError::Method { allow: "GET" }.into(),
            405,
            "invalid_request_error",
        ),
        (
            Invalid::Missing {
                what: "version",
                expected: "version or tag",
            }
            .into(),
            400,
            "invalid_request_error",
        ),
        (
            Invalid::Unsupported {
                what: "channel",
                expected: "no channel",
            }
            .into(),
            400,
            "invalid_request_error",
        ),
        (AuthError::Missing.into(), 401, "unauthorized_error"),
        (AuthError::Unknown.into(), 401, "unauthorized_error"),
        (AuthError::NotYet.into(), 503, "internal_server_error"),
        (AuthError::Attributes.into(), 403, "unauthorized_error"),
        (AuthError::Force.into(), 403, "unauthorized_error"),
        (AuthError::Origin.into(), 403, "unauthorized_error"),
        (AuthError::OtherUser.into(), 403, "unauthorized_error"),
        (
            AuthError::UserToken(TokenError::Expired).into(),
            401,
            "unauthorized_error",
        ),
        (
            AuthError::Unsigned {
                environment: "development".into(),
                chosen: true,
            }
            .into(),
            403,
            "unauthorized_error",
        ),
        (
            AuthError::Property {
                found: "is_admin".into(),
                expected: "plan".into(),
            }
            .into(),
            403,
            "unauthorized_error",
        ),
        (
            Limit::KeyRate { retry_s: 3 }.into(),
            429,
            "invalid_request_error",
        ),
        (
            Limit::UnseenUsers { retry_s: 0 }.into(),
            429,
            "invalid_request_error",
        ),
        (
            Limit::KeyPlaces { retry_s: 1 }.into(),
            429,
            "invalid_request_error",
        ),
        (
            Limit::Places {
                class: Class::Lists,
                retry_s: 1,
            }
            .into(),
            503,
            "internal_server_error",
        ),
        (
            Limit::Queue {
                class: Class::Writes,
                retry_s: 4,
            }
            .into(),
            503,
            "internal_server_error",
        ),
        (
            BodyError::TooLarge {
                limit: 10,
                announced: Some(11),
            }
            .into(),
            413,
            "invalid_request_error",
        ),
        (JsonError::Depth(16).into(), 400, "invalid_request_error"),
        (
            Fault::Deployment {
                named: "old (d_1)".to_owned(),
                decides: "new (d_2)".to_owned(),
                channel: "web".to_owned(),
            },
            409,
            "invalid_request_error",
        ),
        (
            Missing::Flow {
                sid: sid(),
                environment: environment(),
            }
            .into(),
            404,
            "not_found_error",
        ),
        (
            Missing::Draft {
                sid: sid(),
                environment: environment(),
            }
            .into(),
            404,
            "not_found_error",
        ),
        (
            Fault::SetAside {
                sid: sid(),
                number: 2,
            },
            503,
            "internal_server_error",
        ),
        (ReadError::Busy.into(), 503, "internal_server_error"),
        (ReadError::Refused.into(), 503, "internal_server_error"),
        (
            WriteError::TooMuch("too large".to_owned()).into(),
            400,
            "invalid_request_error",
        ),
        (
            WriteError::Step(StepError::UnknownTransition).into(),
            400,
            "invalid_request_error",
        ),
        (WriteError::KeyReused.into(), 409, "invalid_request_error"),
        (
            WriteError::Unavailable("the disk is full").into(),
            503,
            "internal_server_error",
        ),
        (WriteError::Share.into(), 503, "internal_server_error"),
        (ReadError::Unreadable.into(), 503, "internal_server_error"),
        (WriteError::Unclear.into(), 503, "internal_server_error"),
    ]
}

#[test]
fn every_fault_is_told_in_both_forms() {
    for (fault, status, code) in every_fault() {
        let dopt = fault.answer(Protocol::Dopt);
        assert_eq!(dopt.status().as_u16(), status, "{fault}");
        let retry = dopt.headers().get(RETRY_AFTER).cloned();
        assert_eq!(retry.is_some(), matches!(status, 429 | 503), "{fault}");
        if let Some(seconds) = retry {
            let text = seconds.to_str().expect("ascii");
            assert!(text.parse::<u32>().is_ok(), "an integer: {text}");
        }
        let body = body_of(dopt);
        assert_eq!(body["code"], code, "{fault}");
        assert!(body["details"].is_string());

        let problem = fault.answer(Protocol::Flowgate);
        assert_eq!(problem.status().as_u16(), status);
        assert_eq!(
            problem.headers()[hyper::header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = body_of(problem);
        assert_eq!(body["status"], status);
        assert!(
            body["type"]
                .as_str()
                .is_some_and(|kind| kind.starts_with("urn:flowgate:problem:"))
        );
    }
}

#[test]
fn a_caller_reads_what_was_found_and_what_was_expected() {
    let fault = Fault::from(Invalid::Value {
        what: "version",
        found: "x".repeat(300),
        expected: "a number",
    });
    let body = body_of(fault.answer(Protocol::Flowgate));
    assert_eq!(body["expected"], "a number");
    let found = body["found"].as_str().expect("it is there");
    assert!(found.chars().count() == 101, "shortened: {found}");

    let wrong_method = Fault::from(RouteError::Method {
        allow: "POST, OPTIONS",
    });
    let answer = wrong_method.answer(Protocol::Dopt);
    assert_eq!(answer.headers()[ALLOW], "POST, OPTIONS");
}
