//! Do the pages in `docs/` work as they are written?
//!
//! The `sh` blocks of each page are run in order, as one script, in an empty
//! folder with `flowgate` on the path. Only the ports differ, because a test
//! cannot claim the default ones.

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::run;

/// Pages with blocks to run, and a text the output must have.
const PAGES: &[(&str, &str)] = &[
    ("../README.md", "carry by carry-over of version 2"),
    ("changes.md", "event: change"),
    ("dopt.md", "101 Switching Protocols"),
    ("http.md", "\"reason\":\"started\""),
    ("two-processes.md", "started"),
    ("snapshots.md", "refused: the root key is away"),
    ("offline.md", "changed  version  welcome 1"),
    ("load.md", "were answered"),
    ("operations.md", "exit code 64"),
    ("tls.md", "certificate_expires_seconds"),
    ("deployments.md", "enabled: support"),
    ("freshness.md", "snapshot-stale"),
    ("explain.md", "exit code 1"),
    ("keys.md", "is for another user"),
    ("backup.md", "is in epoch 2"),
    ("administration.md", "editor in development"),
    ("unleash.md", "of project harbor, experiment, pre-live"),
    ("usage.md", "blue 2, green 1"),
    ("users.md", "as they were before"),
    ("environments.md", "refused: 2"),
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// The script a reader would paste together.
fn script(page: &str) -> String {
    let text = fs::read_to_string(docs().join(page)).expect("the page");
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => writeln!(script, "{line}").expect("a string"),
            _ => {}
        }
    }
    script
}

/// What pages may use beside `flowgate`, and how it says that it is there.
const TOOLS: [(&str, &str); 2] = [("curl", "--version"), ("openssl", "version")];

/// The first tool of a script that this machine has not.
fn missing_tool(script: &str) -> Option<&'static str> {
    let used = TOOLS
        .iter()
        .filter(|(tool, _)| script.contains(&format!("{tool} ")));
    let mut missing = used.filter(|(tool, says)| Command::new(tool).arg(says).output().is_err());
    missing.next().map(|(tool, _)| *tool)
}

/// Ports nobody listens on at the moment.
fn free_ports<const N: usize>() -> [u16; N] {
    // Held together, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().expect("an address").port())
}

#[test]
fn the_shell_blocks_of_the_pages_run_as_they_are_written() {
    for (page, expected) in PAGES.iter().copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut blocks = script(page);
        assert!(!blocks.is_empty(), "{page} has no sh block");
        if let Some(tool) = missing_tool(&blocks) {
            // `tests/run` installs them; a plain `cargo test` goes on without.
            println!("{page} was NOT run: there is no {tool} on this machine");
            continue;
        }
        for (port, free) in [7070, 7071, 7080].into_iter().zip(free_ports::<3>()) {
            blocks = blocks.replace(&format!(":{port}"), &format!(":{free}"));
        }
        // Whatever the page starts in the background ends with it.
        let blocks = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{blocks}");
        let binary = Path::new(env!("CARGO_BIN_EXE_flowgate"));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", binary.parent().expect("a folder").display());
        let output = run(Command::new("timeout")
            .args(["120", "bash", "-eu", "-o", "pipefail", "-c", &blocks])
            .current_dir(folder.path())
            .env("PATH", path));
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}: {text}\n{errors}");
        assert!(text.contains(expected), "{page}: {text}\n{errors}");
    }
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    for entry in fs::read_dir(docs()).expect("the pages") {
        pages.push(entry.expect("an entry").path());
    }
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("http") {
                continue;
            }
            let target = page.parent().expect("a folder").join(link);
            assert!(target.exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn the_page_of_figures_has_a_row_for_each_that_is_taken() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = fs::read_to_string(root.join("tests/long/rows")).expect("the rows");
    let page = fs::read_to_string(docs().join("proof.md")).expect("the page");
    for row in rows.lines().filter(|row| !row.starts_with('#')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let [what, printed, command] = parts[..] else {
            panic!("{row:?} is not a sentence, what is printed, and a command");
        };
        assert_eq!(printed.matches('#').count(), 1, "the figure in {printed:?}");
        let written = page
            .lines()
            .find(|line| line.starts_with(&format!("| {what} |")));
        let ends = format!("| `{command}` |");
        assert!(
            written.is_some_and(|line| line.ends_with(&ends)),
            "{what:?}: {written:?}; run tests/long/figures"
        );
    }
}
