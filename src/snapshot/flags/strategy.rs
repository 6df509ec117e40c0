//! What does a strategy ask, and which variants does it lead to?
//!
//! The strategies that Unleash's clients know, with their parameters, which are
//! texts. One that nobody knows, or whose parameters make no sense, never
//! holds; the flag's other strategies still may.

use std::{borrow::Cow, num::NonZeroU32};

use serde_json::Value;

use super::{
    Choice, Rollout, Stickiness, Strategy, StrategyRule, Variant, Variants,
    compile::{Compiling, within},
    fragment,
};
use crate::{
    evaluate::{
        Salted,
        predicate::{Constraint, Predicate},
    },
    limits::{CONSTRAINT_VALUES_MAX, VARIANTS_MAX},
    snapshot::wire::{FlagPart, OverridePart, StrategyPart, VariantPart},
};

/// What a hash for choosing variants begins with, so that who is in a rollout
/// says nothing about the variant.
const VARIANT_SEED: u32 = 86_028_157;

const DEFAULT: &str = "default";
const RANDOM: &str = "random";
const USER_ID: &str = "userId";
const SESSION_ID: &str = "sessionId";

impl Compiling {
    /// One strategy of a flag.
    pub(super) fn strategy(
        &mut self,
        flag: &FlagPart,
        part: &StrategyPart,
    ) -> Result<Strategy, String> {
        let conditions = self.conditions(&flag.name, &part.constraints)?;
        let segments = part.segments.iter().map(|id| {
            let place = self.place(*id);
            place.ok_or_else(|| format!("found segment {id}, expected one that is there"))
        });
        let segments: Result<Box<[usize]>, String> = segments.collect();
        if let Err(why) = &segments {
            self.never(&flag.name, part, why);
        }
        let rule = self.rule(flag, part).unwrap_or_else(|why| {
            self.never(&flag.name, part, &why);
            StrategyRule::Never
        });
        let variants = self.variants_of_strategy(flag, part)?;
        Ok(Strategy {
            conditions,
            segments: segments.ok(),
            rule,
            variants,
        })
    }

    fn never(&mut self, flag: &str, part: &StrategyPart, why: &str) {
        let why = format!("strategy {:?} never holds: {why}", part.name);
        self.trouble(flag, why, false);
    }

    fn rule(&mut self, flag: &FlagPart, part: &StrategyPart) -> Result<StrategyRule, String> {
        Ok(match part.name.as_str() {
            DEFAULT => StrategyRule::Always,
            "userWithId" => self.among(part, "userIds", USER_ID, "IN")?,
            "remoteAddress" => self.among(part, "IPs", "remoteAddress", "IN_CIDR")?,
            "flexibleRollout" => {
                let group = parameter(part, "groupId").unwrap_or_else(|| flag.name.clone().into());
                let percent = percent(part, "rollout")?;
                let by = parameter(part, "stickiness");
                self.rollout(percent, by.as_deref(), &group)
            }
            "gradualRolloutUserId" => self.gradual(part, USER_ID)?,
            "gradualRolloutSessionId" => self.gradual(part, SESSION_ID)?,
            "gradualRolloutRandom" => {
                let percent = percent(part, "percentage")?;
                self.rollout(percent, Some(RANDOM), "")
            }
            // It asks for the name of the machine an application runs on, which
            // a proxy cannot know.
            "applicationHostname" => {
                return Err(
                    "found a question for the application's host, which stays unknown \
                            here, expected one of the context"
                        .to_owned(),
                );
            }
            unknown => {
                return Err(format!(
                    "found the strategy {unknown:?}, expected a known one"
                ));
            }
        })
    }

    /// A field is one of a list with commas.
    fn among(
        &mut self,
        part: &StrategyPart,
        list: &'static str,
        field: &str,
        operator: &str,
    ) -> Result<StrategyRule, String> {
        let values = needed(part, list)?;
        let values = values.split(',').map(str::trim).map(ToOwned::to_owned);
        let constraint = Constraint {
            context_name: field.to_owned(),
            operator: operator.to_owned(),
            values: values.collect(),
            ..Constraint::default()
        };
        within(list, constraint.values.len(), CONSTRAINT_VALUES_MAX)?;
        let place = self.asks_for(field);
        Ok(StrategyRule::Among(Predicate::constraint(
            &constraint,
            place,
        )))
    }

    /// A rollout of the older form.
    fn gradual(&mut self, part: &StrategyPart, field: &str) -> Result<StrategyRule, String> {
        let group = needed(part, "groupId")?;
        let percent = percent(part, "percentage")?;
        Ok(self.rollout(percent, Some(field), &group))
    }

