//! What is asked?

use super::{load::Requests, world};

/// The head as Dopt's JavaScript SDK sends it.
fn head(method: &str, path: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:7070\r\nx-api-key: {}\r\n\
         x-pkg-name: @dopt/javascript\r\nx-pkg-version: 3.1.1\r\naccept: */*\r\n",
        world::KEY
    )
}

pub(crate) fn get_flow(user: usize, include: &str) -> Vec<u8> {
    let path = format!("/v2/flow/welcome?{include}version=1&userIdentifier=user-{user}");
    format!("{}\r\n", head("GET", &path)).into_bytes()
}

pub(crate) fn evaluate(user: usize) -> Vec<u8> {
    let body = format!(r#"{{"subject":{{"user":"user-{user}"}},"flows":{{"welcome":"latest"}}}}"#);
    post("/v1/evaluate", &body)
}

/// Two steps of a user, after which they stand where they stood.
pub(crate) fn to_and_fro(user: usize) -> Requests {
    vec![
        transition(user, "one", "next"),
        transition(user, "two", "back"),
    ]
}

fn transition(user: usize, block: &str, name: &str) -> Vec<u8> {
    let path = format!(
        "/v2/block/{block}/transition?version=1&userIdentifier=user-{user}&transitions={name}"
    );
    post(&path, "{}")
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let head = head("POST", path);
    let length = body.len();
    format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
