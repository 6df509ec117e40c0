//! How is more asked of the ledger than one document as it is?
//!
//! Many users in one call, and one user no older than a record.

use serde::{Deserialize, Serialize};

use super::UserDocument;

/// The body of `POST environments/{env}/users:batch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersQuestion {
    /// At most `limits::USERS_PER_READ_MAX` ids.
    pub users: Vec<String>,
}

/// Its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsersAnswer {
    /// In the order asked. The first one asked for is always here.
    pub users: Vec<UserDocument>,
    /// Ids for whose documents there was no room any more.
    pub missing: Vec<String>,
}

/// The answer of `GET environments/{env}/users/{id}?after=JOURNAL:SEQ`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserAfter {
    /// Whether the record, and every one before it, had its outcome when the
    /// document was read.
    pub reached: bool,
    /// The user.
    pub user: UserDocument,
}
