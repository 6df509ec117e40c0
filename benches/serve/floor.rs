//! What does a request cost when nobody thinks?
//!
//! hyper with the edge's connection settings, on one thread with one runtime,
//! reading what is sent and answering the same bytes every time: those the
//! edge answered to the same request.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime::Builder, task::LocalSet};

/// The answer everybody gets.
struct Model {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Serves until it is killed.
pub(crate) fn serve() {
    // For the life of the process.
    let model: &'static Model = Box::leak(Box::new(read_model(&crate::input())));
    let runtime = Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), accept(model));
}

async fn accept(model: &'static Model) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .half_close(false)
        .max_buf_size(flowgate::limits::CONNECTION_BUFFER_BYTES_MAX)
        .max_header_size(flowgate::limits::HEAD_BYTES_MAX);
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        let service = service_fn(move |request| answer(model, request));
        let serving = http.serve_connection(TokioIo::new(stream), service);
        drop(tokio::task::spawn_local(serving));
    }
}

async fn answer(
    model: &'static Model,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // A GET has nothing to read, and finds that out without waiting.
    drop(request.into_body().collect().await);
    let mut response = Response::new(Full::new(model.body.clone()));
    *response.status_mut() = model.status;
    let headers = response.headers_mut();
    headers.reserve(model.headers.len());
    for (name, value) in &model.headers {
        headers.insert(name.clone(), value.clone());
    }
    Ok(response)
}

/// Takes an answer of the edge apart. What hyper adds by itself is left out.
fn read_model(answer: &[u8]) -> Model {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("a head");
    let head = std::str::from_utf8(&answer[..end]).expect("text");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.get(9..12));
    let status = StatusCode::from_bytes(status.expect("a status").as_bytes());
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        if matches!(name, "content-length" | "date") {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    Model {
        status: status.expect("a status"),
        headers,
        body: Bytes::copy_from_slice(&answer[end + 4..]),
    }
}
