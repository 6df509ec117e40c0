//! Which page of a list does a request ask for, and how is it answered?
//!
//! Every list takes `after` and `limit` beside its own parameters, and answers
//! its rows in one member and the cursor of the next page in `next`.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    Response,
    problem::Problem,
    route::{Query, values},
};
use crate::store::{Page, PageAsk, paging::List};

/// The page that a query asks for, and the values of the other parameters that
/// the list knows.
pub(super) fn paged<const N: usize>(
    query: &Query,
    list: List,
    known: [&str; N],
) -> Result<([Option<String>; N], PageAsk), Problem> {
    let all: Vec<&str> = known.into_iter().chain(["after", "limit"]).collect();
    let mut found = values(query, &all)?;
    let limit = found.pop().flatten();
    let page = PageAsk {
        after: found.pop().flatten(),
        count_max: limit.map_or(Ok(list.usual), |text| read_limit(list, &text))?,
    };
    let mut found = found.into_iter();
    Ok((std::array::from_fn(|_| found.next().flatten()), page))
}

fn read_limit(list: List, text: &str) -> Result<usize, Problem> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=list.max).contains(number));
    number.ok_or_else(|| {
        Problem::new(400, "malformed-limit", "so many cannot be told of at once")
            .found(text)
            .expected(&format!("1 to {}", list.max))
    })
}

/// A page as it is sent.
struct Told<'p, T> {
    list: List,
    page: &'p Page<T>,
}

impl<T: Serialize> Serialize for Told<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(2))?;
        members.serialize_entry(self.list.member, &self.page.rows)?;
        members.serialize_entry("next", &self.page.next)?;
        members.end()
    }
}

/// The answer that is this page.
pub(super) fn told<T: Serialize>(list: List, page: &Page<T>) -> Result<Response, Problem> {
    Response::json(200, &Told { list, page })
}
