//! How far has a flag come?
//!
//! Unleash's stages, from what is known at this moment: nothing is kept but
//! when a flag was switched on, and when somebody used it last. So a flag that
//! went live stays live after it is switched off, until it is completed.

use serde::Serialize;

use super::{Completion, Flag};
use crate::{clock::UnixMs, snapshot::wire::EnvironmentType, store::Workspace};

/// A stage of a flag's life, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It was made, and nothing more.
    Initial,
    /// It has been on somewhere.
    PreLive,
    /// Somebody uses it in production.
    Live,
    /// Somebody said how it ended.
    Completed,
    /// No edge gets it.
    Archived,
}

/// What the stage follows from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether it has been on in any environment.
    pub was_on: bool,
    /// Of each production environment where it has been on: since when, and
    /// when its use was told of last.
    pub production: Vec<(UnixMs, Option<UnixMs>)>,
    /// How it ended.
    pub completed: Option<Completion>,
    /// Whether it is archived.
    pub archived: bool,
}

impl Known {
    /// Of a flag; `seen` says when its use in an environment was told of last.
    /// It is asked for nothing that does not count.
    pub fn of<E>(
        workspace: &Workspace,
        flag: &Flag,
        seen: impl Fn(&str) -> Result<Option<UnixMs>, E>,
    ) -> Result<Self, E> {
        let on = flag.environments.iter();
        let on: Vec<(&String, UnixMs)> = on
            .filter_map(|(uid, own)| Some((uid, own.enabled_ms?)))
            .collect();
        let in_production = |uid: &str| {
            let environment = workspace.environment_by_uid(uid);
            environment.is_some_and(|own| own.kind == EnvironmentType::Production)
        };
        let production = on.iter().filter(|(uid, _)| in_production(uid));
        let production = production.map(|(uid, since)| Ok((*since, seen(uid)?)));
        Ok(Self {
            was_on: !on.is_empty(),
            production: production.collect::<Result<_, E>>()?,
            completed: flag.completed,
            archived: flag.archived_ms.is_some(),
        })
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        let is_used =
            |(since, seen): &(UnixMs, Option<UnixMs>)| seen.is_some_and(|at| at >= *since);
        if self.archived {
            Stage::Archived
        } else if self.completed.is_some() {
            Stage::Completed
        } else if self.production.iter().any(is_used) {
            Stage::Live
        } else if self.was_on {
            Stage::PreLive
        } else {
            Stage::Initial
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_follows_from_what_is_known() {
        let kept = Some(Completion::Kept);
        let discarded = Some(Completion::Discarded);
        for (was_on, production, completed, archived, expected) in [
            (false, vec![], None, false, Stage::Initial),
            (true, vec![], None, false, Stage::PreLive),
            // On in production, where nobody has used it yet.
            (true, vec![(5, None)], None, false, Stage::PreLive),
            // Used while it was off, by whoever asks for it in vain.
            (true, vec![(5, Some(4))], None, false, Stage::PreLive),
            (true, vec![(5, Some(5))], None, false, Stage::Live),
            (
                true,
                vec![(5, None), (5, Some(9))],
                None,
                false,
                Stage::Live,
            ),
            (true, vec![(5, Some(9))], kept, false, Stage::Completed),
            (false, vec![], discarded, false, Stage::Completed),
            (true, vec![(5, Some(9))], kept, true, Stage::Archived),
            (false, vec![], None, true, Stage::Archived),
        ] {
            let known = Known {
                was_on,
                production,
                completed,
                archived,
            };
            assert_eq!(known.stage(), expected, "{known:?}");
        }
    }

    #[test]
    fn only_production_counts_as_live() {
        let environment = |uid: &str, kind| crate::store::Environment {
            uid: uid.to_owned(),
            name: uid.to_owned(),
            kind,
            drafts: false,
            access: Default::default(),
            deprecated: false,
            confirm_changes: false,
        };
        let workspace = Workspace {
            environments: vec![
                environment("dev", EnvironmentType::Development),
                environment("prod", EnvironmentType::Production),
            ],
            ..Workspace::default()
        };
        let mut flag = Flag::new("new-cart", "shop", 1);
        let seen = |_: &str| Ok::<_, std::convert::Infallible>(Some(100));
        let stage = |flag: &Flag| Known::of(&workspace, flag, seen).unwrap().stage();
        assert_eq!(stage(&flag), Stage::Initial);
        flag.enable("dev", true, 10);
        assert_eq!(stage(&flag), Stage::PreLive);
        flag.enable("prod", true, 20);
        flag.enable("prod", false, 30);
        assert_eq!(stage(&flag), Stage::Live, "also after it was switched off");
        flag.enable("prod", true, 200);
        assert_eq!(flag.environments["prod"].enabled_ms, Some(20));
    }
}
