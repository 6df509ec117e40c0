//! Which document does a path ask for?
//!
//! `environments/NAME/…` as in the contract between edge and store. Names of
//! environments and of documents have no characters that would be encoded, so
//! nothing is decoded.

use hyper::Method;

/// What can be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// `GET timestamp`.
    Timestamp,
    /// `GET root/:number`.
    Root,
    /// `GET releases/:version`.
    Release,
    /// `GET control/:version`.
    Control,
    /// `POST parts`.
    Parts,
    /// `GET parts/:sha256`.
    Part,
    /// What a store takes and an edge does not: told so, because whoever asks
    /// has forgotten a setting.
    Progress,
}

impl Document {
    /// Finds it by the segments behind the environment, with the method it
    /// takes; none for a path that leads nowhere.
    pub(crate) fn of(method: &Method, segments: &[&str]) -> Option<(Method, Self)> {
        let get = |document| Some((Method::GET, document));
        match segments {
            ["timestamp"] => get(Self::Timestamp),
            ["root", _] => get(Self::Root),
            ["releases", _] => get(Self::Release),
            ["control", _] => get(Self::Control),
            ["parts", _] => get(Self::Part),
            ["parts"] => Some((Method::POST, Self::Parts)),
            [
                "users" | "users:batch" | "groups" | "memberships" | "progress" | "changes"
                | "journals" | "status" | "metrics",
                ..,
            ] => Some((method.clone(), Self::Progress)),
            _ => None,
        }
    }

    /// As messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Root => "root document",
            Self::Release => "release",
            Self::Control => "control document",
            Self::Parts | Self::Part => "part",
            Self::Progress => "progress",
        }
    }

    /// The longest body it takes.
    pub(crate) const fn body_bytes_max(self) -> usize {
        match self {
            Self::Parts => super::PARTS_BODY_BYTES_MAX,
            _ => 0,
        }
    }
}

/// The environment and the last segment of a path that led to a document.
pub(super) fn names(path: &str) -> (&str, &str) {
    let rest = path.strip_prefix("/edge/v1/environments/");
    let rest = rest.unwrap_or_default();
    let (environment, document) = rest.split_once('/').unwrap_or((rest, ""));
    let name = document.rsplit_once('/').map_or("", |(_, name)| name);
    (environment, name)
}
