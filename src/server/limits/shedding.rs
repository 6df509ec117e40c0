//! Is this worker behind, and what is given up first?
//!
//! A worker is behind when work that is ready waits too long for its turn.
//! What counts is the *shortest* wait of a while: a burst that is worked off
//! leaves short waits in it, a standing queue does not (after CoDel, RFC 8289,
//! section 4.2). Behind for a while, one more class is given up; well below
//! for a while, one is taken back. Pure: the time is given.

use super::Class;

/// The while: long against one slice of a scheduler, short against the patience
/// of a client.
const WHILE_MS: u64 = 200;

/// What one worker knows of its waits.
#[derive(Debug)]
pub(super) struct Shedding {
    /// Longest wait that is no reason to give anything up; 0 switches it off.
    wait_ms_max: u64,
    /// Classes given up, the first ones first.
    level: u8,
    since_ms: u64,
    shortest_ms: Option<u64>,
}

impl Shedding {
    pub(super) fn new(wait_ms_max: u64) -> Self {
        Self {
            wait_ms_max,
            level: 0,
            since_ms: 0,
            shortest_ms: None,
        }
    }

    /// Whether it looks at waits at all.
    pub(super) fn is_on(&self) -> bool {
        self.wait_ms_max > 0
    }

    /// Notes how long something ready has waited, and says how many classes
    /// are given up from now on.
    pub(super) fn waited(&mut self, now_ms: u64, wait_ms: u64) -> u8 {
        let shortest = self.shortest_ms.map_or(wait_ms, |known| known.min(wait_ms));
        if now_ms.saturating_sub(self.since_ms) < WHILE_MS {
            self.shortest_ms = Some(shortest);
            return self.level;
        }
        if shortest > self.wait_ms_max {
            self.level = (self.level + 1).min(Class::ALL.len() as u8);
        } else if shortest <= self.wait_ms_max / 2 {
            // Between the two nothing changes, or the level would swing.
            self.level = self.level.saturating_sub(1);
        }
        self.since_ms = now_ms;
        self.shortest_ms = None;
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that looks every 10 ms and finds these waits, one a look.
    fn levels(waits: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut shedding = Shedding::new(50);
        let mut now = 1_000;
        let looks = waits.into_iter().map(|wait| {
            now += 10;
            shedding.waited(now, wait)
        });
        looks.collect()
    }

    #[test]
    fn a_standing_queue_costs_one_class_after_the_other() {
        let levels = levels(std::iter::repeat_n(80, 200));
        let mut steps = levels.clone();
        steps.dedup();
        // The very first while began long ago, so it ends with the first look.
        assert_eq!(steps, [1, 2, 3, 4, 5], "in order, and none is skipped");
        let first = levels
            .iter()
            .position(|level| *level == 2)
            .expect("a second");
        assert!(first >= 19, "a while passes between two: {first}");
    }

    #[test]
    fn a_burst_that_is_worked_off_costs_nothing() {
        let bursts = (0..1_000).map(|look| if look % 19 == 0 { 3 } else { 400 });
        let levels = levels(std::iter::once(0).chain(bursts));
        assert!(levels.iter().all(|level| *level == 0), "{levels:?}");
    }

    #[test]
    fn what_was_given_up_is_taken_back_step_by_step() {
        let queue = std::iter::repeat_n(80, 200);
        let between = std::iter::repeat_n(40, 200);
        let calm = std::iter::repeat_n(5, 200);
        let levels = levels(queue.chain(between).chain(calm));
        assert_eq!(levels[199], 5);
        assert_eq!(levels[399], 5, "nothing swings between the two bounds");
        let mut steps = levels[399..].to_vec();
        steps.dedup();
        assert_eq!(steps, [5, 4, 3, 2, 1, 0]);
    }
}
