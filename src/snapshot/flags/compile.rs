//! What becomes of a document of flags?
//!
//! Everything a request would otherwise do again: constraints and patterns are
//! compiled, names sorted, dependencies found, answers serialised. What cannot
//! be made sense of is a [`FlagTrouble`]: a flag of wrong types is set aside, a
//! constraint or strategy nobody understands never holds.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Asks, Dependency, Draws, Flag, FlagTrouble, Flags, FlagsDocument, Segment, Variant, fragment,
    inline::Inlined,
};
use crate::{
    evaluate::predicate::{Constraint, Predicate},
    limits::{
        CONSTRAINT_VALUES_MAX, CONSTRAINTS_PER_STRATEGY_MAX, DEPENDENCIES_PER_FLAG_MAX,
        FLAG_NAME_BYTES_MAX, STRATEGIES_PER_FLAG_MAX,
    },
    snapshot::{
        name_hash,
        wire::{ConstraintPart, DependencyPart, FlagPart, SegmentPart},
    },
};

/// The project of a flag that names none.
const PROJECT_DEFAULT: &str = "default";

impl Flags {
    /// Compiles a document. There is always a result: what is wrong with a flag
    /// stands among its [`troubles`](Self::troubles).
    pub fn compile(document: &FlagsDocument) -> Self {
        Self::of(document.features().iter(), document.segments().iter())
    }

    /// The same of flags and segments wherever they lie.
    pub(in crate::snapshot) fn of<'v>(
        features: impl Iterator<Item = &'v Value>,
        segments: impl Iterator<Item = &'v Value>,
    ) -> Self {
        let mut compiling = Compiling::default();
        segments.for_each(|value| compiling.segment(value));
        let mut flags: Vec<(Flag, Vec<DependencyPart>)> = Vec::new();
        let mut names = FxHashSet::default();
        for value in features {
            let name = name_of(value);
            let made = match names.insert(name) {
                true => compiling.flag(value),
                false => Err("found a second flag of this name, expected one".to_owned()),
            };
            match made {
                Ok(made) => flags.push(made),
                Err(why) => compiling.trouble(name, why, true),
            }
        }
        flags.sort_unstable_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        let mut list = linked(flags);
        Self::number(&mut list);
        note_projects(&mut compiling.segments, &list);
        let bytes = list.iter().map(|flag| flag.bytes_max() + 1).sum();
        Self {
            fingerprint: fingerprint(&list, &compiling.segments),
            list,
            segments: compiling.segments.into(),
            places: compiling.places,
            troubles: compiling.troubles.into(),
            asks: compiling.fields.asks(compiling.times, compiling.draws),
            toggles_bytes_max: bytes,
        }
    }
}

/// What is gathered on the way.
#[derive(Default)]
pub(super) struct Compiling {
    segments: Vec<Segment>,
    /// Places of segments by their ids.
    places: FxHashMap<i64, usize>,
    troubles: Vec<FlagTrouble>,
    fields: Fields,
    times: BTreeSet<i64>,
    pub(super) draws: DrawsSeen,
}

/// What may make chance decide; fields by their places.
#[derive(Default)]
pub(super) struct DrawsSeen {
    pub(super) always: bool,
    pub(super) without_both: Option<[usize; 2]>,
    pub(super) without_any: BTreeSet<usize>,
}

/// Fields of the context by their names; whichever is asked for first has the
/// first place.
#[derive(Default)]
struct Fields(BTreeMap<Box<str>, usize>);

impl Fields {
    fn place(&mut self, name: &str) -> usize {
        let free = self.0.len();
        match self.0.get(name) {
            Some(place) => *place,
            None => *self.0.entry(name.into()).or_insert(free),
        }
    }

    /// With them, what evaluating may ask of a request.
    fn asks(self, times: BTreeSet<i64>, draws: DrawsSeen) -> Asks {
        let by_name = self.0.values().copied().collect();
        let mut fields: Vec<(usize, Box<str>)> =
            self.0.into_iter().map(|(name, at)| (at, name)).collect();
        fields.sort_unstable();
        Asks {
            fields: fields.into_iter().map(|(_, name)| name).collect(),
            by_name,
            times: times.into_iter().collect(),
            draws: Draws {
                always: draws.always,
                without_both: draws.without_both,
                without_any: draws.without_any.into_iter().collect(),
            },
        }
    }
}

impl Compiling {
    fn segment(&mut self, value: &Value) {
        let name = value.get("id").map_or_else(
            || "segment without id".to_owned(),
            |id| format!("segment {id}"),
        );
        let part = match SegmentPart::deserialize(value) {
            Ok(part) => part,
            Err(error) => return self.trouble(&name, error.to_string(), true),
        };
        match self.conditions(&name, &part.constraints) {
            Ok(conditions) => {
                // As with members of objects, the last one counts.
                self.places.insert(part.id, self.segments.len());
                self.segments.push(Segment {
                    id: part.id,
                    projects: Box::default(),
                    conditions,
                    source: fragment::source(value),
                    constraints: fragment::elements(value.get("constraints")),
                });
            }
            Err(why) => self.trouble(&name, why, true),
        }
    }

