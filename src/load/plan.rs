//! What is to be sent, where, and how often?
//!
//! Everything is checked here, before the first request is due.

use std::{collections::VecDeque, num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{HOST, HeaderName, HeaderValue},
};

use crate::address::without_user;

/// Stands for the user's id in paths and bodies.
const USER: &str = "{user}";

/// A whole run.
#[derive(Clone, Debug)]
pub struct Load {
    /// Servers, asked in turn by connection.
    pub targets: Vec<Target>,
    /// Requests, sent in turn.
    pub requests: Vec<Asked>,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Requests a second over all connections.
    pub rate: f64,
    /// For how long requests are due, the warm-up not counted.
    pub duration: Duration,
    /// Sent before and not counted.
    pub warm_up: Duration,
    /// Connections, which are kept.
    pub connections: NonZeroUsize,
    /// Distinct users, taken in turn.
    pub users: NonZeroUsize,
    /// A request that takes longer has failed.
    pub patience: Duration,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_secure: bool,
    authority: HeaderValue,
}

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Path and query, in which `{user}` stands for the user's id.
    pub path: String,
    /// Body, likewise; empty for none.
    pub body: String,
}

/// Why something cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not a server.
    #[error("{0:?} is not a url such as http://127.0.0.1:7070")]
    Url(String),
    /// Not a path.
    #[error("{0:?} is not a path such as /v2/flow/welcome?userIdentifier={{user}}")]
    Path(String),
}

impl Target {
    /// A server by its url; a path in it has no meaning here and is refused.
    pub fn parse(url: &str) -> Result<Self, PlanError> {
        let refused = || PlanError::Url(without_user(url).into_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused()),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refused());
        }
        let authority = uri.authority().ok_or_else(refused)?;
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let port = authority.port_u16();
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: port.unwrap_or(if is_secure { 443 } else { 80 }),
            is_secure,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| refused())?,
        })
    }
}

impl Asked {
    /// Checked: a path that cannot be sent is found before the run.
    pub fn new(method: Method, path: &str, body: &str) -> Result<Self, PlanError> {
        let asked = Self {
            method,
            path: path.to_owned(),
            body: body.to_owned(),
        };
        let sample: Result<Uri, _> = asked.path.replace(USER, "user").parse();
        match sample {
            Ok(uri) if path.starts_with('/') && uri.authority().is_none() => Ok(asked),
            _ => Err(PlanError::Path(path.to_owned())),
        }
    }
}

impl Load {
    /// When a request is due, counted from the first of the warm-up.
    pub(super) fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// How many there are, the warm-up included.
    pub(super) fn total(&self) -> u64 {
        ((self.warm_up + self.duration).as_secs_f64() * self.rate).ceil() as u64
    }

    /// The first that counts.
    pub(super) fn first_counted(&self) -> u64 {
        (self.warm_up.as_secs_f64() * self.rate).ceil() as u64
    }

    /// The request with this number, for a server.
    pub(super) fn request(&self, target: &Target, number: u64) -> Request<Full<Bytes>> {
        let asked = &self.requests[number as usize % self.requests.len()];
        // Neighbours in time are different users, and every user is asked for
        // with every kind of request.
        let user = format!(
            "load-{}",
            number / self.requests.len() as u64 % self.users.get() as u64
        );
        let body = asked.body.replace(USER, &user);
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = asked.method.clone();
        // Checked with another user when the plan was made.
        *request.uri_mut() = asked.path.replace(USER, &user).parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, target.authority.clone());
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }
}

/// The numbers of one connection, in order.
pub(super) fn numbers(load: &Load, lane: usize) -> impl Iterator<Item = u64> + use<> {
    (lane as u64..load.total()).step_by(load.connections.get())
}

/// The last texts of something, for a report that stays short.
#[derive(Clone, Debug, Default)]
pub(super) struct Few(VecDeque<String>);

impl Few {
    const KEPT: usize = 3;

    pub(super) fn add(&mut self, text: String) {
        if !self.0.contains(&text) && self.0.len() < Self::KEPT {
            self.0.push_back(text);
        }
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = String> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(requests: Vec<Asked>) -> Load {
        Load {
            targets: vec![Target::parse("http://127.0.0.1:7070").expect("a url")],
            requests,
            headers: Vec::new(),
            rate: 100.0,
            duration: Duration::from_secs(2),
            warm_up: Duration::from_secs(1),
            connections: NonZeroUsize::new(3).expect("three"),
            users: NonZeroUsize::new(2).expect("two"),
            patience: Duration::from_secs(1),
        }
    }

    #[test]
    fn every_request_is_due_once_at_its_own_time() {
        let asked = Asked::new(Method::GET, "/x?u={user}", "").expect("a path");
        let load = load(vec![asked]);
        let mut numbers: Vec<u64> = (0..3).flat_map(|lane| numbers(&load, lane)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..300).collect::<Vec<u64>>());
        assert_eq!(load.due(150), Duration::from_millis(1_500));
        assert_eq!(load.first_counted(), 100);
    }

    #[test]
    fn requests_and_users_take_turns() {
        let get = Asked::new(Method::GET, "/x?u={user}", "").expect("a path");
        let post = Asked::new(Method::POST, "/y", r#"{"user":"{user}"}"#).expect("a path");
        let load = load(vec![get, post]);
        let target = &load.targets[0];
        let uri = |number| load.request(target, number).uri().to_string();
        assert_eq!(uri(0), "/x?u=load-0");
        assert_eq!(uri(1), "/y");
        assert_eq!(uri(2), "/x?u=load-1");
        assert_eq!(uri(4), "/x?u=load-0");
        assert_eq!(load.request(target, 1).method(), Method::POST);
        assert_eq!(load.request(target, 0).headers()[HOST], "127.0.0.1:7070");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for url in [
            "127.0.0.1:7070",
            "ftp://x",
            "http://",
            "http://a@b",
            "http://a/path",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        let secure = Target::parse("https://edge.example").expect("a url");
        assert_eq!((secure.port, secure.is_secure), (443, true));
        let v6 = Target::parse("http://[::1]:80").expect("a url");
        assert_eq!(v6.host, "::1");
        for path in ["x", "http://other/x", "/a b", ""] {
            assert!(Asked::new(Method::GET, path, "").is_err(), "{path}");
        }
    }
}
