//! HTTP/2 with a client that can be made to misbehave.

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use hyper::{Method, Request as Asking};

use super::{secure::Site, *};
use crate::limits::{H2_RESETS_MAX, H2_STREAMS_MAX, HEAD_BYTES_MAX};

type Client = SendRequest<Bytes>;

const H2: &[&[u8]] = &[b"h2"];

impl Site {
    /// A client, and what ends with its connection.
    async fn multiplex(&self, window: u32) -> (Client, tokio::task::JoinHandle<Option<h2::Error>>) {
        let stream = self.agree(self.client(H2, None)).await.expect("it agrees");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (client, connection) = builder.handshake(stream).await.expect("settings");
        (client, tokio::spawn(async move { connection.await.err() }))
    }
}

fn get(path: &str) -> Asking<()> {
    let uri = format!("https://localhost{path}");
    Asking::get(uri).body(()).expect("a request")
}

async fn ask(client: &Client, request: Asking<()>, body: &'static [u8]) -> (u16, usize) {
    let mut client = client.clone().ready().await.expect("a free stream");
    let (answer, mut sending) = client
        .send_request(request, body.is_empty())
        .expect("it is sent");
    if !body.is_empty() {
        sending
            .send_data(Bytes::from_static(body), true)
            .expect("it is sent");
    }
    let answer = answer.await.expect("an answer");
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut length = 0;
    while let Some(piece) = body.data().await {
        let piece = piece.expect("a piece");
        length += piece.len();
        let window = body.flow_control();
        window.release_capacity(piece.len()).expect("it was taken");
    }
    (status, length)
}

#[tokio::test]
async fn requests_share_a_connection_and_each_has_its_answer() {
    let site = Site::start(Deadlines::default());
    let (client, _connection) = site.multiplex(65_535).await;
    let mut waiting = client.clone().ready().await.expect("a free stream");
    let (held, _) = waiting
        .send_request(get("/wait"), true)
        .expect("it is sent");
    let posted = || {
        Asking::post("https://localhost/")
            .body(())
            .expect("a request")
    };
    assert_eq!(ask(&client, posted(), b"abc").await, (200, 3));
    let (one, two) = tokio::join!(ask(&client, get("/"), b""), ask(&client, get("/big"), b""));
    assert_eq!((one, two), ((200, 0), (200, 32 << 20)));
    assert_eq!(ask(&client, get("/panic"), b"").await.0, 500);
    let mut head = get("/big");
    *head.method_mut() = Method::HEAD;
    assert_eq!(ask(&client, head, b"").await, (200, 0));
    assert_eq!(client.current_max_send_streams(), H2_STREAMS_MAX as usize);
    site.harness.waiting.notified().await;
    site.harness.go_on.notify_one();
    assert_eq!(held.await.expect("an answer").status(), 204);
}

#[tokio::test]
async fn ambiguous_heads_are_refused_and_the_others_go_on() {
    let site = Site::start(Deadlines::default());
    let (client, _connection) = site.multiplex(65_535).await;
    let with = |name: &'static str, value: String| {
        let mut request = get("/");
        let value = value.parse().expect("a value");
        request.headers_mut().insert(name, value);
        request
    };
    let connect = Asking::connect("localhost:443")
        .body(())
        .expect("a request");
    let long = "y".repeat(HEAD_BYTES_MAX + 1);
    let cases = [
        (with("host", "localhost".into()), 200),
        (with("host", "elsewhere".into()), 400),
        (with("content-encoding", "gzip".into()), 415),
        (with("x", long), 431),
        (connect, 405),
    ];
    for (request, expected) in cases {
        let said = format!("{request:?}").chars().take(200).collect::<String>();
        assert_eq!(ask(&client, request, b"").await.0, expected, "{said}");
    }
}