    /// One flag, and what it depends on, which needs the others.
    fn flag(&mut self, value: &Value) -> Result<(Flag, Vec<DependencyPart>), String> {
        let part = FlagPart::deserialize(value).map_err(|error| error.to_string())?;
        let (name, length) = (part.name.as_str(), part.name.len());
        if length == 0 || length > FLAG_NAME_BYTES_MAX {
            return Err(format!(
                "found a name of {length} bytes, expected 1 to {FLAG_NAME_BYTES_MAX}"
            ));
        }
        within("strategies", part.strategies.len(), STRATEGIES_PER_FLAG_MAX)?;
        let dependencies = part.dependencies.len();
        within("dependencies", dependencies, DEPENDENCIES_PER_FLAG_MAX)?;
        let strategies = part.strategies.iter();
        let strategies = strategies.map(|strategy| self.strategy(&part, strategy));
        let strategies = strategies.collect::<Result<_, _>>()?;
        let variants = self.variants_of_flag(&part)?;
        let referred = part.strategies.iter().flat_map(|own| &own.segments);
        let refers: BTreeSet<usize> = referred.filter_map(|id| self.place(*id)).collect();
        let with_constraints = |id: i64| {
            let place = self.place(id)?;
            let segment = self.segments.get(place)?;
            Some((place, !segment.constraints.is_empty()))
        };
        let toggle = |enabled| fragment::toggle(name, enabled, None, part.impression_data);
        let flag = Flag {
            name: name.into(),
            project: part.project.as_deref().unwrap_or(PROJECT_DEFAULT).into(),
            key: name_hash(name),
            first_place: 0,
            enabled: part.enabled,
            dependencies: Box::default(),
            strategies,
            variants,
            refers: refers.into_iter().collect(),
            source: fragment::source(value),
            inlined: Inlined::of(value, with_constraints),
            on: toggle(true),
            off: toggle(false),
        };
        Ok((flag, part.dependencies))
    }

    /// Constraints of something by this name.
    pub(super) fn conditions(
        &mut self,
        name: &str,
        parts: &[ConstraintPart],
    ) -> Result<Box<[Predicate]>, String> {
        within("constraints", parts.len(), CONSTRAINTS_PER_STRATEGY_MAX)?;
        parts
            .iter()
            .map(|part| self.condition(name, part))
            .collect()
    }

    fn condition(&mut self, name: &str, part: &ConstraintPart) -> Result<Predicate, String> {
        within("values", part.values.len(), CONSTRAINT_VALUES_MAX)?;
        let constraint = Constraint {
            context_name: part.context_name.clone(),
            operator: part.operator.clone(),
            value: part.value.clone(),
            values: part.values.clone(),
            inverted: part.inverted,
            case_insensitive: part.case_insensitive,
        };
        if let Some(why) = constraint.fault() {
            let why = format!("a constraint on {} never holds: {why}", part.context_name);
            self.trouble(name, why, false);
        }
        self.times.extend(constraint.turns_at());
        let place = self.asks_for(&part.context_name);
        Ok(Predicate::constraint(&constraint, place))
    }

    /// The place of a segment.
    pub(super) fn place(&self, id: i64) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// Notes that a field of the context may count, and gives it its place.
    pub(super) fn asks_for(&mut self, field: &str) -> usize {
        self.fields.place(field)
    }

    pub(super) fn trouble(&mut self, what: &str, why: String, set_aside: bool) {
        self.troubles.push(FlagTrouble {
            what: what.into(),
            why,
            set_aside,
        });
    }
}

/// The name of a flag that may be no flag.
fn name_of(value: &Value) -> &str {
    let name = value.get("name").and_then(Value::as_str);
    name.unwrap_or("flag without name")
}

/// Flags with those they depend on. A flag that depends on others satisfies
/// nobody, so there are no chains and no circles.
fn linked(flags: Vec<(Flag, Vec<DependencyPart>)>) -> Box<[Flag]> {
    let link = |part: &DependencyPart| {
        let place = flags.binary_search_by(|(flag, _)| (*flag.name).cmp(&part.feature));
        let leaf = place.ok().filter(|place| {
            let parent = flags.get(*place);
            parent.is_some_and(|(_, further)| further.is_empty())
        });
        match leaf {
            None => Dependency::Never,
            Some(place) if part.enabled == Some(false) => Dependency::Off(place),
            Some(place) => {
                let variants = part.variants.iter().map(|name| name.as_str().into());
                Dependency::On(place, variants.collect())
            }
        }
    };
    let links: Vec<Box<[Dependency]>> = flags
        .iter()
        .map(|(_, parts)| parts.iter().map(link).collect())
        .collect();
    let linked = flags.into_iter().zip(links);
    let linked = linked.map(|((flag, _), dependencies)| Flag {
        dependencies,
        ..flag
    });
    linked.collect()
}

/// Notes which projects use a segment.
fn note_projects(segments: &mut [Segment], flags: &[Flag]) {
    let mut projects: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); segments.len()];
    for flag in flags {
        for place in &flag.refers {
            if let Some(own) = projects.get_mut(*place) {
                own.insert(&flag.project);
            }
        }
    }
    for (segment, own) in segments.iter_mut().zip(projects) {
        segment.projects = own.into_iter().map(Into::into).collect();
    }
}

/// Over everything that decides, by what it was written as.
fn fingerprint(flags: &[Flag], segments: &[Segment]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let sources = segments.iter().map(|segment| &segment.source);
    for source in flags.iter().map(|flag| &flag.source).chain(sources) {
        hash.update((source.len() as u64).to_le_bytes());
        hash.update(source);
    }
    hash.finalize().into()
}

/// Refuses more than there may be.
pub(super) fn within(what: &str, found: usize, expected: usize) -> Result<(), String> {
    if found > expected {
        return Err(format!("found {found} {what}, expected at most {expected}"));
    }
    Ok(())
}

impl Flag {
    /// The longest answer about it.
    fn bytes_max(&self) -> usize {
        let of_strategies = self.strategies.iter().flat_map(|own| &own.variants.list);
        let variants = self.variants.list.iter().chain(of_strategies);
        let with_variant = variants.map(Variant::bytes).max().unwrap_or_default();
        with_variant.max(self.on.len()).max(self.off.len())
    }
}
