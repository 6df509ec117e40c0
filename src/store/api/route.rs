//! Which request is this?
//!
//! A closed table on the raw path: segments are split before they are decoded,
//! so that an encoded slash stays inside its parameter.

use percent_encoding::percent_decode_str;

use super::{
    audit, channels, deployments, drafts, environments, flags, problem::Problem, projects,
    subjects, usage,
};
use crate::limits;

/// Everything the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/edge/v1/environments/{env}/…`.
    Edge(String, Edge),
    /// `/admin/v1/…`.
    Admin(Admin),
}

/// What an edge asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Timestamp,
    Root(u64),
    Release(u64),
    Control(u64),
    Parts,
    Part(String),
    User(String),
    Users,
    Group(String),
    /// Deployment uid and id.
    Membership(String, String),
    Changes,
    Progress,
    Metrics,
    Status,
    CloseJournal(String),
}

/// What an author asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admin {
    Import,
    ImportUnleash,
    Export,
    Keys,
    CreateKey,
    RotateKey,
    RevokeKey,
    Environments(environments::Asked),
    Projects(projects::Asked),
    Edges,
    ImportUsers(String),
    ExportUsers(String),
    Webhooks(String),
    /// Environment and id.
    RetryWebhook(String, String),
    User(String),
    Deployments(deployments::Asked),
    Audit(audit::Asked),
    Channels(channels::Asked),
    Flows,
    Flow(String),
    /// Its versions.
    FlowVersions(String),
    /// How far its runs came.
    Funnel(String),
    /// Environment, and what is asked of its users and groups.
    Subject(String, subjects::Asked),
    Draft(drafts::Asked),
    /// Or a segment.
    Flag(flags::Asked),
    FlowStatus(String),
    Usage(usage::Asked),
    /// Environment and release version.
    ConfirmRelease(String, u64),
}

/// A query, decoded, in order.
pub(super) type Query = Vec<(String, String)>;

impl Route {
    /// Finds the route of a method and raw path.
    pub(super) fn of(method: &str, path: &str) -> Result<Self, Problem> {
        let unknown = || {
            Problem::new(404, "unknown-route", "there is nothing at this path")
                .found(path)
                .expected("a path under /edge/v1 or /admin/v1")
        };
        let mut segments = path.split('/');
        if segments.next() != Some("") {
            return Err(unknown());
        }
        let raw: Vec<&str> = segments.collect();
        match raw.as_slice() {
            ["edge", "v1", "environments", environment, rest @ ..] => {
                let environment = decoded(environment)?;
                let edge = edge(method, rest)?.ok_or_else(unknown)?;
                Ok(Self::Edge(environment, edge))
            }
            ["admin", "v1", rest @ ..] => {
                let admin = admin(method, rest)?.ok_or_else(unknown)?;
                Ok(Self::Admin(admin))
            }
            _ => Err(unknown()),
        }
    }
}

fn edge(method: &str, rest: &[&str]) -> Result<Option<Edge>, Problem> {
    let (expected, edge) = match rest {
        ["timestamp"] => ("GET", Edge::Timestamp),
        ["root", number] => ("GET", Edge::Root(version(number)?)),
        ["releases", number] => ("GET", Edge::Release(version(number)?)),
        ["control", number] => ("GET", Edge::Control(version(number)?)),
        ["parts"] => ("POST", Edge::Parts),
        ["parts", sha256] => ("GET", Edge::Part(decoded(sha256)?)),
        ["users", id] => ("GET", Edge::User(subject(id)?)),
        ["users:batch"] => ("POST", Edge::Users),
        ["groups", id] => ("GET", Edge::Group(subject(id)?)),
        ["memberships", deployment, id] => {
            ("GET", Edge::Membership(subject(deployment)?, subject(id)?))
        }
        ["changes"] => ("GET", Edge::Changes),
        ["progress"] => ("POST", Edge::Progress),
        ["metrics"] => ("POST", Edge::Metrics),
        ["status"] => ("POST", Edge::Status),
        ["journals", id, "close"] => ("POST", Edge::CloseJournal(decoded(id)?)),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(edge))
}

