//! What is refused of what somebody says of one flag or one segment?

use serde_json::{Value, json};

use super::{flags::with_flags, *};

/// What is wrong with an import, one fault a line.
#[track_caller]
fn faults<T: std::fmt::Debug>(done: Result<T, StoreError>) -> String {
    let error = match done.unwrap_err() {
        StoreError::Import(error) => error,
        other => panic!("{other}"),
    };
    let lines: Vec<String> = error.faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Before, a flag that never was on could be pre-live for ever.
#[test]
fn when_a_flag_was_first_switched_on_is_told_by_files_and_in_the_past() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let since = |time: &str| {
        let text = "flowgate: project/1\nproject: shop\nflags: [{ name: old-cart, environments: { \
                    production: { firstEnabled: TIME } } }]\n";
        file(&text.replace("TIME", time))
    };
    let refused = faults(store.import(&since("2099-01-01T00:00:00Z")));
    let expected = "firstEnabled is 2099-01-01T00:00:00Z (expected no later than now)";
    assert!(refused.contains(expected), "{refused}");
    let by_hand =
        |time: &str| json!({"environments": {"production": {"firstEnabled": time}}}).to_string();
    let past = "2020-01-01T00:00:00Z";
    let expected = "told by project files only";
    for time in [past, "2099-01-01T00:00:00Z"] {
        let refused = faults(store.change_flag("old-cart", &by_hand(time), &terms));
        assert!(refused.contains(expected), "{refused}");
    }
    let mut new: Value = serde_json::from_str(&by_hand(past)).unwrap();
    new["name"] = "new".into();
    new["project"] = "shop".into();
    let refused = faults(store.create_flag(&new.to_string()));
    assert!(refused.contains(expected), "{refused}");
    // What was read can be sent back as it was.
    store.import(&since(past)).unwrap();
    let same = store.change_flag("old-cart", &by_hand(past), &terms);
    assert!(same.unwrap().changes.is_empty());
}

/// Before, the refusal spoke of a number that nobody had given, and a number
/// that somebody had given was thrown away without a word.
#[test]
fn a_segment_gets_no_name_and_no_number_of_another() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let other = r#"{"project": "shop", "name": "others", "constraints": []}"#;
    store.create_segment(other).unwrap();
    let segments = store.workspace().segments.clone();
    let id = store.workspace().segment("others").unwrap().id;
    let error = store
        .change_segment("others", r#"{"name": "testers"}"#, &terms)
        .unwrap_err();
    let expected = "segment \"testers\" exists already, in project \"shop\"";
    assert_eq!(error.to_string(), expected);
    for wrong in [json!(999), json!(1), json!("x")] {
        // With a new name, too: nothing else is renamed or made by it.
        for change in [json!({"id": wrong}), json!({"id": wrong, "name": "new"})] {
            let refused = faults(store.change_segment("others", &change.to_string(), &terms));
            let expected =
                format!("body: segment \"others\": id is {wrong} (expected {id}, or none)");
            assert_eq!(refused, expected);
        }
    }
    assert_eq!(store.workspace().segments, segments);
    let same = json!({"id": id, "name": "others"}).to_string();
    let same = store.change_segment("others", &same, &terms).unwrap();
    assert!(same.changes.is_empty());
}

#[test]
fn who_depends_on_an_archived_flag_is_named_in_whatever_number() {
    let house = House::new();
    let store = house.open();
    let text = "flowgate: project/1\nproject: shop\nflags: [{ name: base }, { name: kid, dependencies: \
                [base] }, { name: kid2, dependencies: [base] }]\n";
    store.import(&file(text)).unwrap();
    let refused = faults(store.archive_flag("base", &Terms::default()));
    let expected = "kid, kid2 depend on it, so it cannot be archived (archive those first, or change \
                    what they depend on)";
    assert!(refused.contains(expected), "{refused}");
}

/// Found by review: a name that is another's was dropped without a word.
#[test]
fn a_flag_keeps_its_name() {
    let house = House::new();
    let store = with_flags(&house);
    let terms = Terms::default();
    let refused = faults(store.change_flag("old-cart", r#"{"name": "new-cart"}"#, &terms));
    let expected = "body: flag \"old-cart\": name is \"new-cart\" (expected \"old-cart\", or none: \
                    make another flag, and archive this one)";
    assert_eq!(refused, expected);
    for same in [r#"{"name": "old-cart"}"#, r#"{"name": null}"#] {
        let same = store.change_flag("old-cart", same, &terms).unwrap();
        assert!(same.changes.is_empty());
    }
}
