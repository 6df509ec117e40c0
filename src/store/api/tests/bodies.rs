//! Does a refusal say which member of a body is wrong?

use super::*;

#[tokio::test]
async fn a_faulty_body_is_refused_by_the_place_of_the_fault() {
    let desk = Desk::new();
    let cases = [
        (
            r#"{"name":"a","flow":"f","channel":"web","audience":[[1]]}"#,
            "audience[0]: ",
        ),
        (r#"{"name":7}"#, "name: "),
        (r#"{"nme":"a"}"#, "nme: "),
        (r#"[]"#, "expected an object"),
        (r#"{"name":"a"} x"#, "trailing characters"),
        (r#"{"name":"a""#, "EOF"),
    ];
    for (sent, expected) in cases {
        let answer = desk.admin("POST", "deployments", sent).await;
        assert_eq!(answer.status, 400, "{sent}");
        let found = body(&answer)["found"].as_str().unwrap().to_owned();
        assert!(found.contains(expected), "{sent}: {found}");
    }
}