    /// A share of all. Nobody needs to be drawn for to be among all or none.
    fn rollout(&mut self, percent: u32, by: Option<&str>, group: &str) -> StrategyRule {
        let stickiness = self.stickiness(by);
        match (&stickiness, percent) {
            (Stickiness::Field(_), _) => {}
            (_, 0) => return StrategyRule::Never,
            (_, 100) => return StrategyRule::Always,
            (Stickiness::Random, _) => self.draws.always = true,
            (Stickiness::Default { user, session }, _) => {
                self.draws.without_both = Some([*user, *session]);
            }
        }
        StrategyRule::Rollout(Rollout {
            percent,
            stickiness,
            group: Salted::of(0, &format!("{group}:")),
        })
    }

    fn stickiness(&mut self, name: Option<&str>) -> Stickiness {
        match name {
            None | Some("" | DEFAULT) => Stickiness::Default {
                user: self.asks_for(USER_ID),
                session: self.asks_for(SESSION_ID),
            },
            Some(RANDOM) => Stickiness::Random,
            Some(field) => Stickiness::Field(self.asks_for(field)),
        }
    }

    /// Those of a strategy, who goes by the strategy's stickiness and group.
    fn variants_of_strategy(
        &mut self,
        flag: &FlagPart,
        part: &StrategyPart,
    ) -> Result<Variants, String> {
        let by = parameter(part, "stickiness");
        let group = parameter(part, "groupId").unwrap_or_else(|| flag.name.clone().into());
        self.variants(flag, &part.variants, by.as_deref(), &group)
    }

    /// Those of a flag, who have overrides as well.
    pub(super) fn variants_of_flag(&mut self, flag: &FlagPart) -> Result<Variants, String> {
        let by = flag.variants.first().and_then(|own| own.stickiness.clone());
        let mut variants = self.variants(flag, &flag.variants, by.as_deref(), &flag.name)?;
        let overrides = flag.variants.iter().enumerate();
        let overrides = overrides.flat_map(|(at, own)| own.overrides.iter().map(move |o| (o, at)));
        let overrides = overrides.map(|(part, at)| Ok((self.overridden(part)?, at)));
        variants.overrides = overrides.collect::<Result<_, String>>()?;
        Ok(variants)
    }

    fn overridden(&mut self, part: &OverridePart) -> Result<Predicate, String> {
        within("values", part.values.len(), CONSTRAINT_VALUES_MAX)?;
        let place = self.asks_for(&part.context_name);
        let constraint = Constraint {
            context_name: part.context_name.clone(),
            operator: "IN".to_owned(),
            values: part.values.clone(),
            ..Constraint::default()
        };
        Ok(Predicate::constraint(&constraint, place))
    }

    /// What choosing one of these goes by. Who lacks it is drawn for, unless
    /// there is only one to draw.
    fn choice_by(&mut self, by: Option<&str>, parts: &[VariantPart]) -> Stickiness {
        let stickiness = self.stickiness(by);
        if parts.iter().filter(|part| part.weight > 0).count() > 1 {
            match stickiness {
                Stickiness::Default { user, session } => {
                    self.draws.without_both = Some([user, session]);
                }
                Stickiness::Field(field) => {
                    self.draws.without_any.insert(field);
                }
                Stickiness::Random => self.draws.always = true,
            }
        }
        stickiness
    }

    fn variants(
        &mut self,
        flag: &FlagPart,
        parts: &[VariantPart],
        by: Option<&str>,
        group: &str,
    ) -> Result<Variants, String> {
        within("variants", parts.len(), VARIANTS_MAX)?;
        let mut weights: u32 = 0;
        for part in parts {
            let sum = weights.checked_add(part.weight);
            weights = sum.ok_or("found weights beyond 32 bits, expected a sum such as 1000")?;
        }
        let list = parts.iter().map(|part| {
            let shown = (part.name.as_str(), part.payload.as_ref());
            Variant {
                name: part.name.as_str().into(),
                weight: part.weight,
                place: 0,
                on: fragment::toggle(&flag.name, true, Some(shown), flag.impression_data),
            }
        });
        let choice = NonZeroU32::new(weights).map(|weights| Choice {
            weights,
            stickiness: self.choice_by(by, parts),
            group: Salted::of(VARIANT_SEED, &format!("{group}:")),
        });
        Ok(Variants {
            list: list.collect(),
            choice,
            overrides: Box::default(),
        })
    }
}

/// A parameter as text; numbers and booleans are what they are written as.
fn parameter<'p>(part: &'p StrategyPart, name: &str) -> Option<Cow<'p, str>> {
    match part.parameters.get(name)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        other @ (Value::Number(_) | Value::Bool(_)) => Some(Cow::Owned(other.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn needed<'p>(part: &'p StrategyPart, name: &'static str) -> Result<Cow<'p, str>, String> {
    parameter(part, name).ok_or_else(|| format!("found no {name}, expected it as a text"))
}

fn percent(part: &StrategyPart, name: &'static str) -> Result<u32, String> {
    let text = needed(part, name)?;
    let percent = text.trim().parse().ok().filter(|percent| *percent <= 100);
    percent.ok_or_else(|| format!("found {name} {text:?}, expected a whole number from 0 to 100"))
}
