//! Which flags are on for a context?
//!
//! For clients that do not evaluate themselves. The answer is copied together
//! from pieces that were made with the snapshot: nothing is allocated, sorted
//! or serialised for a flag.

use serde_json::Value;

use super::{
    context::Context,
    reply::{Ingredients, Reply},
};
use crate::{
    evaluate::{FlagAsk, judge},
    http::Answer,
    server::error::{Fault, Missing},
    snapshot::flags::{Flag, Judged},
};

/// Which flags are told of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// Those that are on.
    On,
    /// All.
    All,
    /// One.
    Named(&'a str),
}

/// The answer for a context, which is complete.
pub(super) fn answer(
    reply: &Reply<'_>,
    context: &Context,
    scope: Scope<'_>,
) -> Result<Answer, Fault> {
    let snapshot = &reply.access.environment.snapshot;
    let (flags, key) = (&*snapshot.flags, reply.access.key);
    let ask = FlagAsk::of(flags, context.view(), reply.now);
    let is_chance = ask.may_draw(flags);
    let ask = match is_chance {
        true => ask.drawing(reply.edge.chance()),
        false => ask,
    };
    let evaluating = reply.edge.evaluating.as_ref();
    let counted = evaluating.and_then(|own| own.row(&snapshot.environment, &snapshot.flags));
    let count = |flag: &Flag, judged: &Judged<'_>| {
        if let Some(row) = &counted {
            row.count(flag, judged);
        }
    };
    let hash = (!is_chance).then(|| ingredients(reply, context, scope).hash());
    if let Scope::Named(name) = scope {
        let flag = flags.named(name).filter(|flag| key.sees(&flag.project));
        let flag = flag.ok_or_else(|| Missing::Flag {
            name: name.to_owned(),
            environment: snapshot.environment.to_string(),
        })?;
        let body = || {
            let judged = judge(flags, flag, &ask);
            count(flag, &judged);
            flag.toggle(&judged).to_vec()
        };
        return Ok(reply.unless_known(hash, body));
    }
    let tells_all = matches!(scope, Scope::All);
    Ok(reply.unless_known(hash, || {
        const HEAD: &[u8] = b"{\"toggles\":[";
        let mut body = Vec::with_capacity(HEAD.len() + flags.toggles_bytes_max() + 2);
        body.extend_from_slice(HEAD);
        for flag in flags.list().iter().filter(|flag| key.sees(&flag.project)) {
            let judged = judge(flags, flag, &ask);
            count(flag, &judged);
            if judged.enabled || tells_all {
                body.extend_from_slice(flag.toggle(&judged));
                body.push(b',');
            }
        }
        if body.len() > HEAD.len() {
            // The last comma.
            body.pop();
        }
        body.extend_from_slice(b"]}");
        body
    }))
}

/// Everything the answer depends on where chance decides nothing.
fn ingredients(reply: &Reply<'_>, context: &Context, scope: Scope<'_>) -> Ingredients {
    let mut own = match scope {
        Scope::On => Ingredients::of(reply.access, "on"),
        Scope::All => Ingredients::of(reply.access, "all"),
        Scope::Named(name) => {
            let mut own = Ingredients::of(reply.access, "named");
            own.add(name.as_bytes());
            own
        }
    };
    let asks = reply.access.environment.snapshot.flags.asks();
    if !asks.times.is_empty() {
        // Between two of these times nothing changes; at one of them it may.
        let now = i64::try_from(reply.now).unwrap_or(i64::MAX);
        let place = asks.times.binary_search(&now);
        let (passed, is_at) = place.map_or_else(|at| (at, false), |at| (at, true));
        own.add(&[&(passed as u64).to_le_bytes()[..], &[u8::from(is_at)]].concat());
    }
    let fields = asks.by_name.iter();
    for field in fields.filter_map(|place| asks.fields.get(*place)) {
        match context.value(field) {
            Some(Value::String(text)) => own.add(text.as_bytes()),
            // With a byte that no text has: a number is not its digits to
            // every constraint.
            Some(other) => own.add(format!("\u{0}{other}").as_bytes()),
            None => own.add(&[0xff]),
        }
    }
    own
}
