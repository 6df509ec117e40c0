//! How is a list of identify calls taken, whatever its items look like?
//!
//! It is checked as a whole before anything of it is written: the first item
//! that is wrong is named by its place.

use crate::{
    http::json,
    limits::IDENTIFY_BATCH_MAX,
    progress::{IdentifyRequest, Token},
    server::{
        EdgeService,
        error::{Fault, Invalid},
    },
};

/// What came of it.
pub(super) struct Taken {
    pub(super) count: usize,
    /// Of the last record.
    pub(super) token: Option<Token>,
}

/// Takes all items of the body, each turned into a call by `checked`, which is
/// told its place.
pub(super) async fn identify_all(
    edge: &EdgeService,
    body: &[u8],
    checked: impl Fn(usize, &[u8]) -> Result<IdentifyRequest, Fault>,
) -> Result<Taken, Fault> {
    let items = json::list(body)?;
    if items.len() > IDENTIFY_BATCH_MAX {
        return Err(Invalid::Length {
            what: "the batch",
            found: items.len(),
            expected: "at most 100 items",
        }
        .into());
    }
    let named = |at: usize, fault: Fault| Fault::Item {
        at,
        fault: Box::new(fault),
    };
    let mut requests = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let request = checked(at, item.get().as_bytes());
        requests.push(request.map_err(|fault| named(at, fault))?);
    }
    let taken = edge.progress.identify_all(&requests).await;
    let token = taken.map_err(|refused| named(refused.at, refused.error.into()))?;
    Ok(Taken {
        count: requests.len(),
        token,
    })
}
