//! Is it meant for this environment, and made for this revision?

use super::{
    Aim::{MixAndMatch, WrongSoftware},
    Attack, Lie, Tell,
};
use crate::snapshot::fixture::World;

pub(super) const ATTACKS: &[Attack] = &[
    strayed(
        "another environment's timestamp",
        "wrong_environment",
        |lie| {
            lie.world.timestamp.environment = "staging".to_owned();
            lie.reseal();
        },
    ),
    strayed(
        "another environment's release",
        "wrong_environment",
        |lie| {
            lie.world.release.environment = "staging".to_owned();
            lie.reseal();
        },
    ),
    strayed(
        "another environment's control document",
        "wrong_environment",
        |lie| {
            lie.world.control.environment = "staging".to_owned();
            lie.reseal();
        },
    ),
    strayed(
        "an environment that differs in capitals",
        "wrong_environment",
        |lie| {
            lie.world.timestamp.environment = "Production".to_owned();
            lie.reseal();
        },
    ),
    strayed(
        "an environment made anew under the same name",
        "wrong_environment_uid",
        |lie| {
            let uid = "env_02".to_owned();
            lie.world.timestamp.environment_uid.clone_from(&uid);
            lie.world.release.environment_uid.clone_from(&uid);
            lie.world.control.environment_uid = uid;
            lie.reseal();
        },
    ),
    strayed(
        "a release of the environment made anew",
        "wrong_environment_uid",
        |lie| {
            lie.world.release.environment_uid = "env_02".to_owned();
            lie.reseal();
        },
    ),
    strayed(
        "a control document of the environment made anew",
        "wrong_environment_uid",
        |lie| {
            lie.world.control.environment_uid = "env_02".to_owned();
            lie.reseal();
        },
    ),
    strayed("an environment of no uid", "wrong_environment_uid", |lie| {
        lie.world.timestamp.environment_uid.clear();
        lie.reseal();
    }),
    mixed(
        "the old release under the new timestamp",
        "wrong_hash",
        |lie| {
            lie.pack.release = lie.second.release.clone();
        },
    ),
    mixed(
        "the old control document under the new timestamp",
        "wrong_hash",
        |lie| {
            lie.pack.control = lie.second.control.clone();
        },
    ),
    mixed("a release that is not there yet", "wrong_hash", |lie| {
        lie.world.advance();
        lie.pack.release = lie.world.release_file();
    }),
    mixed(
        "release and control document exchanged",
        "wrong_length",
        |lie| {
            std::mem::swap(&mut lie.pack.release, &mut lie.pack.control);
        },
    ),
    mixed(
        "a release of another version than announced",
        "wrong_version",
        |lie| {
            lie.world.timestamp.release.version = 2;
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
    mixed(
        "a control document of another version than announced",
        "wrong_version",
        |lie| {
            lie.world.timestamp.control.version = 4;
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
    mixed(
        "the first release beside the new control document",
        "version_rollback",
        |lie| {
            lie.world.release = World::new().release;
            lie.world.control.version = 9;
            lie.reseal();
        },
    ),
    mixed("a hash of another length", "reference_malformed", |lie| {
        lie.world.timestamp.release.sha256.truncate(40);
        lie.pack.timestamp = lie.world.timestamp_file();
    }),
    mixed("a hash in capitals", "reference_malformed", |lie| {
        let sha256 = &mut lie.world.timestamp.control.sha256;
        *sha256 = "A".repeat(sha256.len());
        lie.pack.timestamp = lie.world.timestamp_file();
    }),
    mixed(
        "a hash that leads elsewhere",
        "reference_malformed",
        |lie| {
            lie.world.timestamp.release.sha256 = format!("../../{}", "0".repeat(58));
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
];

const fn strayed(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(WrongSoftware, name, refused, Tell::Lie(tell))
}

const fn mixed(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(MixAndMatch, name, refused, Tell::Lie(tell))
}
