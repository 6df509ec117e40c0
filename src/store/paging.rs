//! How is a long list told, a page at a time?
//!
//! A page ends with a cursor: the place that its last row has in the order of
//! the list. The next one begins behind that place, whether the row is still
//! there or not, so that what comes and goes between two pages neither repeats
//! nor loses the others. A cursor names its list, and callers hand it back as
//! it is.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{CursorError, StoreError};
use crate::limits;

/// Bytes of a cursor that an error repeats.
const SHOWN_MAX: usize = 100;

/// A list, and how much of it one answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    /// As cursors of it say, and the OpenAPI document.
    pub(super) name: &'static str,
    /// The member of an answer that has its rows.
    pub(super) member: &'static str,
    /// Rows, unless it is said how many.
    pub(super) usual: usize,
    /// Rows at the most.
    pub(super) max: usize,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageAsk {
    /// The cursor of the page before; none for the first.
    pub after: Option<String>,
    /// At most so many rows; never above the limit.
    pub count_max: usize,
}

impl PageAsk {
    /// The first one, of so many rows.
    pub fn first(count_max: usize) -> Self {
        Self {
            after: None,
            count_max,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of the list.
    pub rows: Vec<T>,
    /// Where the next page begins; none when this was the last.
    pub next: Option<String>,
}

/// What is authored, and edges.
const fn listed(name: &'static str) -> List {
    List {
        name,
        member: name,
        usual: limits::LISTED_PER_ANSWER,
        max: limits::LISTED_PER_ANSWER_MAX,
    }
}

/// Keys, in the order they were made.
pub(super) const KEYS: List = listed("keys");
/// Environments, by name.
pub(super) const ENVIRONMENTS: List = listed("environments");
/// Edges, by environment and name.
pub(super) const EDGES: List = listed("edges");
/// Projects, by sid.
pub(super) const PROJECTS: List = listed("projects");
/// Flows, by sid.
pub(super) const FLOWS: List = listed("flows");
/// Versions of a flow, by number; the draft is 0.
pub(super) const VERSIONS: List = listed("versions");
/// Channels, by name.
pub(super) const CHANNELS: List = listed("channels");
/// Deployments, by environment and name.
pub(super) const DEPLOYMENTS: List = listed("deployments");
/// Flags, by name.
pub(super) const FLAGS: List = listed("flags");
/// Segments, by number.
pub(super) const SEGMENTS: List = listed("segments");

/// The audit log, newest first.
pub(super) const AUDIT: List = List {
    name: "audit",
    member: "entries",
    usual: limits::AUDIT_PER_ANSWER,
    max: limits::AUDIT_PER_ANSWER_MAX,
};

/// The log of webhooks, newest first.
pub(super) const WEBHOOKS: List = List {
    name: "webhooks",
    member: "webhooks",
    usual: limits::WEBHOOKS_PER_ANSWER,
    max: limits::WEBHOOKS_PER_ANSWER_MAX,
};

/// The use of flags, by name.
pub(super) const USAGE: List = List {
    name: "usage",
    member: "flags",
    usual: limits::USAGE_PER_ANSWER,
    max: limits::USAGE_PER_ANSWER_MAX,
};

/// Applications, by environment and name.
pub(super) const APPLICATIONS: List = List {
    name: "applications",
    member: "applications",
    ..USAGE
};

/// Users that fit, by id.
pub(super) const FOUND_USERS: List = List {
    name: "findUsers",
    member: "users",
    usual: limits::USERS_PER_ANSWER,
    max: limits::USERS_PER_ANSWER_MAX,
};

/// Users as lines of a file, by id.
pub(super) const EXPORTED_USERS: List = List {
    name: "exportUsers",
    member: "lines",
    usual: limits::USER_LINES_MAX,
    max: limits::USER_LINES_MAX,
};

/// Groups likewise.
pub(super) const EXPORTED_GROUPS: List = List {
    name: "exportGroups",
    ..EXPORTED_USERS
};

/// Every list that is asked for by a request of its own.
pub(super) const LISTS: [List; 16] = [
    KEYS,
    ENVIRONMENTS,
    EDGES,
    PROJECTS,
    FLOWS,
    VERSIONS,
    CHANNELS,
    DEPLOYMENTS,
    FLAGS,
    SEGMENTS,
    AUDIT,
    WEBHOOKS,
    USAGE,
    APPLICATIONS,
    FOUND_USERS,
    EXPORTED_USERS,
];

impl List {
    /// How many rows an answer has that is asked for so many.
    pub(super) fn count(self, asked: usize) -> usize {
        asked.clamp(1, self.max)
    }

    /// The place behind which a page begins; none for the first one.
    pub(super) fn place<P: DeserializeOwned>(
        self,
        ask: &PageAsk,
    ) -> Result<Option<P>, CursorError> {
        let Some(cursor) = ask.after.as_deref() else {
            return Ok(None);
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let read = bytes.and_then(|bytes| serde_json::from_slice::<(String, P)>(&bytes).ok());
        match read {
            Some((name, place)) if name == self.name => Ok(Some(place)),
            _ => Err(CursorError(cursor.chars().take(SHOWN_MAX).collect())),
        }
    }

    /// The cursor of a page that ends at a place.
    pub(super) fn cursor(self, place: &impl Serialize) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.name, place]).to_string())
    }

    /// The page of rows of which one more was read than it may have, if there
    /// is one more.
    pub(super) fn cut<T, P: Serialize>(
        self,
        mut rows: Vec<T>,
        count_max: usize,
        place: impl Fn(&T) -> P,
    ) -> Page<T> {
        let follows = rows.len() > count_max;
        rows.truncate(count_max);
        let last = rows.last().filter(|_| follows);
        let next = last.map(|last| self.cursor(&place(last)));
        Page { rows, next }
    }

    /// The page of rows that are at hand, in the order of their places. Those
    /// behind the page are not looked at.
    pub(super) fn page<T, P: DeserializeOwned + Serialize + Ord>(
        self,
        ask: &PageAsk,
        rows: impl IntoIterator<Item = T>,
        place: impl Fn(&T) -> P,
    ) -> Result<Page<T>, StoreError> {
        let after = self.place::<P>(ask)?;
        let count_max = self.count(ask.count_max);
        let rows = rows.into_iter();
        let behind = rows.skip_while(|row| after.as_ref().is_some_and(|own| place(row) <= *own));
        let found = behind.take(count_max + 1).collect();
        Ok(self.cut(found, count_max, place))
    }
}

