//! Who is at the other end, and who are we?
//!
//! Certificates, keys and authorities: read from PEM files, judged before they
//! are used, and read again while the program runs. [`Renewal`] holds what is
//! in force for one use and never lets a broken file replace it. Everything
//! here is rustls with ring; the bytes on the wire are `http`'s and reqwest's.

mod client;
mod error;
mod measured;
mod pem;
mod renewal;
mod server;
#[cfg(test)]
pub(crate) mod tests;

pub use client::{ClientFiles, ClientTls, client_config, client_tls};
pub use error::TlsError;
pub use measured::measure;
pub use pem::{Content, IdentityFiles};
pub use renewal::{Made, Renewal, Renewals, Source};
pub use server::{ServerFiles, ServerTls};
