//! Who has signed it, and with which keys?

use super::{
    Aim::{ArbitraryInstallation, KeyCompromise},
    Attack, Ground, Lie, Tell,
    scene::{by_stranger, edit, encoded, next_root},
};
use crate::snapshot::{
    envelope::Role,
    fixture::{file, ids, key, public},
    wire::{EnvelopeFile, SignatureEntry},
};

pub(super) const ATTACKS: &[Attack] = &[
    anyone("an unsigned timestamp", "signature_count", |lie| {
        edit(&mut lie.pack.timestamp, |file| file.signatures.clear());
    }),
    anyone("an unsigned release", "signature_count", |lie| {
        edit(&mut lie.pack.release, |file| file.signatures.clear());
        lie.refer();
    }),
    anyone("an unsigned control document", "signature_count", |lie| {
        edit(&mut lie.pack.control, |file| file.signatures.clear());
        lie.refer();
    }),
    anyone("an unsigned root", "signature_count", |lie| {
        let mut root = next_root(&mut lie.world);
        edit(&mut root, |file| file.signatures.clear());
        lie.root(root);
    }),
    anyone("a stranger's timestamp", "below_threshold", |lie| {
        lie.pack.timestamp = by_stranger(Role::Timestamp, &lie.world.timestamp);
    }),
    anyone("a stranger's release", "below_threshold", |lie| {
        lie.pack.release = by_stranger(Role::Release, &lie.world.release);
        lie.refer();
    }),
    anyone("a stranger's control document", "below_threshold", |lie| {
        lie.pack.control = by_stranger(Role::Control, &lie.world.control);
        lie.refer();
    }),
    anyone("a stranger's root", "below_threshold", |lie| {
        lie.world.root_keys = vec![key(99)];
        lie.world.root.keys.extend(public([&key(99)]));
        lie.world.root.roles.root.keyids = ids(&lie.world.root_keys);
        let root = next_root(&mut lie.world);
        lie.root(root);
    }),
    anyone("a stranger under our key's id", "below_threshold", |lie| {
        lie.pack.timestamp = by_stranger(Role::Timestamp, &lie.world.timestamp);
        let known = lie.world.timestamp_keys[0].id();
        edit(&mut lie.pack.timestamp, |file| {
            file.signatures[0].keyid = known;
        });
    }),
    anyone(
        "a signature of another document",
        "below_threshold",
        |lie| {
            let other: EnvelopeFile = envelope(&lie.second.release);
            edit(&mut lie.pack.release, |file| {
                file.signatures = other.signatures;
            });
            lie.refer();
        },
    ),
    anyone(
        "a signature in a second spelling",
        "below_threshold",
        |lie| {
            edit(&mut lie.pack.timestamp, |file| {
                let signature = &mut file.signatures[0].sig;
                *signature = respelt(signature);
            });
        },
    ),
    anyone(
        "a signature of nothing but zeros",
        "below_threshold",
        |lie| {
            edit(&mut lie.pack.timestamp, |file| {
                file.signatures[0].sig = encoded(&[0; 64]);
            });
        },
    ),
    anyone(
        "a signature that is too short",
        "signature_malformed",
        |lie| {
            edit(&mut lie.pack.timestamp, |file| {
                file.signatures[0].sig = encoded(&[7; 63]);
            });
        },
    ),
    anyone("a key id in capitals", "signature_malformed", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            file.signatures[0].keyid = "ABCDEF0123456789".to_owned();
        });
    }),
    anyone("the same signature twice", "signature_duplicate", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            file.signatures.push(file.signatures[0].clone());
        });
    }),
    anyone("more signatures than are read", "signature_count", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            let more = |number: u8| SignatureEntry {
                keyid: format!("{number:016x}"),
                sig: encoded(&[number; 64]),
            };
            file.signatures.extend((0..16).map(more));
        });
    }),
    stolen("the online key signs a release", "below_threshold", |lie| {
        lie.pack.release = file(Role::Release, &lie.world.release, &lie.world.timestamp_keys);
        lie.refer();
    }),
    stolen(
        "the online key signs a control document",
        "below_threshold",
        |lie| {
            lie.pack.control = file(Role::Control, &lie.world.control, &lie.world.timestamp_keys);
            lie.refer();
        },
    ),
    stolen(
        "the release key signs a timestamp",
        "below_threshold",
        |lie| {
            lie.pack.timestamp = file(
                Role::Timestamp,
                &lie.world.timestamp,
                &lie.world.release_keys,
            );
        },
    ),
    stolen(
        "the control key signs a release",
        "below_threshold",
        |lie| {
            lie.pack.release = file(Role::Release, &lie.world.release, &lie.world.control_keys);
            lie.refer();
        },
    ),
    stolen(
        "all online keys sign the next root",
        "below_threshold",
        |lie| {
            lie.world.root.version += 1;
            let world = &lie.world;
            let keys = [11, 21, 31].map(key);
            let root = file(Role::Root, &world.root, &keys);
            lie.root(root);
        },
    ),
    stolen("the key that a root took away", "below_threshold", |lie| {
        lie.world.timestamp_keys = vec![key(11)];
        lie.reseal();
    })
    .on(Ground::Rotated),
    stolen(
        "the key taken away, beside the new one's id",
        "below_threshold",
        |lie| {
            let id = lie.world.timestamp_keys[0].id();
            lie.world.timestamp_keys = vec![key(11)];
            lie.reseal();
            edit(&mut lie.pack.timestamp, |file| {
                file.signatures[0].keyid = id;
            });
        },
    )
    .on(Ground::Rotated),
    stolen("one of two release keys", "below_threshold", |lie| {
        lie.world.release_keys.truncate(1);
        lie.reseal();
    })
    .on(Ground::Two),
    // What let one key reach any threshold elsewhere: RUSTSEC-2020-0024.
    stolen(
        "one of two release keys, twice",
        "signature_duplicate",
        |lie| {
            lie.world.release_keys = vec![key(21), key(21)];
            lie.reseal();
        },
    )
    .on(Ground::Two),
    stolen(
        "one of two release keys, under two ids",
        "below_threshold",
        |lie| {
            lie.world.release_keys = vec![key(21)];
            lie.reseal();
            let second = key(22).id();
            edit(&mut lie.pack.release, |file| {
                let mut again = file.signatures[0].clone();
                again.keyid = second;
                file.signatures.push(again);
            });
            lie.refer();
        },
    )
    .on(Ground::Two),
    stolen(
        "one release key and the online key",
        "below_threshold",
        |lie| {
            lie.world.release_keys = vec![key(21), key(11)];
            lie.reseal();
        },
    )
    .on(Ground::Two),
    stolen(
        "one release key and a broken signature",
        "below_threshold",
        |lie| {
            edit(&mut lie.pack.release, |file| {
                file.signatures[1].sig = encoded(&[3; 64]);
            });
            lie.refer();
        },
    )
    .on(Ground::Two),
    stolen(
        "two signatures, one of them stripped",
        "below_threshold",
        |lie| {
            edit(&mut lie.pack.release, |file| {
                file.signatures.truncate(1);
            });
            lie.refer();
        },
    )
    .on(Ground::Two),
];

const fn anyone(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(ArbitraryInstallation, name, refused, Tell::Lie(tell))
}

const fn stolen(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(KeyCompromise, name, refused, Tell::Lie(tell))
}

fn envelope(file: &[u8]) -> EnvelopeFile {
    serde_json::from_slice(file).expect("an envelope")
}

/// The same signature with the order of the group added to its second half:
/// a verifier that reduces it takes both.
fn respelt(signature: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = STANDARD.decode(signature).expect("base64");
    let mut carry = 0_u16;
    for (byte, more) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    encoded(&bytes)
}
