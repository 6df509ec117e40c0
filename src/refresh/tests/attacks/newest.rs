//! Is it the newest there is, and as new as it says?

use super::{
    Aim::{FastForward, IndefiniteFreeze, MaliciousMirror, Rollback},
    Attack, End, Ground, Lie, Marked, Refused, Tell,
    scene::next_root,
};
use crate::{
    limits::CLOCK_SKEW_MS_MAX,
    refresh::SourceError,
    snapshot::{
        fixture::{ENVIRONMENT_UID, HOUR, World, ids, key, public},
        wire::TIMESTAMP_LIFE_DEFAULT_MS,
    },
};

pub(super) const ATTACKS: &[Attack] = &[
    back("an older timestamp, replayed", "serial_rollback", |lie| {
        lie.pack = lie.first.clone();
    }),
    back(
        "a new timestamp of an older revision",
        "revision_rollback",
        |lie| {
            lie.world.timestamp.revision = 1;
            lie.reseal();
        },
    ),
    back(
        "a new revision of an older release",
        "version_rollback",
        |lie| {
            lie.world.release = World::new().release;
            lie.reseal();
        },
    ),
    back(
        "a new revision of an older control document",
        "version_rollback",
        |lie| {
            lie.world.control = World::new().control;
            lie.reseal();
        },
    ),
    back("another timestamp under a serial", "serial_reused", |lie| {
        lie.world.timestamp.serial = 2;
        lie.reseal();
    }),
    back(
        "another release under a revision",
        "revision_reused",
        |lie| {
            lie.world.timestamp.revision = 2;
            lie.world.control.version = 2;
            lie.reseal();
        },
    ),
    back(
        "another control document under a revision",
        "revision_reused",
        |lie| {
            let (second, _) = Ground::Plain.revision(2);
            lie.world.timestamp.revision = 2;
            lie.world.release = second.release;
            lie.reseal();
        },
    ),
    back("another release under a version", "version_reused", |lie| {
        lie.world.release.version = 2;
        lie.reseal();
    }),
    back(
        "another control document under a version",
        "version_reused",
        |lie| {
            lie.world.control.version = 2;
            lie.world.control.disabled_flows.push("flow-a".to_owned());
            lie.reseal();
        },
    ),
    back("a release of another history", "fork", |lie| {
        lie.world.release.previous_sha256 = Some("0".repeat(64));
        lie.reseal();
    }),
    back("a release without a history", "fork", |lie| {
        lie.world.release.previous_sha256 = None;
        lie.reseal();
    }),
    back("the root in force as the next one", "root_version", |lie| {
        lie.root(lie.world.root_file());
    })
    // A pack may begin with roots that the configured one has overtaken.
    .at_boot(End::Harmless),
    back("a root that leaves one out", "root_version", |lie| {
        lie.world.root.version += 1;
        let root = next_root(&mut lie.world);
        lie.root(root);
    }),
    back(
        "the first root's timestamp, the second hidden",
        "below_threshold",
        |lie| {
            lie.roots.clear();
            lie.world.timestamp_keys = vec![key(11)];
            lie.reseal();
        },
    )
    .on(Ground::Rotated)
    .at_boot(Refused("root_rollback")),
    back("a timestamp of the epoch before", "wrong_epoch", |lie| {
        lie.world.timestamp.epoch = 0;
        lie.reseal();
    })
    .on(Ground::Raised),
    back("an epoch that no root names", "wrong_epoch", |lie| {
        lie.world.timestamp.epoch = 1;
        lie.world.timestamp.serial = 1;
        lie.reseal();
    }),
    back("a release of another epoch", "wrong_epoch", |lie| {
        lie.world.release.epoch = 0;
        lie.reseal();
    })
    .on(Ground::Raised),
    back(
        "a control document of another epoch",
        "wrong_epoch",
        |lie| {
            lie.world.control.epoch = 0;
            lie.reseal();
        },
    )
    .on(Ground::Raised),
    freeze("what is in force, past its time", "upstream_old", |lie| {
        lie.pack = lie.second.clone();
        lie.now += 2 * HOUR;
    })
    .at_boot(Marked),
    freeze("a timestamp that has expired", "timestamp_expired", |lie| {
        lie.now += 25 * HOUR;
    })
    .at_boot(Marked),
    freeze(
        "a timestamp that lives longer than allowed",
        "life_too_long",
        |lie| {
            let timestamp = &mut lie.world.timestamp;
            timestamp.expires_ms = timestamp.issued_ms + TIMESTAMP_LIFE_DEFAULT_MS + 1;
            lie.reseal();
        },
    ),
    freeze("a timestamp that lives for ever", "life_too_long", |lie| {
        lie.world.timestamp.expires_ms = u64::MAX;
        lie.reseal();
    }),
    freeze(
        "a timestamp fresh beyond its end",
        "times_disordered",
        |lie| {
            lie.world.timestamp.fresh_until_ms = lie.world.timestamp.expires_ms + 1;
            lie.reseal();
        },
    ),
    freeze(
        "a timestamp that ends before it begins",
        "times_disordered",
        |lie| {
            lie.world.timestamp.fresh_until_ms = lie.world.timestamp.issued_ms - 1;
            lie.reseal();
        },
    ),
    freeze("a timestamp of tomorrow", "issued_in_future", |lie| {
        let timestamp = &mut lie.world.timestamp;
        timestamp.issued_ms += CLOCK_SKEW_MS_MAX + 1;
        timestamp.fresh_until_ms = timestamp.issued_ms + HOUR;
        timestamp.expires_ms = timestamp.issued_ms + 24 * HOUR;
        lie.reseal();
    })
    .at_boot(Marked),
    freeze("a release of tomorrow", "clock_behind", |lie| {
        lie.world.release.created_ms += CLOCK_SKEW_MS_MAX + 1;
        lie.reseal();
    })
    .at_boot(Marked),
    freeze("a control document of tomorrow", "clock_behind", |lie| {
        lie.world.control.created_ms += CLOCK_SKEW_MS_MAX + 1;
        lie.reseal();
    })
    .at_boot(Marked),
    freeze(
        "anything under a root that has expired",
        "root_expired",
        |lie| {
            lie.now = lie.world.root.expires_ms + 1;
            let timestamp = &mut lie.world.timestamp;
            timestamp.issued_ms = lie.now;
            timestamp.fresh_until_ms = lie.now + HOUR;
            timestamp.expires_ms = lie.now + 24 * HOUR;
            lie.reseal();
        },
    )
    .at_boot(Marked),
    mirror("a mirror that refuses", "upstream_refused", |lie| {
        lie.says = Some(SourceError::Refused("status 404".to_owned()));
        lie.pack.release.clear();
    })
    .at_boot(Refused("pack_section_missing")),
    mirror("a mirror that is away", "upstream_away", |lie| {
        lie.says = Some(SourceError::Away("connection refused".to_owned()));
        lie.pack.control.clear();
    })
    .at_boot(Refused("pack_section_missing")),
    mirror(
        "a mirror that does not know the newest root",
        "below_threshold",
        |lie| {
            lie.world.root.roles.release[0].keyids = ids(&[key(23)]);
            lie.world.root.keys.extend(public([&key(23)]));
            lie.world.release_keys = vec![key(23)];
            lie.reseal();
        },
    ),
    ahead(
        "the last serial of all, before a release that is not there",
        "wrong_hash",
        |lie| {
            lie.world.timestamp.serial = u64::MAX;
            lie.world.timestamp.revision = u64::MAX;
            lie.world.timestamp.release.sha256 = "0".repeat(64);
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
    ahead(
        "the last version of all, which the release does not have",
        "wrong_version",
        |lie| {
            lie.world.timestamp.serial = u64::MAX;
            lie.world.timestamp.release.version = u64::MAX;
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
    ahead(
        "the last control version of all, likewise",
        "wrong_version",
        |lie| {
            lie.world.timestamp.serial = u64::MAX;
            lie.world.timestamp.control.version = u64::MAX;
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
    ahead("the last root of all", "root_version", |lie| {
        lie.world.root.version = u64::MAX;
        lie.root(lie.world.root_file());
    }),
    ahead("the last epoch of all", "wrong_epoch", |lie| {
        lie.world.timestamp.epoch = u32::MAX;
        lie.world.root.epochs.insert(ENVIRONMENT_UID.to_owned(), 7);
        lie.reseal();
    }),
];

const fn back(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(Rollback, name, refused, Tell::Lie(tell))
}

const fn freeze(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(IndefiniteFreeze, name, refused, Tell::Lie(tell))
}

const fn mirror(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(MaliciousMirror, name, refused, Tell::Lie(tell))
}

const fn ahead(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(FastForward, name, refused, Tell::Lie(tell))
}
