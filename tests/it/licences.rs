//! May we ship everything we are built from?
//!
//! Reads what cargo resolved and holds every package's licence against a list
//! of those that fit a program under Apache-2.0. A new licence is a line here,
//! with the reason why it fits.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Licences that fit, each with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("MIT", "permissive; keep the notice"),
    ("MIT-0", "permissive without a notice"),
    ("Apache-2.0", "our own"),
    (
        "Apache-2.0 WITH LLVM-exception",
        "our own, with fewer duties",
    ),
    ("BSD-2-Clause", "permissive; keep the notice"),
    (
        "BSD-3-Clause",
        "permissive; keep the notice, do not advertise with names",
    ),
    ("ISC", "as MIT"),
    ("Zlib", "permissive; mark changed sources"),
    ("0BSD", "no duties"),
    ("CC0-1.0", "public domain"),
    ("Unlicense", "public domain"),
    ("BSL-1.0", "permissive; binaries need no notice"),
    (
        "Unicode-3.0",
        "permissive; the tables of the Unicode Consortium",
    ),
];

#[test]
fn every_dependency_has_a_licence_that_fits() {
    let refused: Vec<String> = licences()
        .into_iter()
        .filter(|(_, licence)| !fits(licence))
        .map(|(package, licence)| format!("{package}: {licence:?} is not on the list"))
        .collect();
    assert!(refused.is_empty(), "\n{}\n", refused.join("\n"));
}

#[test]
fn an_expression_fits_when_its_choices_do() {
    assert!(fits("MIT OR GPL-3.0"));
    assert!(fits("MIT/Apache-2.0"));
    assert!(fits("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!fits("MIT AND GPL-3.0"));
    assert!(!fits("GPL-3.0"));
    assert!(!fits(""));
}

/// Package and version to licence expression, ours left out.
fn licences() -> BTreeMap<String, String> {
    let host = String::from_utf8(run("rustc", &["-vV"])).expect("rustc's words");
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host");
    // Other platforms' packages are neither downloaded nor shipped here.
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let metadata = run(
        cargo,
        &[
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ],
    );
    let metadata: Value = serde_json::from_slice(&metadata).expect("cargo's JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(|package| !package["source"].is_null())
        .map(|package| {
            let text = |member: &str| package[member].as_str().unwrap_or_default().to_owned();
            (
                format!("{} {}", text("name"), text("version")),
                text("license"),
            )
        })
        .collect()
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

/// Whether an expression can be satisfied with allowed licences alone: one
/// alternative of every requirement. Parentheses occur one level deep in
/// practice; deeper ones are refused, never guessed.
fn fits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut depth = 0_usize;
    let mut requirement = String::new();
    let mut requirements = Vec::new();
    for word in expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
    {
        match word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "AND" if depth == 0 => requirements.push(std::mem::take(&mut requirement)),
            // "A AND B" inside parentheses stays one alternative, on no list.
            word => {
                requirement.push(' ');
                requirement.push_str(word);
            }
        }
    }
    requirements.push(requirement);
    requirements.iter().all(|requirement| {
        let mut alternatives = requirement.split(" OR ").map(str::trim);
        alternatives.any(|name| ALLOWED.iter().any(|(allowed, _)| *allowed == name))
    })
}
