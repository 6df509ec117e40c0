//! How is one webhook called?
//!
//! The host is resolved once, every address is judged, and the connection goes
//! to the address that was judged: a name that answers differently a moment
//! later gains nothing. One request on one connection, no redirects, no proxy,
//! a deadline over all of it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{WebhookRules, address};
use crate::{limits, tls::client_tls};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// Not an address to call.
    #[error("the url cannot be called: {0}")]
    Url(String),
    /// Plain http, and nobody allowed it.
    #[error("the url is http (expected https, or webhooks.allow_http)")]
    Plain,
    /// No certificate authority is known.
    #[error("https cannot be checked: the system has no certificates (install ca-certificates)")]
    NoRoots,
    /// Its name leads nowhere.
    #[error("the host {0} cannot be resolved")]
    Unresolved(String),
    /// Only the store's own network reaches it.
    #[error("the host {0} is not on the public network (expected webhooks.allow_private for it)")]
    Private(String),
    /// Nobody answers there.
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    /// Not as HTTP.
    #[error("the exchange failed: {0}")]
    Exchange(#[from] hyper::Error),
    /// The headers that were authored do not make a request.
    #[error("the request cannot be written: {0}")]
    Request(#[from] hyper::http::Error),
    /// The path that was made of it says to go up.
    #[error("the user's id would lead to another path than the url's (it is . or ..)")]
    Elsewhere,
    /// Anything but 2xx.
    #[error("answered {0} (expected 2xx)")]
    Status(u16),
    /// The deadline.
    #[error("took longer than {} ms", limits::WEBHOOK_TIMEOUT_MS)]
    TooSlow,
}

impl CallError {
    /// What was answered, if anything was.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }
}

/// The scheme, host and port of a url. The rest of it is as good as a secret:
/// many receivers know their callers by a path or a query.
pub(in crate::store) fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    })
}

/// The host of a url, as slots are counted by.
pub(super) fn host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.host_str().map(str::to_ascii_lowercase)
}

/// Calls webhooks.
pub(super) struct Caller {
    rules: WebhookRules,
    tls: Option<TlsConnector>,
}

impl Caller {
    /// Reads the system's certificates; without any, https fails and says so.
    pub(super) fn new(rules: WebhookRules) -> Self {
        Self {
            rules,
            tls: client_tls().map(|tls| TlsConnector::from(Arc::new(tls))),
        }
    }

    /// Sends a request; success is any 2xx, which is given back.
    pub(super) async fn call(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<u16, CallError> {
        let deadline = Duration::from_millis(limits::WEBHOOK_TIMEOUT_MS);
        let call = self.call_in_time(url, headers, body);
        match tokio::time::timeout(deadline, call).await {
            Ok(called) => called,
            Err(_) => Err(CallError::TooSlow),
        }
    }

    async fn call_in_time(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<u16, CallError> {
        let url = Url::parse(url).map_err(|error| CallError::Url(error.to_string()))?;
        let secure = match url.scheme() {
            "https" => true,
            "http" if self.rules.allow_http => false,
            "http" => return Err(CallError::Plain),
            other => return Err(CallError::Url(format!("scheme {other} (expected https)"))),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let request = request(&url, &host, headers, body)?;
        let stream = self.connect(&host, port).await?;
        let status = if secure {
            let tls = self.tls.as_ref().ok_or(CallError::NoRoots)?;
            let bare = host.trim_matches(['[', ']']).to_owned();
            let name =
                ServerName::try_from(bare).map_err(|error| CallError::Url(error.to_string()))?;
            let stream = tls.connect(name, stream).await;
            exchange(stream.map_err(CallError::Connect)?, request).await?
        } else {
            exchange(stream, request).await?
        };
        if (200..300).contains(&status) {
            return Ok(status);
        }
        Err(CallError::Status(status))
    }

    /// Connects to the first address of the host that may be called and
    /// answers.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, CallError> {
        // Brackets of an IPv6 address are the url's, not the resolver's.
        let bare = host.trim_matches(['[', ']']);
        let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => tokio::net::lookup_host((bare, port))
                .await
                .map_err(|_| CallError::Unresolved(host.to_owned()))?
                .collect(),
        };
        if addresses.is_empty() {
            return Err(CallError::Unresolved(host.to_owned()));
        }
        let may_be_called =
            |at: &&SocketAddr| self.rules.allow_private || address::is_public(at.ip());
        let mut last = CallError::Private(host.to_owned());
        for address in addresses.iter().filter(may_be_called) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = CallError::Connect(error),
            }
        }
        Err(last)
    }
}

/// Headers that are ours to say come last and so replace authored ones.
fn request(
    url: &Url,
    host: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, CallError> {
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut request = Request::post(target).body(Full::new(Bytes::from(body)))?;
    for (name, value) in headers {
        let name = hyper::header::HeaderName::try_from(name).map_err(hyper::http::Error::from)?;
        let value = hyper::header::HeaderValue::try_from(value);
        let value = value.map_err(hyper::http::Error::from)?;
        request.headers_mut().insert(name, value);
    }
    let host = hyper::header::HeaderValue::try_from(host).map_err(hyper::http::Error::from)?;
    request.headers_mut().insert(HOST, host);
    Ok(request)
}

/// One request, and as much of the answer's body as anybody may send us.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<u16, CallError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        read_a_little(answer).await;
        Ok::<_, hyper::Error>(status)
    };
    match select(Box::pin(asked), Box::pin(connection)).await {
        Either::Left((status, _)) => Ok(status?),
        // The peer closed first; what it sent is in the answer all the same.
        Either::Right((_, asked)) => Ok(asked.await?),
    }
}

/// Lets a peer finish that answers politely; whoever goes on is hung up on.
/// What it says does not matter, the status was the answer.
async fn read_a_little(mut answer: Response<Incoming>) {
    let mut left = limits::WEBHOOK_ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = answer.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else {
            return;
        };
        left = rest;
    }
}
