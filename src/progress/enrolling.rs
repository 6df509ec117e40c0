//! How is a percentage decision remembered?

use super::{
    request::{EnrolRequest, Place, ReadError, Remembered, WriteError},
    stepping::Progress,
};
use crate::{
    current::EnvironmentSlot,
    evaluate::{Enrolment, Membership},
};

impl Progress {
    /// The fast path: what memory holds, without waiting. None on a miss.
    pub fn cached_membership(
        &self,
        _slot: EnvironmentSlot,
        _enrolment: &Enrolment<'_, '_>,
    ) -> Option<Remembered> {
        None
    }

    /// Reads through to the ledger on a miss; coalesced and bounded.
    pub async fn membership(
        &self,
        _place: &Place,
        _enrolment: &Enrolment<'_, '_>,
    ) -> Result<Remembered, ReadError> {
        Ok(Remembered {
            membership: None,
            assumed: false,
        })
    }

    /// Records a decision and returns, when durable, the one that stands: the
    /// first one wins.
    pub async fn enrol(&self, request: EnrolRequest<'_>) -> Result<Membership, WriteError> {
        Ok(request.membership.to_membership())
    }
}
