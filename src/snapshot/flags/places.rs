//! Where is what a flag came to counted?
//!
//! Every outcome of every flag has a number of its own, given out when the
//! flags are compiled: off, on without a variant, and each variant. Whoever
//! counts evaluations needs no more than a row as long as there are numbers.

use super::{Flag, Flags, Judged, Variant};

/// What a flag may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'f> {
    /// Off.
    Off,
    /// On, without a variant.
    On,
    /// On, with this variant.
    Variant(&'f str),
}

impl Flags {
    /// How many numbers there are.
    pub fn places(&self) -> usize {
        let last = self.list.last();
        last.map_or(0, |flag| {
            flag.first_place + 2 + flag.every_variant().count()
        })
    }

    /// Gives the numbers out.
    pub(super) fn number(list: &mut [Flag]) {
        let mut next = 0;
        for flag in list {
            flag.first_place = next;
            next += 2;
            let of_strategies = flag.strategies.iter_mut();
            let of_strategies = of_strategies.flat_map(|own| &mut own.variants.list);
            for variant in flag.variants.list.iter_mut().chain(of_strategies) {
                variant.place = next;
                next += 1;
            }
        }
    }
}

impl Flag {
    /// The number of what it came to.
    #[inline]
    pub fn place(&self, judged: &Judged<'_>) -> usize {
        match judged {
            Judged {
                variant: Some(variant),
                enabled: true,
            } => variant.place,
            Judged { enabled, .. } => self.first_place + usize::from(*enabled),
        }
    }

    /// All numbers of this flag, and what they stand for.
    pub fn outcomes(&self) -> impl Iterator<Item = (usize, Outcome<'_>)> {
        let plain = [Outcome::Off, Outcome::On].into_iter();
        let plain = (self.first_place..).zip(plain);
        let variants = self.every_variant();
        plain.chain(variants.map(|own| (own.place, Outcome::Variant(&own.name))))
    }

    fn every_variant(&self) -> impl Iterator<Item = &Variant> {
        let of_strategies = self.strategies.iter().flat_map(|own| &own.variants.list);
        self.variants.list.iter().chain(of_strategies)
    }
}
