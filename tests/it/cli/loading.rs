//! Does the load generator tell what the server did, and what it did itself?

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{ended, said};
use crate::harness::{Dev, flowgate};

/// A short run with a report for scripts.
fn load(url: &str, words: &[&str]) -> Command {
    let mut command = flowgate();
    command.args(["load", url, "--duration-s", "1", "--warm-up-s", "0"]);
    command.args(["--output", "json"]).args(words);
    command
}

#[test]
fn a_load_counts_every_request_that_was_due() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    let url = dev.program.text("edge_url");
    let key = dev.program.ready["environments"]["development"]["server"]
        .as_str()
        .expect("a key");
    let words = [
        "--key",
        key,
        "--evaluate",
        "onboarding-tour",
        "--rate",
        "200",
        "--users",
        "20",
    ];
    let report = ended(&mut load(&url, &words)).json();
    assert_eq!(report["due"], 200, "{report}");
    let accounted =
        ["answers", "failed", "unsent"].map(|name| report[name].as_u64().expect("a number"));
    assert_eq!(accounted.iter().sum::<u64>(), 200, "{report}");
    assert_eq!(report["statuses"]["200"], report["answers"], "{report}");
    let times = &report["times_us"];
    assert!(times["p50"].as_u64() > Some(0) && times["p50"].as_u64() <= times["max"].as_u64());

    // Users are distinct, and as many as was said.
    let cached = dev.admin().get("/status").json()["progress"]["users_cached"].clone();
    let settled = |count: &serde_json::Value| count.as_u64().is_some_and(|count| count <= 20);
    assert!(settled(&cached), "{cached}");

    // A refusal is an answer, is counted as what it is, and is told.
    let words = [
        "--key",
        "nobody",
        "--evaluate",
        "onboarding-tour",
        "--rate",
        "20",
    ];
    let refused = ended(&mut load(&url, &words)).with(1);
    refused.complains_of(&["were refusals"]);
    assert_eq!(refused.json()["statuses"]["401"], 20, "{}", refused.out);
    assert!(!refused.error.contains("nobody"), "a key is not repeated");
}

/// A server that answers one request a connection, after this time.
fn slow_server(pause: Duration, stop: Arc<AtomicBool>) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    listener
        .set_nonblocking(true)
        .expect("a socket that does not wait");
    let thread = std::thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            let Ok((mut stream, _)) = listener.accept() else {
                std::thread::yield_now();
                continue;
            };
            stream.set_nonblocking(false).expect("a socket that waits");
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .expect("a timeout");
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok_and(|count| count > 0) {
                std::thread::sleep(pause);
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                drop(stream.write_all(answer));
            }
        }
    });
    (url, thread)
}

#[test]
fn waiting_for_a_stalled_server_counts_as_time() {
    let stop = Arc::new(AtomicBool::new(false));
    let (url, thread) = slow_server(Duration::from_millis(100), stop.clone());
    // One connection, a request due every 20 ms, and each takes 100: they queue up.
    let words = ["--path", "/", "--rate", "50", "--connections", "1"];
    let told = ended(&mut load(&url, &words)).with(1);
    stop.store(true, Ordering::Release);
    thread.join().expect("the server ends");
    told.complains_of(&["never sent"]);
    let report = told.json();
    let number = |name: &str| report[name].as_u64().expect("a number");
    assert_eq!(
        number("answers") + number("failed") + number("unsent"),
        50,
        "{report}"
    );
    assert!(number("unsent") > 0, "{report}");
    // A generator that waits for answers would say 100 ms for all of them.
    let max = report["times_us"]["max"].as_u64().expect("a time");
    assert!(max > 200_000, "{report}");
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", port.local_addr().expect("an address"));
    drop(port);
    let told = ended(&mut load(&url, &["--path", "/", "--rate", "5"])).with(1);
    told.complains_of(&["had no answer", "cannot connect"]);
    assert_eq!(told.json()["failed"], 5);
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    said(&["load", "http://127.0.0.1:7070"])
        .with(64)
        .complains_of(&["--read", "--path"]);
    said(&["load", "nowhere", "--path", "/"])
        .with(64)
        .complains_of(&["nowhere", "http://"]);
    said(&["load", "http://a", "--path", "x"])
        .with(64)
        .complains_of(&["\"x\"", "path"]);
    said(&["load", "http://a", "--path", "/", "--rate", "0"])
        .with(64)
        .complains_of(&["--rate"]);
    said(&["load", "http://a", "--path", "/", "--header", "x"])
        .with(64)
        .complains_of(&["--header"]);
}

#[test]
fn shells_learn_the_words() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&["completions", shell]).with(0).out;
        for word in [
            "deployment",
            "print-defaults",
            "completions",
            "--",
            "upstream-url",
        ] {
            assert!(
                script.contains(word.trim_start_matches("--")),
                "{shell}: {word}"
            );
        }
        // The shell itself says whether it can read it, where there is one.
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("flowgate.completion");
        std::fs::write(&file, &script).expect("a file");
        match Command::new(shell).arg("-n").arg(&file).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {output:?}"),
            Err(_) => println!("{shell} is not on this machine: its script was NOT read by it"),
        }
    }
    said(&["completions", "tcsh"])
        .with(64)
        .complains_of(&["bash"]);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man");
    let path = pages.to_str().expect("text");
    said(&["man", "--out", path]).with(0);
    let main = said(&["man"]).with(0).out;
    assert_eq!(
        std::fs::read_to_string(pages.join("flowgate.1")).expect("the program's page"),
        main
    );
    let one = std::fs::read_to_string(pages.join("flowgate-key-create.1")).expect("a page");
    assert_eq!(one, said(&["man", "key", "create"]).with(0).out);
    // Every page that one of them points at is there.
    let files = std::fs::read_dir(&pages).expect("the folder");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    for file in &files {
        let page = std::fs::read_to_string(file).expect("a page");
        let pointed = page.lines().filter_map(|line| line.strip_suffix("(1)"));
        for name in pointed.map(|line| line.replace("\\-", "-")) {
            assert!(pages.join(format!("{name}.1")).is_file(), "{name}");
        }
    }
    // groff says whether it can read them, where there is one.
    let mut groff = Command::new("groff");
    match groff
        .args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"])
        .args(&files)
        .output()
    {
        Ok(output) => assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        ),
        Err(_) => println!("groff is not on this machine: the pages were NOT read by it"),
    }
    said(&["man", "key", "mint"])
        .with(64)
        .complains_of(&["flowgate key", "\"mint\"", "create"]);
    said(&["man", "--out", "/dev/null/man"])
        .with(2)
        .complains_of(&["/dev/null/man"]);
}

#[test]
fn bash_completes_a_command() {
    let script = said(&["completions", "bash"]).with(0).out;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("flowgate.bash");
    std::fs::write(&file, script).expect("a file");
    let asked = format!(
        "source {}; COMP_WORDS=(flowgate depl); COMP_CWORD=1; _flowgate flowgate depl flowgate; echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    let Ok(output) = Command::new("bash").args(["-c", &asked]).output() else {
        println!("bash is not on this machine: completion was NOT tried");
        return;
    };
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(words.trim(), "deployment", "{output:?}");
}
