//! Which keys does this store have, and whose is the one that was sent?
//!
//! The keys of [`Store`]: every change of one is a change like any other,
//! decided in [`keys`] and published where the key travels.

use subtle::ConstantTimeEq;

use super::{
    Page, PageAsk, Store, StoreError, key_ending,
    key_terms::KeyTerms,
    keys::{self, Changed, KeyError, KeyListing, KeyName, NewKey},
    workspace::{StoredKey, Workspace},
};
use crate::{clock::UnixMs, snapshot::sha256_hex};

impl Store {
    /// Makes a key. Its text is in the answer and nowhere else.
    pub fn create_key(&self, name: &KeyName, projects: &[String]) -> Result<NewKey, StoreError> {
        let terms = KeyTerms {
            projects: projects.to_vec(),
            ..KeyTerms::default()
        };
        self.create_key_on(name, &terms, None)
    }

    /// Makes a key on terms; with a text, that one becomes the key.
    pub fn create_key_on(
        &self,
        name: &KeyName,
        terms: &KeyTerms,
        text: Option<&str>,
    ) -> Result<NewKey, StoreError> {
        self.author_keys(|workspace| keys::create(workspace, name, terms, text, &self.ambient))
    }

    /// Makes a new secret for a name; the old ones work until they are revoked,
    /// or until `overlap_until`.
    pub fn rotate_key(
        &self,
        name: &KeyName,
        overlap_until: Option<UnixMs>,
    ) -> Result<NewKey, StoreError> {
        self.author_keys(|workspace| keys::rotate(workspace, name, overlap_until, &self.ambient))
    }

    /// Ends every secret of a name, or the one with these last characters.
    pub fn revoke_key(
        &self,
        name: &KeyName,
        last: Option<&str>,
    ) -> Result<Vec<KeyListing>, StoreError> {
        let now = self.ambient.now_ms();
        self.author_keys(|workspace| key_ending::revoke(workspace, name, last, now))
    }

    /// All keys, or those of one environment; never their secrets.
    pub fn keys(&self, environment: Option<&str>) -> Result<Vec<KeyListing>, StoreError> {
        Ok(keys::list(&self.workspace(), environment)?)
    }

    /// The same, a page at a time.
    pub fn keys_page(
        &self,
        environment: Option<&str>,
        ask: &PageAsk,
    ) -> Result<Page<KeyListing>, StoreError> {
        keys::page(&self.workspace(), environment, ask)
    }

    /// Whether somebody has a key that may do everything here.
    pub(crate) fn has_administrator(&self) -> bool {
        let now = self.ambient.now_ms();
        let workspace = self.workspace();
        workspace
            .keys
            .iter()
            .any(|key| key_ending::administers(key, now))
    }

    /// The valid key with this text. Found by hash; the comparison that counts
    /// takes the same time wherever the hashes differ.
    pub(crate) fn authenticate(&self, text: &str) -> Option<StoredKey> {
        let wanted = sha256_hex(text.as_bytes());
        let now = self.ambient.now_ms();
        let workspace = self.workspace();
        let mut found = None;
        for key in &workspace.keys {
            if bool::from(key.sha256.as_bytes().ct_eq(wanted.as_bytes())) {
                found = Some(key);
            }
        }
        found.filter(|key| key.is_valid(now)).cloned()
    }

    /// What became of the environment that a key with this text was of, if that
    /// is why the key is not valid any more.
    pub(crate) fn deleted_with(&self, text: &str) -> Option<StoreError> {
        let wanted = sha256_hex(text.as_bytes());
        let workspace = self.workspace();
        let mut keys = workspace.keys.iter();
        let key = keys.find(|own| own.sha256.as_bytes().ct_eq(wanted.as_bytes()).into())?;
        let deleted = workspace.deleted.get(key.environment_uid.as_ref()?)?;
        Some(deleted.into())
    }

    fn author_keys<T>(
        &self,
        work: impl FnOnce(&Workspace) -> Result<Changed<T>, KeyError>,
    ) -> Result<T, StoreError> {
        self.author(|workspace| {
            let changed = work(workspace)?;
            let after = Workspace {
                keys: changed.keys,
                ..workspace.clone()
            };
            Ok((after, changed.writes, changed.answer))
        })
    }
}
