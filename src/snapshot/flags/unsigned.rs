//! What does an edge evaluate against that has flags and nothing else?
//!
//! A snapshot without flows, made of a file that the operator of the edge put
//! there. Nobody has signed it: whoever may write the file decides. So it is
//! made nowhere but where an operator asked for exactly that.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{FlagMark, FlagToken, Flags};
use crate::snapshot::{
    model::{AccessRules, BlockFlows, Revision, Snapshot, Unsigned},
    wire::EnvironmentType,
};

impl Snapshot {
    /// An environment with these flags, for the tokens that name it.
    pub fn of_unsigned_flags(
        environment: &str,
        revision: Revision,
        flags: &Arc<Flags>,
        tokens: &[FlagToken],
    ) -> Self {
        let tokens = tokens.iter();
        let own = tokens.filter(|token| token.environment() == environment);
        Self {
            environment: environment.into(),
            environment_uid: environment.into(),
            environment_type: EnvironmentType::Production,
            revision,
            drafts: false,
            deprecated: false,
            flows: FxHashMap::default(),
            flows_by_key: FxHashMap::default(),
            block_flows: BlockFlows::default(),
            deployments: Vec::new(),
            channels: FxHashMap::default(),
            flags: Arc::clone(flags),
            flag_mark: FlagMark::of_content(flags),
            takes_environments: true,
            keys: own.map(|token| token.key().clone()).collect(),
            access: AccessRules {
                unsigned: Unsigned::Refused,
                user_keys: Box::default(),
                refuse_force: true,
                browser_properties: Some(Box::default()),
            },
            set_aside: flags.set_aside().collect(),
        }
    }
}
