//! How do the parts become a running program?
//!
//! The composition root, the only place where all parts meet. [`Edge`], [`Offline`],
//! [`Store`] and [`Dev`] build their parts in order, know the addresses they
//! are bound to, and stop in the written order. Starting returns when the
//! listeners are bound; all threads are inside.

mod control;
mod dev;
mod edge;
mod facts;
mod reporting;
mod shipping;
mod store;
mod tls;
mod usage;

use std::{io, path::PathBuf};

pub use dev::Dev;
pub use edge::{Edge, Offline};
pub use store::Store;

use crate::{
    config::Faults,
    disk::{folder::FolderError, keep::KeepError},
    http::{BindError, ServeError},
    refresh::RefreshError,
    snapshot::flags::FlagsError,
    store::{ImportError, StoreError, signing::SigningError},
    tls::TlsError,
    upstream::HttpUpstreamError,
};

/// Where a running program listens, as a client writes it; absent for what it
/// does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The edge's public listener.
    pub edge: Option<String>,
    /// The edge's admin listener.
    pub admin: Option<String>,
    /// The store's listener.
    pub store: Option<String>,
}

/// Why a start failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The journal cannot be opened.
    #[error("the journal in {} cannot be opened", folder.display())]
    Journal {
        /// Where it is.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The kept snapshots cannot be read.
    #[error("the snapshots kept for environment {environment} cannot be used")]
    Keep {
        /// Which.
        environment: String,
        /// Why.
        #[source]
        cause: KeepError,
    },
    /// The trust root does not serve.
    #[error("the trust root does not serve for environment {environment}")]
    Trust {
        /// Which.
        environment: String,
        /// Why.
        #[source]
        cause: RefreshError,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The file of flags is none.
    #[error("{} has no flags", path.display())]
    Features {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: FlagsError,
    },
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A listener cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    /// Certificates or keys do not serve.
    #[error("the certificates of {name} do not serve")]
    Tls {
        /// A listener, or upstream.
        name: &'static str,
        /// Why.
        #[source]
        cause: TlsError,
    },
    /// The client towards upstream cannot be made.
    #[error(transparent)]
    Upstream(#[from] HttpUpstreamError),
    /// The signing folder does not serve.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The demo project does not import.
    #[error("the demo project cannot be imported")]
    Demo(#[source] ImportError),
    /// Settings made by `dev` for its parts do not hold.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// The edge inside `dev` never became ready.
    #[error("the edge did not become ready within {seconds} s ({why})")]
    NotReady {
        /// How long it had.
        seconds: u64,
        /// The last thing it said.
        why: String,
    },
}
