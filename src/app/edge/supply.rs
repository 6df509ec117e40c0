//! From where does an edge get snapshots, and to whom do they and progress go?
//!
//! Made of the settings once, before anything is asked: the source (a store,
//! another edge, or a folder), the ledger if there is one, and a shelf for
//! each environment that other edges may pull from here.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use crate::{
    config::{EdgeConfig, EnvironmentConfig, Secret, SnapshotOrigin},
    distribution::Shelf,
    progress::ProgressLedger,
    refresh::SnapshotSource,
    server::Distribution,
    tls::ClientTls,
    upstream::{FileUpstream, HttpUpstream, HttpUpstreamError, HttpUpstreamOptions, NoLedger},
};

/// Both directions, up and down.
pub(super) struct Supply {
    /// Where snapshots come from.
    pub(super) source: Arc<dyn SnapshotSource>,
    /// Where progress goes; none: nowhere.
    pub(super) ledger: Option<Arc<dyn ProgressLedger>>,
    /// Who hears how this edge is doing: the store that has the ledger.
    pub(super) store: Option<Arc<HttpUpstream>>,
    /// Everything that speaks HTTP.
    clients: Vec<Arc<HttpUpstream>>,
    /// Of the environments that other edges may pull.
    shelves: BTreeMap<String, Arc<Shelf>>,
}

impl Supply {
    /// Makes the clients, with what is shown and believed over TLS; nothing is
    /// connected or read.
    pub(super) fn of(
        config: &EdgeConfig,
        tls: Option<&watch::Receiver<ClientTls>>,
    ) -> Result<Self, HttpUpstreamError> {
        let upstream = config.upstream();
        let mut clients = Vec::new();
        let mut client = |url: &str, key: fn(&EnvironmentConfig) -> &Secret| {
            let made = Arc::new(client(config, url, tls, key)?);
            clients.push(made.clone());
            Ok::<_, HttpUpstreamError>(made)
        };
        let ledger = match &upstream.ledger_url {
            Some(url) => Some(client(url, |own| &own.ledger_key)?),
            None => None,
        };
        let source: Arc<dyn SnapshotSource> = match (&upstream.origin, &ledger) {
            (SnapshotOrigin::File { path, reread }, _) => {
                Arc::new(FileUpstream::new(path.clone(), *reread))
            }
            (SnapshotOrigin::Http(url), Some(ledger)) if is_one(config, url) => ledger.clone(),
            (SnapshotOrigin::Http(url), _) => client(url, |own| &own.key)?,
        };
        if ledger.is_none() {
            tracing::info!(
                "no ledger is configured: steps are kept in this edge's journal and shipped nowhere"
            );
        }
        let offers = |own: &EnvironmentConfig| !own.downstream.is_empty();
        if config.distribution() && !config.environments().iter().any(offers) {
            tracing::warn!(
                "distribution.serve is on and no environment has downstream_key_hashes: nobody can pull anything"
            );
        }
        let environments = config.environments().iter();
        let offered = environments.filter(|own| config.distribution() && offers(own));
        Ok(Self {
            source,
            clients,
            store: ledger.clone(),
            ledger: ledger.map(|ledger| ledger as Arc<dyn ProgressLedger>),
            shelves: offered
                .map(|own| (own.name.clone(), Arc::default()))
                .collect(),
        })
    }

    /// Both directions over a simulated network.
    #[cfg(test)]
    pub(super) fn simulated(
        source: Arc<dyn SnapshotSource>,
        ledger: Arc<dyn ProgressLedger>,
    ) -> Self {
        Self {
            source,
            ledger: Some(ledger),
            store: None,
            clients: Vec::new(),
            shelves: BTreeMap::new(),
        }
    }

    /// The ledger, or what stands in for one.
    pub(super) fn ledger_or_none(&self) -> Arc<dyn ProgressLedger> {
        let ledger = self.ledger.clone();
        ledger.unwrap_or_else(|| Arc::new(NoLedger))
    }

    /// Puts new certificates into force; tasks for as long as they run.
    pub(super) fn follow_tls(&self) -> Vec<impl Future<Output = ()> + Send + use<>> {
        let clients = self.clients.iter();
        clients.map(|client| client.follow_tls()).collect()
    }

    /// Where an environment's snapshots are offered.
    pub(super) fn shelf(&self, environment: &str) -> Option<Arc<Shelf>> {
        self.shelves.get(environment).cloned()
    }

    /// Who may pull what; none when distribution is switched off.
    pub(super) fn distribution(&self, config: &EdgeConfig) -> Option<Arc<Distribution>> {
        let mut distribution = Distribution::default();
        for own in config.environments() {
            if let Some(shelf) = self.shelf(&own.name) {
                distribution.add(&own.name, shelf, &own.downstream);
            }
        }
        config.distribution().then(|| Arc::new(distribution))
    }

    /// Lets other edges go that wait for news.
    pub(super) fn end(&self) {
        for shelf in self.shelves.values() {
            shelf.end();
        }
    }
}

/// Whether snapshots and progress have the same address and keys.
fn is_one(config: &EdgeConfig, url: &str) -> bool {
    let mut environments = config.environments().iter();
    config.upstream().ledger_url.as_deref() == Some(url)
        && environments.all(|own| own.key == own.ledger_key)
}

fn client(
    config: &EdgeConfig,
    url: &str,
    tls: Option<&watch::Receiver<ClientTls>>,
    key: impl Fn(&EnvironmentConfig) -> &Secret,
) -> Result<HttpUpstream, HttpUpstreamError> {
    let environments = config.environments().iter();
    let keys = environments.map(|own| (own.name.clone(), key(own).expose().to_owned()));
    HttpUpstream::new(HttpUpstreamOptions {
        tls: tls.cloned().filter(|_| url.starts_with("https:")),
        url: url.to_owned(),
        keys: keys.collect(),
        timeout: config.upstream().timeout,
    })
}
