//! Is the edge well?
//!
//! Asks the admin listener of a running edge; what the container image's
//! health check calls. An edge that cannot be reached is not well: 1, not 2.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{
    asking::{ask, runtime},
    console::Console,
    failure::{Failure, Outcome},
    place::{Place, Trust},
};
use crate::{address::Address, config::Variables};

/// An edge that takes longer is not well; container health checks wait 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `flowgate health`.
#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// Admin listener of the edge, or any url that answers 200 when well;
    /// unix: and a path for a socket file [default: that of
    /// FLOWGATE_ADMIN__LISTEN at loopback, else http://127.0.0.1:7071].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Ask whether it can answer evaluations, not just whether it is alive.
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    trust: Trust,
    /// Only of this environment, required or not.
    #[arg(long, value_name = "ENV", requires = "ready")]
    environment: Option<String>,
    /// Whether it takes steps as well (write), or answers evaluations (read).
    #[arg(long = "for", value_name = "WHAT", value_enum, requires = "ready")]
    purpose: Option<Purpose>,
}

/// What readiness is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// Evaluations.
    Read,
    /// Steps as well.
    Write,
}

/// `flowgate health`.
pub(super) fn health(
    arguments: &HealthArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let path = if arguments.ready { "/ready" } else { "/health" };
    let base = match &arguments.url {
        Some(url) => url.clone(),
        None => default_url(variables),
    };
    let place = Place::read(&base, "http://127.0.0.1:7071")?;
    let mut url = place.url().clone();
    if url.path() == "/" {
        url.set_path(path);
    }
    if let Some(environment) = &arguments.environment {
        url.query_pairs_mut()
            .append_pair("environment", environment);
    }
    if let Some(purpose) = arguments.purpose {
        let word = match purpose {
            Purpose::Read => "read",
            Purpose::Write => "write",
        };
        url.query_pairs_mut().append_pair("for", word);
    }
    let client = arguments.trust.client(&place)?;
    let request = reqwest::Request::new(reqwest::Method::GET, url);
    match runtime()?.block_on(ask(client, request, PATIENCE)) {
        Ok((200, _)) => {
            console.line(if arguments.ready { "ready" } else { "healthy" })?;
            Ok(Outcome::Done)
        }
        Ok((status, body)) => {
            let body = String::from_utf8_lossy(&body);
            let body = body.trim();
            console.complain(&format!("{place} answered {status}, expected 200: {body}"));
            Ok(Outcome::NotSo)
        }
        Err(error) => {
            let failure = Failure::undone(format!("{place} cannot be reached")).because(&error);
            console.complain(&failure.to_string());
            Ok(Outcome::NotSo)
        }
    }
}

/// In a container the listener is set by a variable and bound to all
/// addresses; from inside it is reached at loopback.
fn default_url(variables: &Variables) -> String {
    let listen = variables.value("FLOWGATE_ADMIN__LISTEN");
    let listen = listen.and_then(|text| text.parse::<Address>().ok());
    let secure = variables.value("FLOWGATE_ADMIN__TLS_CERTIFICATE").is_some();
    let at = |port: u16| Address::Tcp(([127, 0, 0, 1], port).into()).url(secure);
    match listen {
        Some(Address::Tcp(address)) => at(address.port()),
        Some(socket) => socket.url(false),
        None => at(7071),
    }
}
