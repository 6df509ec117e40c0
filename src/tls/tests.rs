//! Files that serve, files that do not, and what replaces them while running.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;
use crate::clock::{Ambient, UnixMs};

/// An authority of a test, with its certificate as PEM.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for this name and its key, valid in these years.
    pub(crate) fn sign(&self, name: &str, (from, to): (i32, i32)) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        (signed.pem(), key.serialize_pem())
    }

    /// The same as files in a folder, the key closed to others.
    pub(crate) fn files(&self, folder: &Path, name: &str) -> IdentityFiles {
        write(folder, name, &self.sign("localhost", ALWAYS))
    }
}

/// From before any clock to after it.
pub(crate) const ALWAYS: (i32, i32) = (2000, 4000);

/// Writes a certificate and its key under this name.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    (certificate, key): &(String, String),
) -> IdentityFiles {
    let put = |end: &str, text: &str| -> PathBuf {
        let path = folder.join(format!("{name}.{end}"));
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("a mode");
        path
    };
    IdentityFiles {
        certificate: put("crt", certificate),
        key: put("key", key),
    }
}

fn now() -> UnixMs {
    Ambient::system().now_ms()
}

fn refusal(identity: IdentityFiles) -> String {
    let files = ServerFiles {
        identity,
        client_ca: None,
    };
    match Renewal::start("edge", files, now()) {
        Ok(_) => "it was taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_does_not_serve_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let authority = Authority::new("ours");
    let good = authority.sign("localhost", ALWAYS);
    let other = authority.sign("localhost", ALWAYS);
    let cases = [
        (
            "expired",
            authority.sign("localhost", (2000, 2001)),
            "has expired at 2001-01-01T00:00:00Z",
        ),
        (
            "early",
            authority.sign("localhost", (3000, 4000)),
            "is valid from 3000-01-01T00:00:00Z on",
        ),
        (
            "pair",
            (good.0.clone(), other.1),
            "does not belong to the first certificate",
        ),
        (
            "swapped",
            (good.1.clone(), good.0.clone()),
            "holds no certificate",
        ),
        (
            "empty",
            (good.0.clone(), String::new()),
            "holds no private key",
        ),
        ("good", good.clone(), "it was taken"),
    ];
    for (name, pair, expected) in cases {
        let said = refusal(write(folder, name, &pair));
        assert!(said.contains(expected), "{name}: {said}");
    }

    let open = write(folder, "open", &good);
    std::fs::set_permissions(&open.key, Permissions::from_mode(0o644)).expect("a mode");
    let said = refusal(open.clone());
    assert!(
        said.contains("mode 0644") && said.contains("chmod o-rwx"),
        "{said}"
    );

    let missing = IdentityFiles {
        certificate: folder.join("nowhere.crt"),
        ..write(folder, "good", &good)
    };
    assert!(refusal(missing).contains("cannot be read"));
    let large = "x".repeat(crate::limits::TLS_FILE_BYTES_MAX + 1);
    let said = refusal(write(folder, "large", &(large, good.1)));
    assert!(said.contains("is longer than"), "{said}");
}

#[test]
fn better_files_replace_what_is_in_force_and_worse_ones_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let authority = Authority::new("ours");
    let files = ServerFiles {
        identity: authority.files(folder, "edge"),
        client_ca: None,
    };
    let renewal = Renewal::start("edge", files, now()).expect("good files");
    let mut watch = renewal.watch();
    let mut renewals = Renewals::default();
    renewals.add(renewal);
    let counts = |renewals: &Renewals| {
        use std::sync::atomic::Ordering::Relaxed;
        let (_, facts) = renewals.facts().next().expect("one");
        (facts.reloads.load(Relaxed), facts.errors.load(Relaxed))
    };

    renewals.renew(now(), false);
    assert!(!watch.has_changed().expect("in force"), "nothing is new");

    // Half of a replacement is seen once and not said, then said once.
    let next = authority.sign("localhost", ALWAYS);
    std::fs::write(folder.join("edge.crt"), &next.0).expect("a file");
    renewals.renew(now(), false);
    assert_eq!(counts(&renewals), (0, 0));
    renewals.renew(now(), false);
    renewals.renew(now(), false);
    assert_eq!(counts(&renewals), (0, 1));
    renewals.renew(now(), true);
    assert_eq!(counts(&renewals), (0, 2), "whoever asks is told");
    assert!(!watch.has_changed().expect("in force"), "the old one stays");

    std::fs::write(folder.join("edge.key"), &next.1).expect("a file");
    renewals.renew(now(), false);
    assert_eq!(counts(&renewals), (1, 2));
    assert!(watch.has_changed().expect("in force"));
    watch.mark_unchanged();

    std::fs::remove_file(folder.join("edge.key")).expect("it was there");
    renewals.renew(now(), true);
    assert_eq!(counts(&renewals), (1, 3));
    assert!(!watch.has_changed().expect("in force"));
}
