//! What can Unleash's clients ask for?
//!
//! The paths of its proxies: evaluated flags for frontends, flags as they were
//! written for those who evaluate themselves, what both tell of their use, and
//! whether tokens are good. Slashes to spare are gone from the segments.

use hyper::Method;

use crate::{
    limits::{BODY_BYTES_MAX, USAGE_BODY_BYTES_MAX},
    server::{kinds::Kinds, limits::Class},
    snapshot::wire::KeyKind,
};

/// A call about flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `/api/frontend`: those that are on.
    Frontend,
    /// `/api/frontend/all`.
    FrontendAll,
    /// `/api/frontend/features/:name`.
    FrontendOne,
    /// `/api/frontend/client/metrics` and `register`.
    FrontendUsage,
    /// `/api/client/features`.
    Features,
    /// `/api/client/features/:name`.
    Feature,
    /// `/api/client/delta`.
    Delta,
    /// `/api/client/streaming`.
    Streaming,
    /// `/api/client/metrics` and `register`.
    Usage,
    /// `/edge/validate`.
    Validate,
    /// `/internal-backstage/health`.
    Health,
    /// `/internal-backstage/ready`.
    Ready,
}

/// Whether a path is one of this protocol, also if it leads nowhere.
pub(crate) fn speaks(path: &str) -> bool {
    let own = ["/api/", "/edge/validate", "/internal-backstage/"];
    path == "/api" || own.iter().any(|own| path.starts_with(own))
}

impl Call {
    /// The call that a path is, with the flag it names.
    pub(crate) fn of<'p>(segments: &[&'p str]) -> Option<(Self, &'p str)> {
        let call = match segments {
            ["edge", "validate"] => Self::Validate,
            ["internal-backstage", "health"] => Self::Health,
            ["internal-backstage", "ready"] => Self::Ready,
            ["api", "client", "features"] => Self::Features,
            ["api", "client", "features", name] => return Some((Self::Feature, name)),
            ["api", "client", "delta"] => Self::Delta,
            ["api", "client", "streaming"] => Self::Streaming,
            ["api", "client", "register" | "metrics"]
            | ["api", "client", "metrics", "bulk" | "edge"] => Self::Usage,
            ["api", "frontend" | "proxy", rest @ ..] => return Self::of_frontend(rest),
            _ => return None,
        };
        Some((call, ""))
    }

    fn of_frontend<'p>(rest: &[&'p str]) -> Option<(Self, &'p str)> {
        let call = match rest {
            [] => Self::Frontend,
            ["all"] => Self::FrontendAll,
            ["features", name] => return Some((Self::FrontendOne, name)),
            ["client", "register" | "metrics"] | ["all", "client", "register" | "metrics"] => {
                Self::FrontendUsage
            }
            _ => return None,
        };
        Some((call, ""))
    }

    /// Whether it comes by this method.
    pub(crate) fn takes(self, method: &Method) -> bool {
        let allowed = self.allow().split(", ");
        *method != Method::OPTIONS && allowed.into_iter().any(|own| own == method.as_str())
    }

    /// By which methods it comes.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Frontend | Self::FrontendAll | Self::FrontendOne | Self::Features => {
                "GET, POST, OPTIONS"
            }
            Self::Feature | Self::Delta | Self::Streaming | Self::Health | Self::Ready => {
                "GET, OPTIONS"
            }
            Self::FrontendUsage | Self::Usage | Self::Validate => "POST, OPTIONS",
        }
    }

    /// Which keys open it.
    pub(crate) const fn permission(self) -> Kinds {
        match self {
            Self::Frontend | Self::FrontendAll | Self::FrontendOne | Self::FrontendUsage => {
                Kinds::of(&[KeyKind::Frontend])
            }
            Self::Features | Self::Feature | Self::Delta | Self::Streaming | Self::Usage => {
                Kinds::of(&[KeyKind::Client])
            }
            // Who has a token may ask whether it is good, and who has none
            // cannot.
            Self::Validate | Self::Health | Self::Ready => Kinds::of(&[]),
        }
    }

    /// When it is sacrificed under too much load.
    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Frontend | Self::FrontendAll | Self::FrontendOne => Class::Evaluations,
            // Clients that evaluate themselves go on with what they have.
            Self::Features
            | Self::Feature
            | Self::Delta
            | Self::Streaming
            | Self::FrontendUsage
            | Self::Usage
            | Self::Validate
            | Self::Health
            | Self::Ready => Class::Lists,
        }
    }

    /// The longest body it takes.
    pub(crate) const fn body_bytes_max(self) -> usize {
        match self {
            Self::Feature | Self::Delta | Self::Streaming | Self::Health | Self::Ready => 0,
            Self::Frontend
            | Self::FrontendAll
            | Self::FrontendOne
            | Self::Features
            | Self::Validate => BODY_BYTES_MAX,
            Self::FrontendUsage | Self::Usage => USAGE_BODY_BYTES_MAX,
        }
    }
}
