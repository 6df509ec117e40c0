//! Which names may an environment have, and where is another one refused?

use super::*;

/// Names stand in urls, settings, key texts and names of files, where a dot
/// separates: one that could have it would be two names somewhere.
#[tokio::test]
async fn an_environment_name_with_dots_is_refused_where_it_would_begin() {
    let desk = Desk::new();
    for name in ["eu.prod", ".", "..", "eu.", ".eu", "eu/prod", "eu prod", ""] {
        let new = json!({"name": name, "type": "test"}).to_string();
        let clone = json!({"name": name}).to_string();
        for (target, sent) in [
            ("environments", &new),
            ("environments?dryRun=true", &new),
            ("environments/development/clone", &clone),
        ] {
            let refused = desk.admin("POST", target, sent).await;
            let told = body(&refused);
            assert_eq!(refused.status, 422, "{name:?} {target}: {told}");
            let kind = told["type"].as_str().unwrap();
            assert!(kind.ends_with(":environment-refused"), "{told}");
            let detail = told["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("{name:?}")), "{detail}");
            assert!(detail.contains("A-Z a-z 0-9 _ -"), "{detail}");
        }
    }
    // Asked for by such a name it is not there, which says what there is.
    for target in [
        "environments/eu.prod",
        "environments/eu.prod/users:find",
        "environments/eu.prod/usage",
        "keys?environment=eu.prod",
        "edges?environment=eu.prod",
        "deployments?environment=eu.prod",
    ] {
        let unknown = desk.admin("GET", target, "").await;
        let told = body(&unknown);
        assert_eq!(unknown.status, 404, "{target}: {told}");
        assert_eq!(told["found"], "eu.prod", "{target}");
        assert_eq!(told["expected"], "development, production", "{target}");
    }
    // With every character that one may have it is found wherever it stands.
    let new = json!({"name": "EU-prod_1", "type": "test"}).to_string();
    desk.house.wait(1_000);
    assert_eq!(desk.admin("POST", "environments", &new).await.status, 201);
    for target in [
        "environments/EU-prod_1",
        "environments/EU-prod_1/users:find",
        "keys?environment=EU-prod_1",
    ] {
        assert_eq!(desk.admin("GET", target, "").await.status, 200, "{target}");
    }
}
