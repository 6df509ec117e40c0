//! How does a story speak HTTP?
//!
//! A blocking face over reqwest: stories read top-down, one step a line.

use std::net::IpAddr;

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use tokio::runtime::Runtime;

/// A client with a key.
pub(crate) struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    url: String,
    key: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON; null when it is empty.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text))
    }

    /// A header as text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or("?"))
    }
}

fn builder() -> reqwest::ClientBuilder {
    let tls = flowgate::http::client_tls().expect("settings of TLS");
    reqwest::Client::builder().tls_backend_preconfigured(tls)
}

/// The JSON of an answer that must have this status.
#[track_caller]
pub(crate) fn body_of(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text);
    answer.json()
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self::with(builder(), url, key)
    }

    /// The same from this address of the machine.
    pub(crate) fn at(address: IpAddr, url: &str, key: &str) -> Self {
        Self::with(builder().local_address(address), url, key)
    }

    /// The same with other settings of the connection.
    pub(crate) fn with(builder: reqwest::ClientBuilder, url: &str, key: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            runtime,
            http: builder
                .no_proxy()
                .timeout(super::DEADLINE)
                .build()
                .expect("a client"),
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        }
    }

    /// Sends anything; an error is a connection that failed.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.key.is_empty() {
            request = request.header("x-api-key", &self.key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            Ok(Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                text: response.text().await?,
            })
        })
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body.to_string()))
            .expect("an answer")
    }
}
