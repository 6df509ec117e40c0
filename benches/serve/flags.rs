//! What does a frontend's question about flags cost?
//!
//! All flags that are on, for users who each have a context of their own: one
//! token, as pages have it, with 10, 100 and 1000 flags; one flag alone; and all
//! again from a client that has the answer. Half of the flags are on for a
//! user. Each row has an edge with its flags and a floor with the same answer.

use std::{net::SocketAddr, sync::Arc};

use flowgate::snapshot::{
    Revision, Snapshot,
    flags::{FlagToken, Flags, FlagsDocument},
};
use serde_json::{Value, json};

use crate::{
    ROUNDS, Server, USERS_PER_CONNECTION, edge, input, keep_cheapest,
    load::{Requests, exchange, lanes},
    measure, print_row,
    world::Users,
};

const TOKEN: &str = "*:production.3f6c1e0a9b7d4852c1d0e9f8a7b6c5d4";

const CONNECTIONS: usize = 16;

/// The answer to the same question as the row before it, if the client has it
/// already.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    All,
    One,
    Again,
}

/// What is asked of how many flags.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    flags: usize,
    asked: Asked,
    /// The ratio that is hoped for.
    goal: f64,
}

/// Goals are what the best of Unleash's proxies needs on a machine with this
/// floor, less what is to be faster (10, 20, 25 and 4 times).
pub(crate) const QUESTIONS: [Question; 6] = [
    Question::of("/api/frontend, 10 flags", 10, Asked::All, 1.4),
    Question::of("/api/frontend, 100 flags", 100, Asked::All, 1.75),
    Question::of("  not modified", 100, Asked::Again, 0.9),
    Question::of("/api/frontend, 1000 flags", 1_000, Asked::All, 22.0),
    Question::of("  not modified", 1_000, Asked::Again, 11.0),
    Question::of("one of 1000 flags", 1_000, Asked::One, 1.45),
];

impl Question {
    const fn of(name: &'static str, flags: usize, asked: Asked, goal: f64) -> Self {
        Self {
            name,
            flags,
            asked,
            goal,
        }
    }

    /// What the edge reads that answers it.
    pub(crate) fn input(&self) -> Vec<u8> {
        self.flags.to_string().into_bytes()
    }

    /// What the users of one connection ask of that edge.
    pub(crate) fn requests(&self, edge: SocketAddr, connection: usize) -> Requests {
        let users = (0..USERS_PER_CONNECTION).map(|at| at * 1_000 + connection);
        users.map(|user| request(edge, user, self.asked)).collect()
    }
}

/// The edge of these rows: the number of its flags is its input.
pub(crate) fn serve() {
    let count = String::from_utf8(input()).expect("text");
    let count: usize = count.trim().parse().expect("a number");
    edge::serve(snapshot(count), Users::UNKNOWN, edge::idle);
}

/// Prints the rows.
pub(crate) fn compare() {
    for question in &QUESTIONS {
        let edge = Server::start("flags", &question.input());
        let requests = (0..CONNECTIONS).map(|own| question.requests(edge.address, own));
        let requests: Vec<Requests> = requests.collect();
        let model = exchange(edge.address, &requests[0][..1]);
        let floor = Server::start("floor", &model);
        let mut best = [(f64::MAX, 0.0); 2];
        for _ in 0..ROUNDS {
            for (server, best) in [&floor, &edge].into_iter().zip(&mut best) {
                let mut open = lanes(server.address, requests.len());
                keep_cheapest(best, measure(server, &mut open, &requests));
            }
        }
        print_row(question.name, best[0], best[1], question.goal);
    }
}

/// As `unleash-proxy-client` asks in a page.
fn request(address: SocketAddr, user: usize, asked: Asked) -> Vec<u8> {
    let path = match asked {
        Asked::One => "/api/frontend/features/flag-0042",
        Asked::All | Asked::Again => "/api/frontend",
    };
    let (country, plan) = (["DE", "FR", "PL"][user % 3], ["free", "pro"][user % 2]);
    let line = format!(
        "GET {path}?userId=user-{user}&sessionId={}&appName=shop&environment=default\
         &properties%5Bplan%5D={plan}&properties%5Bcountry%5D={country}\
         &properties%5Bemail%5D=user-{user}%40example.com&properties%5Bage%5D={} HTTP/1.1",
        user * 7_919 % 1_000_000_007,
        user % 90,
    );
    let head = format!(
        "{line}\r\nhost: 127.0.0.1:7070\r\nauthorization: {TOKEN}\r\naccept: application/json\r\n\
         unleash-appname: shop\r\nunleash-connection-id: 5bf1c2a0-6f1e-4d7e-9d3c-0a1b2c3d4e5f\r\n\
         unleash-sdk: unleash-js@3.8.2\r\n"
    );
    let plain = format!("{head}\r\n").into_bytes();
    if asked != Asked::Again {
        return plain;
    }
    let answer = exchange(address, &[plain]);
    let answer = String::from_utf8_lossy(&answer);
    let tag = answer.lines().find_map(|line| line.strip_prefix("etag: "));
    let tag = tag.expect("a tag");
    format!("{head}if-none-match: {tag}\r\n\r\n").into_bytes()
}

/// Flags of which each looks at the user and at something else.
fn snapshot(count: usize) -> Snapshot {
    let features: Vec<Value> = (0..count).map(flag).collect();
    let segment = json!({"contextName": "age", "operator": "NUM_LT", "value": "80"});
    let document = json!({"features": features, "segments": [{"id": 1, "constraints": [segment]}]});
    let document = FlagsDocument::read(document.to_string().as_bytes()).expect("a document");
    let flags = Arc::new(Flags::compile(&document));
    assert_eq!(flags.troubles(), []);
    let token = FlagToken::parse(TOKEN, "bench").expect("a token");
    let revision = Revision {
        epoch: 0,
        number: 17,
    };
    Snapshot::of_unsigned_flags("production", revision, &flags, &[token])
}

fn flag(at: usize) -> Value {
    let name = format!("flag-{at:04}");
    let constraint = match at % 3 {
        0 => {
            json!({"contextName": "country", "operator": "IN", "values": ["DE", "FR", "PL", "SE"]})
        }
        1 => {
            json!({"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["example.com"]})
        }
        _ => json!({"contextName": "plan", "operator": "NOT_IN", "values": ["basic"]}),
    };
    let segments = if at.is_multiple_of(4) {
        vec![1]
    } else {
        Vec::new()
    };
    let parameters = json!({"rollout": "50", "stickiness": "default", "groupId": name});
    let variant = |name: &str| {
        json!({"name": name, "weight": 500, "stickiness": "default",
            "payload": {"type": "string", "value": format!("the {name} one")}})
    };
    let variants = match at % 5 {
        0 => vec![variant("blue"), variant("green")],
        _ => Vec::new(),
    };
    let strategy = json!({"name": "flexibleRollout", "parameters": parameters,
        "constraints": [constraint], "segments": segments, "variants": variants});
    json!({"name": name, "type": "release", "project": "default", "enabled": true,
        "impressionData": false, "strategies": [strategy]})
}
