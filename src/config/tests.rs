//! Do the three layers of settings lead to what they say?
//!
//! And are the files in `config/` what the tables print?

use std::path::PathBuf;

use super::*;

const SURFACES: [&Surface; 3] = [&EDGE, &STORE, &DEV];

/// Settings of an edge with nothing missing, and the folder its root file is in.
fn complete_edge() -> (Settings, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root.json");
    std::fs::write(&root, "{}").expect("a root file");
    let settings = Settings::new(&EDGE)
        .set("upstream.url", "http://127.0.0.1:7080/")
        .set("upstream.trust_root", &root.to_string_lossy())
        .set("environment.development.key", "edge-development-abc");
    (settings, folder)
}

fn faults_of(result: Result<EdgeConfig, Faults>) -> Vec<String> {
    let faults = result.expect_err("faults were expected");
    faults.list.iter().map(ToString::to_string).collect()
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables::of(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

#[test]
fn printed_defaults_are_the_files_in_config() {
    for surface in SURFACES {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("config")
            .join(format!("{}.toml", surface.name));
        let file = std::fs::read_to_string(&path).expect("the file in config/");
        assert_eq!(
            file,
            print_defaults(surface),
            "config/{0}.toml is not what `config print-defaults {0}` prints",
            surface.name
        );
    }
}

#[test]
fn printed_defaults_read_back_as_the_defaults() {
    let (bare, _folder) = complete_edge();
    let (printed, _other) = complete_edge();
    let printed = printed.text("edge.toml", &print_defaults(&EDGE));
    let bare = EdgeConfig::build(bare).expect("a complete edge");
    let printed = EdgeConfig::build(printed).expect("an edge with every default written");
    // The two root files lie in different folders; everything else is equal.
    assert_eq!(bare.listen(), printed.listen());
    assert_eq!(
        format!("{:?}", bare.stop()),
        format!("{:?}", printed.stop())
    );
    assert_eq!(
        format!("{:?}", bare.journal()),
        format!("{:?}", printed.journal())
    );
    for surface in [&STORE, &DEV] {
        let settings = Settings::new(surface).text("defaults", &print_defaults(surface));
        assert!(settings.faults.is_empty(), "{:?}", settings.faults);
        for key in surface.keys() {
            let written = settings.values.get(key.name).map(|w| w.value.clone());
            let preset = match key.preset {
                Preset::Value(literal) => Some(reader::literal_value(literal)),
                Preset::Optional(_) | Preset::Required(_) => None,
            };
            assert_eq!(written, preset, "{}", key.name);
        }
    }
}

#[test]
fn every_example_and_default_keeps_its_own_rule() {
    for surface in SURFACES {
        for key in surface.keys() {
            let (Preset::Value(literal) | Preset::Optional(literal) | Preset::Required(literal)) =
                key.preset;
            let value = reader::literal_value(literal);
            if key.kind != Kind::File {
                reader::check(key.kind, &value)
                    .unwrap_or_else(|rule| panic!("{}: {rule}", key.name));
            }
        }
    }
}

#[test]
fn every_flag_and_key_stands_once() {
    for surface in SURFACES {
        let mut flags: Vec<_> = surface.keys().map(|key| key.flag).collect();
        let mut names: Vec<_> = surface.keys().map(|key| key.name).collect();
        flags.sort_unstable();
        names.sort_unstable();
        flags.dedup();
        names.dedup();
        assert_eq!(flags.len(), surface.keys().count());
        assert_eq!(names.len(), surface.keys().count());
    }
}

#[test]
fn what_is_refused_when_stale_is_not_served_when_expired() {
    let build = |on_stale: &str, on_expired: &str| {
        let (settings, _folder) = complete_edge();
        let settings = settings
            .set("environment.development.on_stale", on_stale)
            .set("environment.development.on_expired", on_expired);
        EdgeConfig::build(settings)
    };
    let config = build("refuse-new-users", "refuse").expect("stricter");
    let own = &config.environments()[0];
    assert_eq!(own.on_stale, OldSnapshot::RefuseNewUsers);
    assert_eq!(own.on_expired, OldSnapshot::Refuse);
    let faults = faults_of(build("refuse", "serve"));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("on_expired") && faults[0].contains("lenient"));
    assert!(build("sometimes", "serve").is_err());
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = r#"
        listen = "nonsense"
        jornal = 3
        [upstream]
        url = "ftp://store.example.com"
        kind = "nats"
        [journal]
        segment_mb = 2
        ack = "upstream"
    "#;
    let found = faults_of(EdgeConfig::build(
        Settings::new(&EDGE).text("edge.toml", text),
    ));
    for expected in [
        "jornal (file edge.toml): there is no such key",
        "listen = \"nonsense\" (file edge.toml): expected an address such as 127.0.0.1:7070",
        "environment: no environment is configured",
        "upstream.kind = \"nats\" (file edge.toml): nats is not supported by this version (expected one of http, file)",
        "upstream.url = \"ftp://store.example.com\" (file edge.toml): expected a url such as",
        "upstream.trust_root: is required and has no default",
        "journal.segment_mb = 2 (file edge.toml): expected a whole number from 4 to 1024",
        "journal.ack = \"upstream\" (file edge.toml): upstream is not supported by this version",
    ] {
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{expected:?} is missing in {found:#?}"
        );
    }
}

#[test]
fn flags_beat_variables_and_variables_beat_the_file() {
    let (settings, _folder) = complete_edge();
    let config = EdgeConfig::build(
        settings
            .text(
                "edge.toml",
                "workers = 1\n[stop]\ngrace_ms = 1\ndrain_ms = 1",
            )
            .variables(&variables(&[
                ("FLOWGATE_STOP__GRACE_MS", "2"),
                ("FLOWGATE_STOP__DRAIN_MS", "2"),
            ]))
            .flags(&[("stop.drain_ms".into(), "3".into())]),
    )
    .expect("a complete edge");
    assert_eq!(config.workers().get(), 1);
    assert_eq!(config.stop().grace.as_millis(), 2);
    assert_eq!(config.stop().drain.as_millis(), 3);
}

#[test]
fn unknown_keys_come_with_the_nearest_name() {
    let (settings, _folder) = complete_edge();
    let found = faults_of(EdgeConfig::build(
        settings
            .text(
                "edge.toml",
                "[journal]\nsegmet_mb = 8\n[environment.production]\nkeyy = \"x\"",
            )
            .variables(&variables(&[("FLOWGATE_JOURNAL__TOTAL_MBS", "9")])),
    ));
    let all = found.join("\n");
    assert!(all.contains("did you mean journal.segment_mb?"), "{all}");
    assert!(
        all.contains("did you mean environment.production.key?"),
        "{all}"
    );
    assert!(
        all.contains("did you mean FLOWGATE_JOURNAL__TOTAL_MB?"),
        "{all}"
    );
    // The misspelt key leaves the environment without one.
    assert!(
        all.contains("environment.production.key: is required"),
        "{all}"
    );
}

#[test]
fn variables_of_other_surfaces_and_of_orchestrators_are_left_alone() {
    let (settings, _folder) = complete_edge();
    let settings = settings.variables(&variables(&[
        ("FLOWGATE_SIGNING__FOLDER", "/x"),
        ("FLOWGATE_ADMIN_KEY", "secret"),
        ("FLOWGATE_SERVICE_HOST", "10.0.0.1"),
        ("FLOWGATE_PORT_7070_TCP_ADDR", "10.0.0.1"),
    ]));
    EdgeConfig::build(settings).expect("nothing to complain about");
}

#[test]
fn a_variable_finds_the_environment_of_the_file_in_spite_of_its_dash() {
    let (settings, _folder) = complete_edge();
    let config = EdgeConfig::build(
        settings
            .text("edge.toml", "[environment.pre-prod]\nrequired = false")
            .variables(&variables(&[(
                "FLOWGATE_ENVIRONMENT__PRE_PROD__KEY",
                "edge-pre-prod-1",
            )])),
    )
    .expect("a complete edge");
    let names: Vec<_> = config
        .environments()
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    assert_eq!(names, ["development", "pre-prod"]);
    assert!(!config.environments()[1].required);
    assert_eq!(config.environments()[1].key.expose(), "edge-pre-prod-1");
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let (settings, folder) = complete_edge();
    let file = folder.path().join("key");
    std::fs::write(&file, "edge-production-s3cret\n").expect("a key file");
    let config = EdgeConfig::build(
        settings
            .clone()
            .set("environment.production.key_file", &file.to_string_lossy()),
    )
    .expect("a complete edge");
    assert_eq!(
        config.environments()[1].key.expose(),
        "edge-production-s3cret"
    );
    assert!(!format!("{config:?}").contains("s3cret"));

    let both = settings
        .set("environment.production.key", "edge-production-s3cret")
        .set("environment.production.key_file", &file.to_string_lossy());
    let found = faults_of(EdgeConfig::build(both)).join("\n");
    assert!(found.contains("keep one of the two"), "{found}");
    assert!(!found.contains("s3cret"), "{found}");

    let number = Settings::new(&EDGE).text("edge.toml", "[environment.production]\nkey = 5317");
    let found = faults_of(EdgeConfig::build(number)).join("\n");
    assert!(
        found.contains("environment.production.key = (not shown)"),
        "{found}"
    );
    assert!(!found.contains("5317"), "{found}");
}

#[test]
fn values_that_contradict_each_other_are_faults() {
    let (settings, _folder) = complete_edge();
    let found = faults_of(EdgeConfig::build(settings.text(
        "edge.toml",
        "[admin]\nlisten = \"127.0.0.1:7070\"\n[upstream]\nbackoff_min_ms = 500\nbackoff_max_ms = 100\n\
         [journal]\nsegment_mb = 64\ntotal_mb = 100\n[cors]\norigins = [\"app.example.com\"]",
    )));
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn a_broken_file_names_its_line() {
    let found = faults_of(EdgeConfig::build(
        Settings::new(&EDGE).text("edge.toml", "workers = 1\nlisten = \n"),
    ));
    assert!(
        found[0].starts_with("line 2 (file edge.toml): is not valid TOML"),
        "{found:?}"
    );
}

#[test]
fn dev_makes_the_configurations_of_both_its_halves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root.json");
    std::fs::write(&root, "{}").expect("a root file");
    let dev = DevConfig::build(
        Settings::new(&DEV)
            .set("data", &folder.path().to_string_lossy())
            .set("edge.listen", "127.0.0.1:0")
            .set("store.listen", "127.0.0.1:0")
            .set("admin.listen", "127.0.0.1:0"),
    )
    .expect("three free ports");
    let store = dev.store().expect("a store");
    assert_eq!(store.signing(), folder.path().join("store").join("signing"));
    let edge = dev
        .edge(
            "http://127.0.0.1:1",
            &root,
            [("development", "edge-development-1")],
        )
        .expect("an edge");
    let store = "http://127.0.0.1:1".to_owned();
    assert_eq!(edge.upstream().ledger_url.as_ref(), Some(&store));
    assert_eq!(edge.upstream().origin, SnapshotOrigin::Http(store));
    assert_eq!(edge.data(), folder.path().join("edge"));
}

/// An edge on a folder of signed files, which takes neither url nor key.
fn file_edge() -> (Settings, tempfile::TempDir) {
    let (_, folder) = complete_edge();
    let root = folder.path().join("root.json");
    let settings = Settings::new(&EDGE)
        .set("upstream.kind", "file")
        .set("upstream.path", "/srv/snapshots")
        .set("upstream.trust_root", &root.to_string_lossy())
        .set("environment.development.required", "true");
    (settings, folder)
}

#[test]
fn a_folder_needs_no_key_unless_there_is_a_ledger() {
    let (settings, _folder) = file_edge();
    let edge = EdgeConfig::build(settings.clone()).expect("an edge without network");
    assert_eq!(edge.upstream().ledger_url, None);
    assert!(edge.environments()[0].key.expose().is_empty());
    let with_ledger = settings
        .clone()
        .set("upstream.ledger_url", "http://127.0.0.1:1");
    let faults = faults_of(EdgeConfig::build(with_ledger.clone())).join("\n");
    assert!(
        faults.contains("environment.development.key: is required to ask upstream"),
        "{faults}"
    );
    let with_key = with_ledger.set("environment.development.key", "k1");
    let edge = EdgeConfig::build(with_key).expect("an edge with a ledger");
    assert_eq!(edge.environments()[0].ledger_key.expose(), "k1");
}

#[test]
fn each_kind_of_upstream_asks_for_what_it_needs() {
    let (settings, _folder) = complete_edge();
    let faults = |settings| faults_of(EdgeConfig::build(settings)).join("\n");
    let file = faults(settings.clone().set("upstream.kind", "file"));
    assert!(file.contains("upstream.path: is required for"), "{file}");
    let both = faults(settings.clone().set("upstream.path", "/srv"));
    assert!(both.contains("only read with upstream.kind"), "{both}");
    let (settings, _folder) = file_edge();
    let neither = faults(settings.set("upstream.kind", "http"));
    assert!(
        neither.contains("upstream.url: is required for"),
        "{neither}"
    );
}

#[test]
fn a_downstream_key_in_place_of_its_hash_is_refused_and_not_repeated() {
    let (settings, _folder) = complete_edge();
    let name = "environment.development.downstream_key_hashes";
    let hash = "ab".repeat(32);
    let edge = EdgeConfig::build(settings.clone().set(name, &hash)).expect("a hash");
    assert_eq!(edge.environments()[0].downstream, [[0xab; 32]]);
    let twice = settings
        .clone()
        .set(name, &hash)
        .set("environment.production.key", "k1")
        .set("environment.production.downstream_key_hashes", &hash);
    let faults = faults_of(EdgeConfig::build(twice)).join("\n");
    assert!(faults.contains("opens one environment"), "{faults}");
    for wrong in ["edge-development-s3cret", "+b", &"é".repeat(32)] {
        let faults = faults_of(EdgeConfig::build(settings.clone().set(name, wrong)));
        let faults = faults.join("\n");
        assert!(faults.contains("no SHA-256"), "{faults}");
        assert!(!faults.contains(wrong), "{faults}");
    }
}

#[test]
fn an_environment_name_with_a_dot_is_refused_however_it_is_written() {
    let (settings, _folder) = complete_edge();
    for text in [
        "[environment.eu.prod]\nkey = \"k\"",
        "[environment.eu.prod]\nkey_file = \"k\"",
        "[environment.\"eu.prod\"]\nkey = \"k\"",
        "[environment.\"eu.prod\"]",
        "environment.\"eu.prod\".required = true",
    ] {
        let written = settings.clone().text("edge.toml", text);
        let faults = faults_of(EdgeConfig::build(written)).join("\n");
        assert!(faults.contains("environment.eu.prod"), "{text}: {faults}");
        assert!(faults.contains("has a dot"), "{text}: {faults}");
    }
    let unknown = settings.text("edge.toml", "[environment.eu.prod]\nkex = \"k\"");
    let faults = faults_of(EdgeConfig::build(unknown)).join("\n");
    assert!(faults.contains("there is no such key"), "{faults}");
}

#[test]
fn dev_refuses_one_address_for_two_listeners() {
    let settings = Settings::new(&DEV).set("store.listen", "127.0.0.1:7070");
    let faults = DevConfig::build(settings).expect_err("a clash");
    assert_eq!(faults.list.len(), 1, "{faults}");
    assert_eq!(faults.list[0].key, "store.listen");
}
