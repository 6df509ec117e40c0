//! The image: every path, port, variable and command of the Dockerfile.

use std::process::Command;

use super::{Map, check_variables, check_words, file, setting};
use crate::harness::{Program, flowgate, run};

/// One stage with what it inherits.
#[derive(Clone, Default)]
pub(super) struct Stage {
    pub(super) name: String,
    from: String,
    pub(super) variables: Map,
    pub(super) user: String,
    pub(super) volume: String,
    ports: Vec<String>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    health: Vec<String>,
    copied: Vec<String>,
}

/// The stages of the Dockerfile in their order.
pub(super) fn stages() -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    let text = file("Dockerfile").replace("\\\n", " ");
    for line in text.lines().map(str::trim) {
        let Some((word, rest)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if word == "FROM" {
            let (from, name) = rest.split_once(" AS ").expect("a named stage");
            let below = stages.iter().find(|own| own.name == from);
            let mut stage = below.cloned().unwrap_or_default();
            (stage.name, stage.from) = (name.to_owned(), from.to_owned());
            stages.push(stage);
            continue;
        }
        let stage = stages.last_mut().expect("a stage");
        match word {
            "ENV" => stage.variables.extend(rest.split_whitespace().map(|pair| {
                let (name, value) = pair.split_once('=').expect("NAME=VALUE");
                (name.to_owned(), value.to_owned())
            })),
            "USER" => stage.user = rest.to_owned(),
            "VOLUME" => stage.volume = words(rest).remove(0),
            "EXPOSE" => stage.ports = rest.split_whitespace().map(str::to_owned).collect(),
            "ENTRYPOINT" => stage.entrypoint = words(rest),
            "CMD" => stage.command = words(rest),
            "HEALTHCHECK" => {
                let at = rest.find("CMD ").expect("a command") + 4;
                stage.health = words(&rest[at..]);
            }
            "COPY" => stage
                .copied
                .extend(rest.split_whitespace().last().map(str::to_owned)),
            "RUN" | "WORKDIR" | "LABEL" => {}
            other => panic!("the Dockerfile says {other}, which nobody here checks"),
        }
    }
    stages
}

/// The exec form: there is no shell in the image that could split words.
#[track_caller]
fn words(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text} is not in the exec form"))
}

pub(super) fn stage(name: &str) -> Stage {
    let found = stages().into_iter().find(|own| own.name == name);
    found.unwrap_or_else(|| panic!("no stage {name}"))
}

#[test]
fn each_server_finds_its_settings_its_volume_and_its_ports() {
    for name in ["edge", "store"] {
        let stage = stage(name);
        assert_eq!(stage.command, [name]);
        check_words(&stage.command);
        check_variables(name, &stage.variables);
        assert_eq!(setting(name, &stage.variables, "data"), stage.volume);
        assert!(stage.copied.contains(&stage.volume), "made for its user");
        assert!(stage.copied.contains(&stage.entrypoint[0]), "it is there");
        let uid = stage
            .user
            .split(':')
            .next()
            .and_then(|uid| uid.parse::<u32>().ok());
        assert!(
            uid.is_some_and(|uid| uid > 0),
            "{} is root or a name",
            stage.user
        );
        let mut listeners = vec!["listen"];
        if name == "edge" {
            listeners.push("admin.listen");
        }
        let bound = listeners.into_iter().map(|key| {
            let address = setting(name, &stage.variables, key);
            let port = address.strip_prefix("0.0.0.0:");
            port.unwrap_or_else(|| panic!("{key} is bound to {address}"))
                .to_owned()
        });
        assert_eq!(bound.collect::<Vec<_>>(), stage.ports);
    }
    assert_eq!(
        stages().last().map(|own| own.name.clone()).as_deref(),
        Some("edge")
    );
    // `dev` in the same image is reached from outside as well.
    let edge = stage("edge");
    for key in ["edge.listen", "store.listen", "admin.listen"] {
        assert!(setting("dev", &edge.variables, key).starts_with("0.0.0.0:"));
    }
    check_variables("dev", &edge.variables);
}

#[test]
fn the_health_checks_of_the_image_tell_well_from_ill() {
    for name in ["edge", "store"] {
        let stage = stage(name);
        assert_eq!(stage.health[0], stage.entrypoint[0]);
        check_words(&stage.health[1..]);
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = flowgate();
        // `dev` has an edge's admin listener and a store that needs no keys.
        command.args([
            "dev",
            "--json",
            "--edge",
            "127.0.0.1:0",
            "--store",
            "127.0.0.1:0",
        ]);
        command.args(["--admin", "127.0.0.1:0", "--data"]);
        command.arg(folder.path().join("data"));
        let mut program = Program::start(command, &folder.path().join("log"));
        let member = if name == "edge" {
            "edge_admin_url"
        } else {
            "store_url"
        };
        let url = program.text(member);
        let port = url.rsplit(':').next().expect("a port").to_owned();
        let own = stage.ports.last().expect("a port");
        let words = stage.health[1..].iter();
        let words: Vec<String> = words.map(|word| word.replace(own, &port)).collect();
        let health = || {
            let mut command = flowgate();
            command.env("FLOWGATE_ADMIN__LISTEN", format!("0.0.0.0:{port}"));
            run(command.args(&words)).status.code()
        };
        assert_eq!(health(), Some(0), "{words:?}");
        program.kill();
        assert_eq!(health(), Some(1), "{words:?}");
    }
}

#[test]
fn the_image_is_built_with_our_compiler_from_all_that_a_build_reads() {
    let manifest: toml::Table = file("Cargo.toml").parse().expect("TOML");
    let version = manifest["package"]["rust-version"]
        .as_str()
        .expect("a version");
    let from = stage("build").from;
    assert!(from.starts_with(&format!("rust:{version}-")), "{from}");
    let ignored = file(".dockerignore");
    let ignored: Vec<&str> = ignored
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "src/main.rs",
        "config/demo/onboarding-tour.yaml",
        "benches/evaluate.rs",
        "benches/serve/main.rs",
        "tests/it/main.rs",
        "tests/allocations/main.rs",
    ] {
        file(needed);
        let out = ignored
            .iter()
            .find(|own| needed == **own || needed.starts_with(&format!("{own}/")));
        assert_eq!(out, None, "{needed} is left out");
    }
    assert!(ignored.contains(&"target") && ignored.contains(&".flowgate"));
}

#[test]
fn the_image_builds_and_answers_where_there_is_a_daemon() {
    let docker = |words: &[&str]| {
        let output = Command::new("docker")
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output();
        output.ok().filter(|output| output.status.success())
    };
    if docker(&["info"]).is_none() {
        println!("the image was NOT built: no Docker daemon can be reached");
        return;
    }
    for stage in stages() {
        let is_ours = stages().iter().any(|own| own.name == stage.from);
        if !is_ours && docker(&["image", "inspect", &stage.from]).is_none() {
            println!(
                "the image was NOT built: {} is not here (docker pull it)",
                stage.from
            );
            return;
        }
    }
    let tag = format!("flowgate-test:{}", std::process::id());
    docker(&["build", "--target", "edge", "--tag", &tag, "."]).expect("it builds");
    let output = docker(&[
        "run",
        "--rm",
        "--read-only",
        "--network",
        "none",
        &tag,
        "--version",
    ]);
    let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    docker(&["image", "rm", &tag]).expect("it is removed");
}