fn admin(method: &str, rest: &[&str]) -> Result<Option<Admin>, Problem> {
    let (expected, admin) = match rest {
        ["import"] => ("POST", Admin::Import),
        ["import", "unleash"] => ("POST", Admin::ImportUnleash),
        ["export"] => ("GET", Admin::Export),
        ["keys"] if method == "GET" => ("GET", Admin::Keys),
        ["keys"] if method == "POST" => ("POST", Admin::CreateKey),
        ["keys"] => ("GET, POST", Admin::Keys),
        ["keys", "rotate"] => ("POST", Admin::RotateKey),
        ["keys", "revoke"] => ("POST", Admin::RevokeKey),
        ["environments", environment, "releases", number, "confirm"] => {
            let environment = decoded(environment)?;
            ("POST", Admin::ConfirmRelease(environment, version(number)?))
        }
        ["environments", name, "users"] if method == "GET" => {
            ("GET", Admin::ExportUsers(decoded(name)?))
        }
        ["environments", name, "users"] if method == "POST" => {
            ("POST", Admin::ImportUsers(decoded(name)?))
        }
        ["environments", name, "users"] => ("GET, POST", Admin::ExportUsers(decoded(name)?)),
        ["environments", name, "webhooks"] => ("GET", Admin::Webhooks(decoded(name)?)),
        ["environments", name, "webhooks", id, "retry"] => {
            ("POST", Admin::RetryWebhook(decoded(name)?, subject(id)?))
        }
        ["environments", name, "usage"] => {
            ("GET", Admin::Usage(usage::Asked::Flags(decoded(name)?)))
        }
        ["environments", name, "usage", flag] => {
            let asked = usage::Asked::Flag(decoded(name)?, subject(flag)?);
            ("GET", Admin::Usage(asked))
        }
        ["applications"] => ("GET", Admin::Usage(usage::Asked::Applications)),
        ["environments", name, rest @ ..] if subjects::are_asked(rest) => {
            return subjects::route(method, name, rest);
        }
        ["edges"] => ("GET", Admin::Edges),
        ["audit"] => ("GET", Admin::Audit(audit::Asked::List)),
        ["audit", id] => ("GET", Admin::Audit(audit::Asked::Show(version(id)?))),
        ["environments", rest @ ..] => {
            let asked = environments::route(method, rest)?;
            return Ok(asked.map(Admin::Environments));
        }
        ["projects", rest @ ..] => {
            let asked = projects::route(method, rest)?;
            return Ok(asked.map(Admin::Projects));
        }
        ["users", id] => ("GET", Admin::User(subject(id)?)),
        ["flows", rest @ ..] => return flows(method, rest),
        ["flags", rest @ ..] => return flags::flag_routes(method, rest),
        ["segments", rest @ ..] => return flags::segment_routes(method, rest),
        ["deployments", rest @ ..] => return deployments::route(method, rest),
        ["channels", rest @ ..] => return channels::route(method, rest),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(admin))
}

fn flows(method: &str, rest: &[&str]) -> Result<Option<Admin>, Problem> {
    use drafts::Asked;
    let (expected, admin) = match (rest, method) {
        ([], "POST") => ("POST", Admin::Draft(Asked::Create)),
        ([], "GET") => ("GET", Admin::Flows),
        ([], _) => ("GET, POST", Admin::Flows),
        ([sid], "PATCH") => ("PATCH", Admin::Draft(Asked::Rename(decoded(sid)?))),
        ([sid], "DELETE") => ("DELETE", Admin::Draft(Asked::Delete(decoded(sid)?))),
        ([sid], "GET") => ("GET", Admin::Flow(decoded(sid)?)),
        ([sid], _) => ("GET, PATCH, DELETE", Admin::Flow(decoded(sid)?)),
        ([sid, "funnel"], _) => ("GET", Admin::Funnel(decoded(sid)?)),
        ([sid, "status"], _) => ("POST", Admin::FlowStatus(decoded(sid)?)),
        ([sid, "versions"], _) => ("GET", Admin::FlowVersions(decoded(sid)?)),
        ([sid, "versions", "draft"], "PUT") => {
            ("PUT", Admin::Draft(Asked::PutDraft(decoded(sid)?)))
        }
        ([sid, "versions", version], "GET") => (
            "GET",
            Admin::Draft(Asked::Version(decoded(sid)?, decoded(version)?)),
        ),
        ([sid, "versions", version], "PUT") => (
            "PUT",
            Admin::Draft(Asked::Content(decoded(sid)?, decoded(version)?)),
        ),
        ([sid, "versions", version], "DELETE") => (
            "DELETE",
            Admin::Draft(Asked::Follow(decoded(sid)?, decoded(version)?)),
        ),
        ([sid, "versions", _], _) => ("GET, PUT, DELETE", Admin::Flow(decoded(sid)?)),
        ([sid, "commit"], _) => ("POST", Admin::Draft(Asked::Commit(decoded(sid)?))),
        ([sid, "restore"], _) => ("POST", Admin::Draft(Asked::Restore(decoded(sid)?))),
        ([sid, "try"], _) => ("POST", Admin::Draft(Asked::Try(decoded(sid)?))),
        ([sid, "diff"], _) => ("GET", Admin::Draft(Asked::Compare(decoded(sid)?))),
        _ => return Ok(None),
    };
    allowed(method, expected).map(|()| Some(admin))
}

