//! What does an idle socket of Dopt's clients hold?
//!
//! Ten thousand of them, each of a user of its own that watches a flow of five
//! blocks and was told of it; compared is the resident memory of the server's
//! process before and after. Descriptors bound the number: what the system
//! allows less of is measured with fewer, and said.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use tokio_tungstenite::tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

use super::{Server, memory::resident_kb, world};

const SOCKETS: usize = 10_000;

/// Kilobytes each may take.
const GOAL_KB: f64 = 20.0;

type Socket = WebSocket<TcpStream>;

/// Measures and prints.
pub(super) fn measure() {
    let edge = Server::start("edge", &[]);
    // What the first ones bring along is no cost of each.
    let first: Vec<Socket> = open(edge.address, 0..100);
    let before = resident_kb(edge.child.id());
    let begun = Instant::now();
    let sockets = open(edge.address, 100..SOCKETS + 100);
    let took = begun.elapsed();
    let after = resident_kb(edge.child.id());
    let each = (after - before) / sockets.len() as f64;
    println!(
        "{:<26}{:>12}{:>12}{:>9}{:>14}",
        "idle sockets", "number", "kB each", "goal", "opened per s"
    );
    println!(
        "{:<26}{:>12}{each:>12.1}{GOAL_KB:>9.1}{:>14.0}",
        "watching one flow",
        sockets.len(),
        sockets.len() as f64 / took.as_secs_f64(),
    );
    drop(first);
}

/// As many of these users' sockets as the system lets us have.
fn open(address: SocketAddr, users: std::ops::Range<usize>) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for user in users {
        match TcpStream::connect(address) {
            Ok(stream) => sockets.push(follow(stream, user)),
            Err(error) => {
                println!("no more than {} sockets here: {error}", sockets.len());
                break;
            }
        }
    }
    sockets
}

fn follow(mut stream: TcpStream, user: usize) -> Socket {
    let waiting = stream.set_read_timeout(Some(Duration::from_secs(60)));
    waiting.expect("a timeout");
    let request = format!(
        "GET /v2/socket/?endUserIdentifier=user-{user}&EIO=4&transport=websocket HTTP/1.1\r\n\
         host: 127.0.0.1:7070\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    // A client's memory is not what is measured, and there are many.
    let config = WebSocketConfig::default().read_buffer_size(1_024);
    let mut socket = WebSocket::from_raw_socket(stream, Role::Client, Some(config));
    expect(&mut socket, "0{");
    let connect = format!("40/v2/client,{{\"x-api-key\":\"{}\"}}", world::KEY);
    say(&mut socket, connect);
    expect(&mut socket, "40/v2/client,{");
    expect(&mut socket, "42/v2/client,[\"ready\"]");
    say(
        &mut socket,
        "42/v2/client,[\"watch:flow\",\"welcome\",1]".to_owned(),
    );
    expect(&mut socket, "42/v2/client,[\"blocks\",");
    expect(&mut socket, "42/v2/client,[\"flow\",");
    socket
}

fn say(socket: &mut Socket, text: String) {
    socket.send(Message::text(text)).expect("it is sent");
}

/// The next text but pings begins so.
fn expect(socket: &mut Socket, start: &str) {
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) if text == "2" => say(socket, "3".to_owned()),
            Message::Text(text) => {
                assert!(text.starts_with(start), "{start}: {text}");
                return;
            }
            _ => {}
        }
    }
}
