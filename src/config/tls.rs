//! How does a listener show who it is, and whom does it let in?
//!
//! The section `tls` of the public listeners of edge and store.

use std::path::PathBuf;

use super::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Of the section.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tls.certificate",
        flag: "tls-certificate",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/tls.crt\""),
        secret: None,
        doc: "PEM file with the certificate of this listener, followed by those between it and an authority. With \
              it the listener speaks TLS (and HTTP/2), without it in the clear. Read again when it changes and on \
              SIGHUP.",
    },
    Key {
        name: "tls.key",
        flag: "tls-key",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/tls.key\""),
        secret: None,
        doc: "PEM file with the private key of that certificate. Refused when everybody on the machine can read it.",
    },
    Key {
        name: "tls.client_ca",
        flag: "tls-client-ca",
        kind: Kind::File,
        preset: Preset::Optional("\"/etc/flowgate/tls/clients.crt\""),
        secret: None,
        doc: "PEM file with authorities of clients. With it every client has to show a certificate of theirs, in \
              addition to its key.",
    },
];

/// The files of a listener that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// Ours, and those between it and an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of clients, when they have to show a certificate.
    pub client_ca: Option<PathBuf>,
}

/// What is set under three names that begin alike, such as `tls.`.
pub(super) fn listener(reader: &mut Reader, begin: &str) -> Option<ListenerTls> {
    let client_ca_key = format!("{begin}client_ca");
    let client_ca = reader.optional_text(&client_ca_key).map(PathBuf::from);
    let identity = identity(reader, begin);
    if identity.is_none() && client_ca.is_some() {
        let rule = format!("needs {begin}certificate (in the clear nobody shows a certificate)");
        reader.broken(&client_ca_key, &rule);
    }
    let (certificate, key) = identity?;
    Some(ListenerTls {
        certificate,
        key,
        client_ca,
    })
}

/// A certificate and its key; one without the other is of no use.
pub(super) fn identity(reader: &mut Reader, begin: &str) -> Option<(PathBuf, PathBuf)> {
    let [certificate_key, key_key] = ["certificate", "key"].map(|leaf| format!("{begin}{leaf}"));
    let certificate = reader.optional_text(&certificate_key);
    let key = reader.optional_text(&key_key);
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => {
            reader.broken(&certificate_key, &format!("needs {key_key} beside it"));
            None
        }
        (None, Some(_)) => {
            reader.broken(&key_key, &format!("needs {certificate_key} beside it"));
            None
        }
    }
}