/// Whether a path has this method.
pub(super) fn allowed(method: &str, expected: &'static str) -> Result<(), Problem> {
    if method == expected {
        return Ok(());
    }
    Err(
        Problem::new(405, "method-not-allowed", "this path has another method")
            .found(method)
            .expected(expected)
            .allow(expected),
    )
}

/// A segment of a path as the text it spells.
pub(super) fn decoded(raw: &str) -> Result<String, Problem> {
    let text = percent_decode_str(raw).decode_utf8().map_err(|_| {
        Problem::new(400, "malformed-path", "a path segment is not UTF-8 text").found(raw)
    })?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(
            Problem::new(400, "malformed-path", "a path segment is not a name")
                .found(raw)
                .expected("text without control characters"),
        );
    }
    Ok(text.into_owned())
}

/// A segment that is the id of somebody or something.
pub(super) fn subject(raw: &str) -> Result<String, Problem> {
    let id = decoded(raw)?;
    if id.len() > limits::SUBJECT_ID_BYTES_MAX {
        return Err(Problem::new(400, "id-too-long", "the id is too long")
            .found(&format!("{} bytes", id.len()))
            .expected(&format!("at most {}", limits::SUBJECT_ID_BYTES_MAX)));
    }
    Ok(id)
}

fn version(raw: &str) -> Result<u64, Problem> {
    let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| raw.parse().ok()).flatten();
    number.ok_or_else(|| {
        Problem::new(400, "malformed-version", "the version is not a number")
            .found(raw)
            .expected("a whole number such as 17")
    })
}

/// Takes a query apart.
pub(super) fn query(raw: &str) -> Result<Query, Problem> {
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |part: &str| {
                let spaced = part.replace('+', " ");
                let decoded = percent_decode_str(&spaced).decode_utf8();
                decoded.map(std::borrow::Cow::into_owned).map_err(|_| {
                    Problem::new(400, "malformed-query", "the query is not UTF-8 text").found(part)
                })
            };
            Ok((text(name)?, text(value)?))
        })
        .collect()
}

/// The values of the parameters a route knows, in the order of `known`; any
/// other parameter is refused by name.
pub(super) fn parameters<const N: usize>(
    query: &Query,
    known: [&str; N],
) -> Result<[Option<String>; N], Problem> {
    let mut found = values(query, &known)?.into_iter();
    Ok(std::array::from_fn(|_| found.next().flatten()))
}

/// The same of as many parameters as there are.
pub(super) fn values(query: &Query, known: &[&str]) -> Result<Vec<Option<String>>, Problem> {
    let mut values = vec![None; known.len()];
    for (name, value) in query {
        match known.iter().position(|known| known == name) {
            Some(at) => {
                if values[at].replace(value.clone()).is_some() {
                    return Err(Problem::new(
                        400,
                        "repeated-parameter",
                        "a parameter of the query is given twice",
                    )
                    .found(name)
                    .expected("one value"));
                }
            }
            None => {
                return Err(Problem::new(
                    400,
                    "unknown-parameter",
                    "the query has an unknown parameter",
                )
                .found(name)
                .expected(
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                    .as_str(),
                ));
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_after_routing() {
        let route = Route::of("GET", "/edge/v1/environments/dev/users/a%2Fb%20c").unwrap();
        assert_eq!(
            route,
            Route::Edge("dev".to_owned(), Edge::User("a/b c".to_owned()))
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let query = query("wait=1s&%77ait=2s").unwrap();
        let problem = parameters(&query, ["wait"]).unwrap_err();
        assert_eq!(problem.into_response().status, 400);
    }

    #[test]
    fn what_is_not_in_the_table_is_not_there() {
        for path in [
            "",
            "/",
            "edge/v1/environments/dev/timestamp",
            "/edge/v1/environments/dev",
            "/edge/v1/environments/dev/timestamp/",
            "/edge/v1//environments/dev/timestamp",
            "/admin/v2/import",
        ] {
            assert!(Route::of("GET", path).is_err(), "{path}");
        }
    }

    #[test]
    fn malformed_parameters_are_refused() {
        let long = "x".repeat(limits::SUBJECT_ID_BYTES_MAX + 1);
        for path in [
            "/edge/v1/environments/dev/users/%ff",
            "/edge/v1/environments/dev/users/%00",
            "/edge/v1/environments/dev/users/",
            "/edge/v1/environments/dev/releases/+7",
            "/edge/v1/environments/dev/root/99999999999999999999999",
            &format!("/edge/v1/environments/dev/users/{long}"),
        ] {
            let problem = Route::of("GET", path).unwrap_err();
            assert_eq!(problem.into_response().status, 400, "{path}");
        }
    }
}
