//! Streams over HTTP/2, where they share a connection with requests.

use std::sync::Arc;

use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use hyper::Request;
use reqwest::Method;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::Site;
use crate::harness::{DEADLINE, eventually};

/// Asks on a connection that others ask on as well.
async fn ask(client: &SendRequest<Bytes>, path: &str, key: &str) -> RecvStream {
    let request = Request::get(format!("https://127.0.0.1{path}"));
    let request = request.header("authorization", key).body(());
    let mut client = client.clone().ready().await.expect("a free stream");
    let (answer, _) = client
        .send_request(request.expect("a request"), true)
        .expect("it is sent");
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.into_body()
}

/// One piece of a body; none at its end.
async fn piece(body: &mut RecvStream) -> Option<String> {
    let piece = timeout(DEADLINE, body.data()).await.expect("it goes on")?;
    let piece = piece.ok()?;
    let taken = body.flow_control().release_capacity(piece.len());
    taken.expect("it was given");
    Some(String::from_utf8_lossy(&piece).into_owned())
}

async fn follow(site: &Site, key: &str) {
    let url = site.edge.program.text("edge_url");
    let address = url.trim_start_matches("https://");
    let tcp = TcpStream::connect(address).await.expect("it listens");
    let host = "127.0.0.1".try_into().expect("a name");
    let tls = TlsConnector::from(Arc::new(site.speaking(b"h2")));
    let stream = tls.connect(host, tcp).await.expect("they agree");
    let (client, connection) = h2::client::handshake(stream).await.expect("settings");
    let connection = tokio::spawn(connection);
    let mut events = ask(&client, "/api/client/streaming", key).await;
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push_str(&piece(&mut events).await.expect("the stream goes on"));
    }
    let begins = "event: unleash-connected\ndata: {\"events\":[{\"type\":\"hydration\"";
    assert!(text.contains(begins), "{text}");
    let mut features = ask(&client, "/api/client/features", key).await;
    let whole = piece(&mut features).await.expect("a body");
    assert!(whole.starts_with("{\"version\":2"), "{whole}");
    // A key that is revoked ends its streams, and not the connection.
    site.store.revoke("client", "doomed");
    while piece(&mut events).await.is_some() {}
    assert!(!connection.is_finished());
}

#[test]
fn a_stream_of_flags_and_requests_share_a_connection() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let key = site.store.key_of("development", "client", "doomed");
    let client = site.authority.client(&url, &key, None);
    eventually("the edge knows the key", || {
        let answer = client.send(Method::GET, "/api/client/features", &[], None);
        let answer = answer.ok().filter(|answer| answer.status == 200);
        answer.map(drop)
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(follow(&site, &key));
}