#[tokio::test]
async fn a_slow_body_costs_its_request_alone() {
    let site = Site::start(Deadlines {
        idle: Duration::from_secs(20),
        ..short()
    });
    let (client, _connection) = site.multiplex(65_535).await;
    let mut slow = client.clone().ready().await.expect("a free stream");
    let post = Asking::post("https://localhost/")
        .body(())
        .expect("a request");
    let (answer, mut sending) = slow.send_request(post, false).expect("it is sent");
    sending
        .send_data(Bytes::from_static(b"a"), false)
        .expect("it is sent");
    assert_eq!(answer.await.expect("an answer").status(), 408);
    assert!(site.harness.counts("why=\"body\"} 1"));
    assert_eq!(ask(&client, get("/"), b"").await.0, 200);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_and_an_idle_connection_are_cut() {
    let site = Site::start(short());
    let (client, ended) = site.multiplex(1_000).await;
    let mut stalled = client.clone().ready().await.expect("a free stream");
    let (answer, _) = stalled.send_request(get("/big"), true).expect("it is sent");
    let _untaken = answer.await.expect("a head").into_body();
    drop(ended.await);
    assert!(site.harness.counts("why=\"write\"} 1"));

    let (client, ended) = site.multiplex(65_535).await;
    assert_eq!(ask(&client, get("/"), b"").await.0, 200);
    drop(ended.await);
    assert!(site.harness.counts("why=\"idle\"} 1"));

    let (_client, ended) = site.multiplex(65_535).await;
    drop(ended.await);
    assert!(site.harness.counts("why=\"head\"} 1"), "nothing was asked");
}

#[tokio::test]
async fn requests_begun_to_be_dropped_end_the_connection() {
    let site = Site::start(Deadlines::default());
    let (client, mut ended) = site.multiplex(65_535).await;
    let mut begun = 0;
    // One by one, each known to the server before it is dropped.
    let dropping = async {
        loop {
            let Ok(mut client) = client.clone().ready().await else {
                return;
            };
            let Ok((_, mut sending)) = client.send_request(get("/wait"), true) else {
                return;
            };
            begun += 1;
            tokio::select! {
                () = site.harness.waiting.notified() => sending.send_reset(Reason::CANCEL),
                _ = &mut ended => return,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), dropping)
        .await
        .expect("the connection ends");
    assert!(begun > H2_RESETS_MAX, "{begun}");
    assert!(begun <= 2 * H2_RESETS_MAX + 1, "{begun}");
    drop(client);
    let counted = async {
        while !site.harness.counts("why=\"resets\"} 1") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted)
        .await
        .expect("it is counted");
}

#[tokio::test]
async fn a_burst_of_resets_ends_the_connection() {
    let site = Site::start(Deadlines::default());
    let (client, ended) = site.multiplex(65_535).await;
    let burst = async {
        loop {
            let Ok(mut client) = client.clone().ready().await else {
                return;
            };
            let Ok((_, mut sending)) = client.send_request(get("/wait"), true) else {
                return;
            };
            sending.send_reset(Reason::CANCEL);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), burst)
        .await
        .expect("the connection ends");
    drop(client);
    drop(ended.await);
}

#[tokio::test]
async fn draining_ends_streams_and_tells_idle_clients_to_go() {
    let site = Site::start(Deadlines::default());
    let (client, ended) = site.multiplex(65_535).await;
    let mut following = client.clone().ready().await.expect("a free stream");
    let (answer, _) = following
        .send_request(get("/stream"), true)
        .expect("it is sent");
    let mut body = answer.await.expect("an answer").into_body();
    let first = body.data().await.expect("a piece").expect("a piece");
    assert_eq!(&first[..], b"first");
    let (_idle, idle_ended) = site.multiplex(65_535).await;
    site.harness.server.drain(Duration::from_secs(20)).await;
    while let Some(piece) = body.data().await {
        assert_eq!(piece.expect("it ends whole").len(), 0);
    }
    drop((client, following, body));
    // A frame of the client's that crosses the close makes it a reset.
    let error = ended.await.expect("no panic");
    let is_close = error.as_ref().is_none_or(h2::Error::is_io);
    assert!(is_close, "{error:?}");
    drop(idle_ended.await);
}
