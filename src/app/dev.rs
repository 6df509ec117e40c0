//! How do store and edge run in one process, with a project to look at?
//!
//! The same two programs that run apart, joined over loopback by the same
//! HTTP: what works here works there. The first start makes signing keys,
//! imports the demo project and makes one key of each kind for both
//! environments; a later start finds everything as it was left.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Addresses, Edge, StartError, Store, store::make_folder};
use crate::{
    clock::Ambient,
    config::{DevConfig, DevInfo},
    snapshot::wire::UnsignedUsers,
    store::{
        self, AccessChange, DEMO, EnvironmentChange, KeyName, SourceFile, StoreError,
        StoredKeyKind, signing::Signing,
    },
};

/// Generous: a first start on a loaded machine compiles and syncs a few files.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Kinds of keys that `dev.json` has for each environment.
const KINDS: [StoredKeyKind; 6] = [
    StoredKeyKind::Blocks,
    StoredKeyKind::Users,
    StoredKeyKind::Client,
    StoredKeyKind::Frontend,
    StoredKeyKind::Server,
    StoredKeyKind::Edge,
];

/// A running pair.
pub struct Dev {
    store: Store,
    edge: Edge,
    info: DevInfo,
    admin_key_is_new: bool,
}

impl Dev {
    /// Starts both; returns when the edge answers evaluations.
    pub fn start(config: DevConfig, ambient: Ambient) -> Result<Self, StartError> {
        make_folder(config.data())?;
        let store_config = config.store()?;
        make_folder(store_config.data())?;
        let signing = if store_config.signing().exists() {
            Signing::load(store_config.signing())?
        } else {
            Signing::create(store_config.signing(), &ambient)?
        };
        let store = Store::start_with(&store_config, signing, ambient.clone())?;
        match Self::start_edge(&config, &store, store_config.signing(), ambient) {
            Ok((edge, info, admin_key_is_new)) => Ok(Self {
                store,
                edge,
                info,
                admin_key_is_new,
            }),
            Err(error) => {
                store.stop();
                Err(error)
            }
        }
    }

    fn start_edge(
        config: &DevConfig,
        store: &Store,
        signing: &Path,
        ambient: Ambient,
    ) -> Result<(Edge, DevInfo, bool), StartError> {
        let inner = store.inner();
        let info_path = config.info_file();
        let kept = kept_info(&info_path)?;
        if kept.is_none() && inner.workspace().flows.is_empty() {
            import_demo(inner)?;
        }
        ask_for_nothing(inner)?;
        let mut info = kept.unwrap_or_default();
        info.store_url = store.addresses().store.unwrap_or_default();
        // A key that cannot be written down is not made.
        keep(&info, &info_path)?;
        let admin_key_is_new = find_keys(inner, &store_admin_key(config)?, &mut info);
        // Also when only some were made, and whatever becomes of the edge: no
        // later start can read them back from the store.
        keep(&info, &info_path)?;
        let admin_key_is_new = admin_key_is_new?;
        inner.publish()?;
        let trust_root = signing.join("root.json");
        let keys = info.environments.iter().filter_map(|(name, keys)| {
            let key = keys.get(StoredKeyKind::Edge.name())?;
            Some((name.as_str(), key.as_str()))
        });
        let edge_config = config.edge(&info.store_url, &trust_root, keys)?;
        let edge = Edge::start(edge_config, ambient)?;
        info.edge_url = edge.addresses().edge.unwrap_or_default();
        info.edge_admin_url = edge.addresses().admin.unwrap_or_default();
        match keep(&info, &info_path).and_then(|()| wait_until_ready(&edge)) {
            Ok(()) => Ok((edge, info, admin_key_is_new)),
            Err(error) => {
                edge.stop();
                Err(error)
            }
        }
    }

    /// Bound addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            store: self.store.addresses().store,
            ..self.edge.addresses()
        }
    }

    /// What stands in `dev.json`.
    pub fn info(&self) -> DevInfo {
        self.info.clone()
    }

    /// Whether the admin key that stood there was not valid any more.
    pub fn admin_key_is_new(&self) -> bool {
        self.admin_key_is_new
    }

    /// Stops the edge first, so that its last steps reach the store.
    pub fn stop(self) {
        self.edge.stop();
        self.store.stop();
    }
}

/// What an earlier start left. A file that cannot be read is an error: keys
/// that nobody can read back stand in it.
fn kept_info(path: &Path) -> Result<Option<DevInfo>, StartError> {
    match DevInfo::read(path) {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(StartError::File {
            path: path.to_owned(),
            cause,
        }),
    }
}

fn keep(info: &DevInfo, path: &Path) -> Result<(), StartError> {
    info.write(path).map_err(|cause| StartError::File {
        path: path.to_owned(),
        cause,
    })
}