impl<T> Page<T> {
    /// The same page with something else in each row.
    pub(super) fn map<U>(self, told: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(told).collect(),
            next: self.next,
        }
    }

    /// The same, where that may fail.
    pub(super) fn try_map<U, E>(self, told: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            rows: self.rows.into_iter().map(told).collect::<Result<_, E>>()?,
            next: self.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ask(after: Option<String>, count_max: usize) -> PageAsk {
        PageAsk { after, count_max }
    }

    type Place = (u8, String);

    /// What is told of numbers that change between two pages, and those that
    /// were there all the time.
    fn walk(
        first: &BTreeSet<Place>,
        changes: &[(bool, Place)],
        count_max: usize,
    ) -> (Vec<Place>, BTreeSet<Place>) {
        let (mut list, mut kept, mut told) = (first.clone(), first.clone(), Vec::new());
        let (mut after, mut changes) = (None, changes.iter());
        loop {
            let page = KEYS.page(&ask(after, count_max), list.iter().cloned(), Clone::clone);
            let page = page.expect("a cursor of ours");
            assert!(page.rows.len() <= count_max);
            told.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return (told, kept);
            }
            for (comes, place) in changes.by_ref().take(2) {
                if *comes {
                    list.insert(place.clone());
                } else {
                    list.remove(place);
                    kept.remove(place);
                }
            }
        }
    }

    proptest! {
        /// Whatever comes and goes between pages of whatever size.
        #[test]
        fn pages_give_the_whole_list_in_order_while_it_changes(
            first in prop::collection::btree_set((0..4u8, "[a-c ]{0,2}"), 0..40),
            changes in prop::collection::vec((any::<bool>(), (0..4u8, "[a-c ]{0,2}")), 0..40),
            count_max in 1..9usize,
        ) {
            let (told, kept) = walk(&first, &changes, count_max);
            prop_assert!(told.windows(2).all(|two| two[0] < two[1]), "{told:?}");
            let seen: BTreeSet<_> = told.into_iter().collect();
            prop_assert!(seen.is_superset(&kept), "lost: {:?}", kept.difference(&seen));
            let came: BTreeSet<_> = changes.into_iter().map(|(_, place)| place).collect();
            prop_assert!(seen.iter().all(|own| first.contains(own) || came.contains(own)));
        }

        /// Whatever somebody sends for a cursor is refused or was one.
        #[test]
        fn a_cursor_is_read_as_it_was_written(place in any::<(u64, String)>(), other in ".{0,40}") {
            let after = Some(KEYS.cursor(&place));
            let read = KEYS.place::<(u64, String)>(&ask(after, 1));
            prop_assert_eq!(read.expect("ours"), Some(place));
            prop_assert!(KEYS.place::<(u64, String)>(&ask(Some(other), 1)).is_err());
        }
    }

    #[test]
    fn a_cursor_of_another_list_or_of_another_shape_is_refused() {
        let refused = |list: List, cursor: String| list.place::<String>(&ask(Some(cursor), 1));
        assert!(refused(FLOWS, FLOWS.cursor(&"a")).is_ok());
        for cursor in [
            PROJECTS.cursor(&"a"),
            FLOWS.cursor(&7),
            FLOWS.cursor(&["a", "b"]),
            format!("{}=", FLOWS.cursor(&"a")),
            String::new(),
            "a".repeat(10_000),
        ] {
            let error = refused(FLOWS, cursor.clone()).expect_err("none of ours");
            assert!(cursor.starts_with(&error.0) && error.0.len() <= SHOWN_MAX);
        }
    }

    #[test]
    fn a_page_that_ends_with_the_list_has_no_next() {
        let page = |count_max| FLOWS.page(&ask(None, count_max), [1, 2, 3], |own| *own);
        assert_eq!(page(3).expect("a page").next, None);
        assert_eq!(page(0).expect("a page").rows, [1], "one at the least");
        assert_eq!(FLOWS.count(usize::MAX), limits::LISTED_PER_ANSWER_MAX);
        let none = FLOWS.page(&ask(None, 2), Vec::<u8>::new(), |own| *own);
        assert_eq!(none.expect("a page").next, None);
    }
}
