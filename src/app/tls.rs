//! Which certificates does a program look after?
//!
//! Makes of settings what listeners and clients use, and reads all of it again
//! every few seconds, off the threads that serve.

use std::time::Duration;

use tokio::sync::watch;

use super::StartError;
use crate::{
    clock::Ambient,
    config::{ListenerTls, ProxiesConfig, UpstreamConfig},
    http::{HopHeader, Proxies},
    telemetry::metrics::Metrics,
    tls::{
        ClientFiles, ClientTls, IdentityFiles, Renewal, Renewals, ServerFiles, ServerTls, TlsError,
        measure,
    },
};

/// How often the files are looked at: a renewed certificate is days early, and
/// a replaced one should be in force before anybody wonders.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// All certificates of a program.
pub(super) struct Secured {
    renewals: Renewals,
    ambient: Ambient,
}

impl Secured {
    pub(super) fn new(ambient: &Ambient) -> Self {
        Self {
            renewals: Renewals::default(),
            ambient: ambient.clone(),
        }
    }

    /// What a listener's handshakes use; none in the clear.
    pub(super) fn listener(
        &mut self,
        name: &'static str,
        config: Option<&ListenerTls>,
    ) -> Result<Option<watch::Receiver<ServerTls>>, StartError> {
        let Some(config) = config else {
            return Ok(None);
        };
        let files = ServerFiles {
            identity: IdentityFiles {
                certificate: config.certificate.clone(),
                key: config.key.clone(),
            },
            client_ca: config.client_ca.clone(),
        };
        let renewal = Renewal::start(name, files, self.ambient.now_ms());
        Ok(Some(self.keep(renewal.map_err(not_served(name))?)))
    }

    /// What the way to upstream uses; none when the system's authorities do,
    /// or when it is in the clear.
    pub(super) fn upstream(
        &mut self,
        config: &UpstreamConfig,
    ) -> Result<Option<watch::Receiver<ClientTls>>, StartError> {
        let identity = config.tls.identity.clone();
        let files = ClientFiles {
            identity: identity.map(|(certificate, key)| IdentityFiles { certificate, key }),
            ca: config.tls.ca.clone(),
        };
        if !config.is_secure() || files.is_empty() {
            return Ok(None);
        }
        let renewal = Renewal::start("upstream", files, self.ambient.now_ms());
        Ok(Some(self.keep(renewal.map_err(not_served("upstream"))?)))
    }

    fn keep<S: crate::tls::Source>(&mut self, renewal: Renewal<S>) -> watch::Receiver<S::Value> {
        let watch = renewal.watch();
        self.renewals.add(renewal);
        watch
    }

    /// Registers what is measured of all of them.
    pub(super) fn measure(&self, metrics: &Metrics) {
        measure(&self.renewals, &self.ambient, metrics);
    }

    /// Looks at the files now, for whoever replaced them.
    pub(super) fn renew(&self) {
        self.renewals.renew(self.ambient.now_ms(), true);
    }

    /// Looks at the files for as long as it runs.
    pub(super) fn follow(&self) -> impl Future<Output = ()> + Send + 'static {
        let (renewals, ambient) = (self.renewals.clone(), self.ambient.clone());
        async move {
            while !renewals.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
                let (renewals, now) = (renewals.clone(), ambient.now_ms());
                let looking = tokio::task::spawn_blocking(move || renewals.renew(now, false));
                if looking.await.is_err() {
                    tracing::error!("looking at certificates panicked");
                }
            }
        }
    }
}

fn not_served(name: &'static str) -> impl Fn(TlsError) -> StartError {
    move |cause| StartError::Tls { name, cause }
}

/// Which proxies are believed.
pub(super) fn proxies(config: &ProxiesConfig) -> Proxies {
    Proxies {
        networks: config.networks.clone(),
        local: config.local,
        header: if config.forwarded {
            HopHeader::Forwarded
        } else {
            HopHeader::XForwardedFor
        },
    }
}
