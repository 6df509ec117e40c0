//! Is it what was signed, and can it be read in one way only?

use super::{
    Aim::{ArbitraryInstallation, EndlessData, SlowRetrieval},
    Attack, Lie, Refused, Tell,
    scene::{edit, edit_payload, next_root, sign_payload},
};
use crate::{
    limits::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX},
    snapshot::envelope::Role,
};

pub(super) const ATTACKS: &[Attack] = &[
    altered(
        "a timestamp altered under its signature",
        "below_threshold",
        |lie| {
            edit_payload(&mut lie.pack.timestamp, "\"revision\":3", "\"revision\":4");
        },
    ),
    altered(
        "a release altered under its signature",
        "below_threshold",
        |lie| {
            edit_payload(&mut lie.pack.release, "\"version\":3", "\"version\":4");
            lie.refer();
        },
    ),
    altered(
        "a control document altered under its signature",
        "below_threshold",
        |lie| {
            edit_payload(
                &mut lie.pack.control,
                "\"revoked_keys\":[]",
                "\"revoked_keys\":[ ]",
            );
            lie.refer();
        },
    ),
    altered(
        "a root altered under its signature",
        "below_threshold",
        |lie| {
            let mut root = next_root(&mut lie.world);
            edit_payload(&mut root, "\"threshold\":1", "\"threshold\":1 ");
            lie.root(root);
        },
    ),
    altered(
        "a control document as a release",
        "wrong_payload_type",
        |lie| {
            lie.pack.release = lie.pack.control.clone();
            lie.refer();
        },
    ),
    altered("a release as a timestamp", "wrong_payload_type", |lie| {
        lie.pack.timestamp = lie.pack.release.clone();
    }),
    altered("a root as a timestamp", "wrong_payload_type", |lie| {
        lie.pack.timestamp = lie.world.root_file();
    }),
    altered("a timestamp as a root", "wrong_payload_type", |lie| {
        lie.root(lie.pack.timestamp.clone());
    })
    // Which version a pack's root claims is looked at first.
    .at_boot(Refused("document_malformed")),
    altered("a type of another version", "wrong_payload_type", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            file.payload_type = file.payload_type.replace("v=1", "v=2");
        });
    }),
    altered("a payload in another alphabet", "envelope_payload", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            file.payload.insert(4, '-');
        });
    }),
    altered("a payload with line breaks", "envelope_payload", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            file.payload.insert_str(4, "\r\n");
        });
    }),
    altered("a payload without its padding", "envelope_payload", |lie| {
        edit(&mut lie.pack.timestamp, |file| {
            // Any length but a multiple of four.
            file.payload.truncate(file.payload.len() - 3);
        });
    }),
    altered(
        "an envelope with a member twice",
        "envelope_malformed",
        |lie| {
            prefix(&mut lie.pack.timestamp, "{\"payload\":\"e30=\",");
        },
    ),
    altered(
        "an envelope with a member too many",
        "envelope_malformed",
        |lie| {
            prefix(&mut lie.pack.timestamp, "{\"trusted\":true,");
        },
    ),
    altered(
        "an envelope behind a byte order mark",
        "envelope_malformed",
        |lie| {
            lie.pack.timestamp.splice(0..0, *b"\xef\xbb\xbf");
        },
    ),
    altered("an envelope that is no text", "envelope_malformed", |lie| {
        lie.pack.timestamp[1] = 0xff;
    }),
    altered("two envelopes in one file", "envelope_malformed", |lie| {
        let second = lie.second.timestamp.clone();
        lie.pack.timestamp.extend_from_slice(&second);
    }),
    altered("no file at all", "envelope_malformed", |lie| {
        lie.pack.timestamp.clear();
    })
    .at_boot(Refused("pack_section_missing")),
    altered(
        "a page of somebody's network",
        "envelope_malformed",
        |lie| {
            lie.pack.timestamp = b"<html>Sign in to the hotel's network</html>".to_vec();
        },
    ),
    altered(
        "an envelope nested without end",
        "envelope_malformed",
        |lie| {
            let depth = DOCUMENT_DEPTH_MAX + 1;
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            prefix(&mut lie.pack.timestamp, &format!("{{\"x\":{deep},"));
        },
    ),
    altered(
        "a signed timestamp with a member twice",
        "document_malformed",
        |lie| {
            let keys = &lie.world.timestamp_keys;
            let file = (Role::Timestamp, &mut lie.pack.timestamp);
            sign_payload(file, ("{", "{\"serial\":9,"), keys);
        },
    ),
    altered(
        "a signed release with a member twice",
        "document_malformed",
        |lie| {
            let keys = &lie.world.release_keys;
            let file = (Role::Release, &mut lie.pack.release);
            sign_payload(file, ("{", "{\"version\":9,"), keys);
            lie.refer();
        },
    ),
    altered(
        "a signed control document with a member twice",
        "document_malformed",
        |lie| {
            let keys = &lie.world.control_keys;
            let file = (Role::Control, &mut lie.pack.control);
            sign_payload(file, ("{", "{\"disabled_flows\":[\"a\"],"), keys);
            lie.refer();
        },
    ),
    altered(
        "a member twice, spelt in two ways",
        "document_malformed",
        |lie| {
            let keys = &lie.world.timestamp_keys;
            let file = (Role::Timestamp, &mut lie.pack.timestamp);
            sign_payload(file, ("{", "{\"s\\u0065rial\":9,"), keys);
        },
    ),
    altered(
        "a signed document nested without end",
        "document_malformed",
        |lie| {
            let depth = DOCUMENT_DEPTH_MAX + 1;
            let deep = format!("{{\"x\":{}{},", "[".repeat(depth), "]".repeat(depth));
            let keys = &lie.world.timestamp_keys;
            let file = (Role::Timestamp, &mut lie.pack.timestamp);
            sign_payload(file, ("{", &deep), keys);
        },
    ),
    altered(
        "a signed document of the wrong shape",
        "document_malformed",
        |lie| {
            let keys = &lie.world.timestamp_keys;
            let file = (Role::Timestamp, &mut lie.pack.timestamp);
            sign_payload(file, ("\"epoch\":0", "\"epoch\":-1"), keys);
        },
    ),
    endless("a timestamp without end", "envelope_too_long", |lie| {
        lie.pack.timestamp.resize(DOCUMENT_BYTES_MAX + 1, b' ');
    })
    .at_boot(Refused("pack_section_too_long")),
    endless("a root without end", "envelope_too_long", |lie| {
        let mut root = next_root(&mut lie.world);
        root.resize(DOCUMENT_BYTES_MAX + 1, b' ');
        lie.root(root);
    })
    .at_boot(Refused("pack_section_too_long")),
    endless("a release longer than announced", "wrong_length", |lie| {
        lie.pack.release.extend_from_slice(&[b' '; 4_096]);
    }),
    endless(
        "a control document longer than announced",
        "wrong_length",
        |lie| {
            lie.pack.control.push(b' ');
        },
    ),
    endless(
        "a length that nothing may have",
        "reference_malformed",
        |lie| {
            lie.world.timestamp.release.length = DOCUMENT_BYTES_MAX as u64 + 1;
            lie.pack.timestamp = lie.world.timestamp_file();
        },
    ),
    endless("a length without end", "reference_malformed", |lie| {
        lie.world.timestamp.control.length = u64::MAX;
        lie.pack.timestamp = lie.world.timestamp_file();
    }),
    slow("a timestamp that breaks off", "envelope_malformed", |lie| {
        lie.pack.timestamp.truncate(100);
    }),
    slow("a release that breaks off", "wrong_length", |lie| {
        lie.pack.release.truncate(100);
    }),
    slow(
        "a control document without its last byte",
        "wrong_length",
        |lie| {
            lie.pack.control.pop();
        },
    ),
    slow("a root that breaks off", "envelope_malformed", |lie| {
        let mut root = next_root(&mut lie.world);
        root.truncate(100);
        lie.root(root);
    }),
];

const fn altered(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(ArbitraryInstallation, name, refused, Tell::Lie(tell))
}

const fn endless(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(EndlessData, name, refused, Tell::Lie(tell))
}

/// What is left of an answer that came too slowly to be waited for.
const fn slow(name: &'static str, refused: &'static str, tell: fn(&mut Lie)) -> Attack {
    Attack::new(SlowRetrieval, name, refused, Tell::Lie(tell))
}

/// Puts this in the place of the brace a file begins with.
fn prefix(file: &mut Vec<u8>, begin: &str) {
    file.splice(0..1, begin.bytes());
}