fn import_demo(store: &store::Store) -> Result<(), StartError> {
    let files: Vec<SourceFile> = DEMO
        .iter()
        .map(|(name, text)| SourceFile {
            name: (*name).to_owned(),
            content: (*text).to_owned(),
        })
        .collect();
    match store.import(&files) {
        Ok(_) => Ok(()),
        Err(StoreError::Import(error)) => Err(StartError::Demo(error)),
        Err(error) => Err(error.into()),
    }
}

/// Where nobody has chosen, whoever holds a public key of `flowgate dev` may act
/// as any user, and no change has to be confirmed, also in the environment that
/// is called production: there are no real users here.
fn ask_for_nothing(store: &store::Store) -> Result<(), StartError> {
    let access = AccessChange {
        unsigned_users: Some(Some(UnsignedUsers::Allow)),
        ..AccessChange::default()
    };
    let change = EnvironmentChange {
        confirm_changes: Some(false),
        access,
        ..EnvironmentChange::default()
    };
    for environment in &store.workspace().environments {
        if environment.access.unsigned_users.is_none() {
            store.set_environment(&environment.name, &change)?;
        }
    }
    Ok(())
}

/// Sees to a key of each kind that works. Says whether an admin key stood there
/// that works no longer.
fn find_keys(store: &store::Store, first: &Path, info: &mut DevInfo) -> Result<bool, StartError> {
    let admin_key_is_new = find_admin_key(store, first, info)?;
    let workspace = store.workspace();
    let is_there = |name: &str| workspace.environment(name).is_some();
    info.environments.retain(|name, _| is_there(name));
    add_missing_keys(store, info)?;
    Ok(admin_key_is_new)
}

/// Keys cannot be read back from the store, only made; what `dev.json` lost is
/// made anew under a name of its own.
fn add_missing_keys(store: &store::Store, info: &mut DevInfo) -> Result<(), StartError> {
    let workspace = store.workspace();
    // One that is deprecated takes no new keys.
    let open = workspace.environments.iter().filter(|own| !own.deprecated);
    for environment in open {
        let keys: &mut BTreeMap<String, String> = info
            .environments
            .entry(environment.name.clone())
            .or_default();
        for kind in KINDS {
            let known = keys
                .get(kind.name())
                .is_some_and(|key| store.authenticate(key).is_some());
            if known {
                continue;
            }
            let made = make_key(store, kind, Some(&environment.name))?;
            keys.insert(kind.name().to_owned(), made);
        }
    }
    Ok(())
}

/// Sees to an admin key that works: the one of `dev.json`, else the store's
/// first, else a new one. Says whether one stood there that works no longer.
fn find_admin_key(
    store: &store::Store,
    first: &Path,
    info: &mut DevInfo,
) -> Result<bool, StartError> {
    let works = |key: &str| store.authenticate(key).is_some();
    if works(&info.admin_key) {
        return Ok(false);
    }
    let had_one = !info.admin_key.is_empty();
    let first = read_text(first).ok().filter(|key| works(key));
    info.admin_key = match first {
        Some(key) => key,
        None => make_key(store, StoredKeyKind::Admin, None)?,
    };
    Ok(had_one)
}

/// Makes a key under the first of `dev`, `dev-2`, `dev-3`... that no key of its
/// kind has there. The names of revoked ones are not taken again either: a
/// listing would show two keys of one name.
fn make_key(
    store: &store::Store,
    kind: StoredKeyKind,
    environment: Option<&str>,
) -> Result<String, StartError> {
    let keys = store.keys(environment)?;
    let of_kind = keys.iter().filter(|key| key.kind == kind);
    let taken: BTreeSet<&str> = of_kind.map(|key| key.name.as_str()).collect();
    let mut name = "dev".to_owned();
    let mut number = 1_usize;
    while taken.contains(name.as_str()) {
        number += 1;
        name = format!("dev-{number}");
    }
    let name = KeyName {
        kind,
        environment: environment.map(ToOwned::to_owned),
        name,
    };
    Ok(store.create_key(&name, &[])?.key)
}

fn wait_until_ready(edge: &Edge) -> Result<(), StartError> {
    let begun = Instant::now();
    while begun.elapsed() < READY_WITHIN {
        if edge.is_ready() {
            return Ok(());
        }
        edge.wait_for_publish(Duration::from_millis(200));
    }
    Err(StartError::NotReady {
        seconds: READY_WITHIN.as_secs(),
        why: edge.why_not_ready(),
    })
}

fn store_admin_key(config: &DevConfig) -> Result<PathBuf, StartError> {
    Ok(config.store()?.data().join("admin.key"))
}

fn read_text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned())
}
