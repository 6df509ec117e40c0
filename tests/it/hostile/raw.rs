//! How does a case become bytes, and its answers statuses?
//!
//! `|` is CR LF; names in braces stand for what a case does not spell out:
//! a flow that answers 200, ends of heads with one kind of key, a good body
//! and its length, a request that honestly follows, and one that must never be
//! carried out.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;

use crate::harness::{DEADLINE, Dev, body_of, eventually};

const FLOW: &str = "/v2/flow/onboarding-tour?tag=latest&userIdentifier=ada";

/// A good body for `POST /v1/evaluate`.
const JSON: &str = r#"{"subject":{"user":"ada"},"flows":{"onboarding-tour":"latest"}}"#;

/// Nobody of this name ever asks by a request of its own.
const SMUGGLED: &str = "smuggled";

/// A case: what is sent, and the statuses of all answers until the connection
/// is closed.
pub(super) type Case = (&'static str, &'static [u16]);

/// The program, and what a case's names stand for.
pub(super) struct Raw {
    pub(super) dev: Dev,
    _folder: tempfile::TempDir,
}

impl Raw {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dev = Dev::start(folder.path());
        let raw = Self {
            dev,
            _folder: folder,
        };
        eventually("the edge answers", || {
            (raw.status("edge_url", "GET {flow} HTTP/1.1|{end}") == 200).then_some(())
        });
        raw
    }

    /// What a case means.
    pub(super) fn bytes(&self, written: &str) -> String {
        let key = |environment, kind| self.dev.key(environment, kind);
        let blocks = key("development", "blocks");
        let end = |key: &str| format!("host: x|x-api-key: {key}|connection: close||");
        let smuggled = FLOW.replace("ada", SMUGGLED);
        written
            .replace("{smuggled}", &format!("GET {smuggled} HTTP/1.1|{{end}}"))
            .replace("{next}", "{get}{end}")
            .replace("{chunked}", "{post}transfer-encoding: chunked|{end}")
            .replace("{chunk}", "{hex}|{json}|")
            .replace("{post}", "POST /v1/evaluate HTTP/1.1|")
            .replace("{get}", "GET {flow} HTTP/1.1|")
            .replace("{flow}", FLOW)
            .replace("{json}", JSON)
            .replace("{len}", &JSON.len().to_string())
            .replace("{hex}", &format!("{:x}", JSON.len()))
            .replace("{open}", "host: x|x-api-key: {text}||")
            .replace("{key}", "x-api-key: {text}|connection: close||")
            .replace("{end}", &end(&blocks))
            .replace("{text}", &blocks)
            .replace("{users}", &end(&key("development", "users")))
            .replace("{server}", &end(&key("development", "server")))
            .replace("{edge}", &end(&key("development", "edge")))
            .replace("{other}", &end(&key("production", "edge")))
            .replace("{admin}", &end(&self.dev.program.text("admin_key")))
            .replace("{none}", "host: x|connection: close||")
            .replace('|', "\r\n")
    }

    /// Everything that comes back until the server closes.
    pub(super) fn exchange(&self, listener: &str, bytes: &[u8]) -> Vec<u8> {
        let url = self.dev.program.text(listener);
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        // The server may answer and close before it has taken everything.
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        // A reset after the answer ends the reading as a clean close does.
        drop(stream.read_to_end(&mut answer));
        answer
    }

    /// The statuses of all answers.
    pub(super) fn statuses(&self, listener: &str, written: &str) -> Vec<u16> {
        statuses(&self.exchange(listener, self.bytes(written).as_bytes()))
    }

    /// The status of the one answer; 0 when the connection was closed.
    #[track_caller]
    pub(super) fn status(&self, listener: &str, written: &str) -> u16 {
        match self.statuses(listener, written)[..] {
            [] => 0,
            [status] => status,
            ref several => panic!("{:?} was answered {several:?}", shown(written)),
        }
    }

    /// Each case has its one status.
    #[track_caller]
    pub(super) fn hold(&self, listener: &str, cases: &[(&str, u16)]) {
        let each = cases.iter().map(|(written, expected)| {
            let expected = match *expected {
                0 => Vec::new(),
                status => vec![status],
            };
            (*written, expected)
        });
        self.hold_all(listener, each);
    }

    /// Each case has its statuses, and nothing was carried out that was
    /// smuggled.
    #[track_caller]
    pub(super) fn hold_rows(&self, listener: &str, cases: &[Case]) {
        let each = cases.iter();
        self.hold_all(
            listener,
            each.map(|(written, all)| (*written, all.to_vec())),
        );
        self.nothing_was_smuggled();
    }

    /// The user whom only smuggled requests name has started nothing.
    #[track_caller]
    pub(super) fn nothing_was_smuggled(&self) {
        let body = json!({"subject": {"user": SMUGGLED}, "flows": {"onboarding-tour": "latest"}});
        let answer = self.dev.edge("blocks").post("/v1/evaluate", &body);
        let decision = &body_of(&answer, 200)["decisions"]["onboarding-tour"];
        assert_eq!(
            decision["state"]["started"], false,
            "it was smuggled: {decision}"
        );
    }

    #[track_caller]
    fn hold_all<'c>(&self, listener: &str, cases: impl Iterator<Item = (&'c str, Vec<u16>)>) {
        let wrong: Vec<String> = cases
            .filter_map(|(written, expected)| {
                let found = self.statuses(listener, written);
                let differs = found != expected;
                differs.then(|| format!("{found:?}, expected {expected:?}: {:?}", shown(written)))
            })
            .collect();
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
        assert_eq!(self.status("edge_url", "GET {flow} HTTP/1.1|{end}"), 200);
    }
}

fn shown(written: &str) -> String {
    written.chars().take(160).collect()
}

/// The status of each answer in what came back over one connection.
pub(super) fn statuses(mut rest: &[u8]) -> Vec<u16> {
    let mut found = Vec::new();
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let Some(status) = status.filter(|_| head.starts_with("http/1.")) else {
            panic!("no answer but {head:?}");
        };
        found.push(status);
        rest = &rest[end + 4..];
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = match header("content-length: ") {
            Some(length) => length.trim().parse().expect("a length"),
            None if header("transfer-encoding: ").is_some() => {
                let last = rest.windows(5).position(|five| five == b"0\r\n\r\n");
                last.map_or(rest.len(), |at| at + 5)
            }
            None => 0,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}
