//! Do ids arrive as they were meant, whatever stands in them?

use std::{collections::HashMap, time::Duration};

use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{HttpUpstream, HttpUpstreamOptions};
use crate::progress::{LedgerError, ProgressLedger, event::MembershipRecord};

/// What upstream was asked for under a membership key: the path's segments
/// behind the environment and the query, decoded one by one.
async fn asked(
    deployment: &str,
    id: &str,
    conversation: Option<&str>,
) -> (Result<MembershipRecord, LedgerError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let upstream = HttpUpstream::new(HttpUpstreamOptions {
        tls: None,
        url: format!("http://{address}"),
        keys: HashMap::new(),
        timeout: Duration::from_secs(20),
    });
    let upstream = upstream.expect("a client");
    let answer = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let body = r#"{"doc_rev": 7}"#;
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.expect("an answer");
        String::from_utf8(head).expect("ascii")
    };
    let read = upstream.membership("development", deployment, id, conversation);
    let (read, head) = tokio::join!(read, answer);
    let target = head.split(' ').nth(1).expect("a target");
    let target = target.strip_prefix("/edge/v1/environments/development/memberships/");
    let parts = target.expect("of a membership").split(['/', '?']);
    let decoded = parts.map(|part| percent_decode_str(part).decode_utf8().expect("text").into());
    (read, decoded.collect())
}

#[tokio::test]
async fn ids_with_anything_in_them_arrive_as_they_are() {
    let odd = [
        "a/b c",
        "../..",
        "x?conversation=y&z#%2F+",
        "\u{fc}ser\u{1f600}\n",
        "plain",
    ];
    for id in odd {
        for conversation in [None, Some(id)] {
            let (read, parts) = asked("dep/1", id, conversation).await;
            assert_eq!(read.expect("an answer").doc_rev, 7);
            let mut expected = vec!["dep/1".to_owned(), id.to_owned()];
            expected.extend(conversation.map(|own| format!("conversation={own}")));
            assert_eq!(parts, expected);
        }
    }
}
