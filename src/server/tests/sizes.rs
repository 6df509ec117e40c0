//! How large is what is moved for every request? A future is as large as the
//! largest thing it ever waits for, and none of that shows in its code.

use crate::{http::Service, server::EdgeService};

/// What a future takes that this function returns.
fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
    size_of::<F>()
}

/// It is moved several times before it is polled. While each handler was a part
/// of it, copying it was a tenth of what a request costs.
#[test]
fn the_future_of_a_request_is_small() {
    let bytes = size(<EdgeService as Service>::call);
    assert!(bytes <= 2_048, "{bytes} bytes");
}
