//! What does the process environment say?
//!
//! The only reader of environment variables. It takes those that start with
//! `FLOWGATE_`, once, so that everything later is a function of plain values;
//! and the few by which a person says how a terminal is to be used.

/// The variable that command line tools take the admin key from. It belongs to
/// no surface: servers never read it.
pub const ADMIN_KEY_VARIABLE: &str = "FLOWGATE_ADMIN_KEY";

/// The prefix of every variable this program reads.
pub(crate) const PREFIX: &str = "FLOWGATE_";

/// Which editor somebody likes, the first that is set.
const EDITORS: [&str; 2] = ["VISUAL", "EDITOR"];

/// A copy of the variables that concern this program.
#[derive(Clone, Default)]
pub struct Variables {
    /// Ours.
    own: Vec<(String, String)>,
    editor: Option<String>,
}

impl Variables {
    /// Those of this process. A value that is not UTF-8 is replaced lossily:
    /// the rule it then breaks is reported with the key's name.
    pub fn of_process() -> Self {
        Self::of(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        }))
    }

    /// Those of a list, for tests.
    pub fn of(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut editors = [None, None];
        let mut own = Vec::new();
        for (name, value) in all {
            if name.starts_with(PREFIX) {
                own.push((name, value));
            } else if let Some(at) = EDITORS.iter().position(|editor| *editor == name) {
                editors[at] = Some(value).filter(|value| !value.trim().is_empty());
            }
        }
        own.sort();
        Self {
            own,
            editor: editors.into_iter().flatten().next(),
        }
    }

    /// The command that edits a file, `VISUAL` before `EDITOR`.
    pub(crate) fn editor(&self) -> Option<&str> {
        self.editor.as_deref()
    }

    /// The value of one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.own
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All of them, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// Whether an orchestrator made this variable: Kubernetes gives every pod the
/// addresses of all services, and a service called `flowgate` then looks like
/// settings of ours.
pub(crate) fn is_service_link(name: &str) -> bool {
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || name.ends_with("_PORT")
            || name.contains("_PORT_"))
}
