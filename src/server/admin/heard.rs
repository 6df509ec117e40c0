//! What is measured of those who wait for changes?
//!
//! Streams, sockets and their events, the wakes behind them, tickets, tokens,
//! and the calls by which users are read.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{
    progress::{Progress, TOKEN_OUTCOMES},
    server::protocol::{
        dopt::{ENDING_NAMES, PUSHED_NAMES, Sockets},
        flows::{Changes, EVENT_NAMES},
        unleash::{ENDING_NAMES as FLAG_ENDING_NAMES, TOLD_NAMES},
    },
};

/// What is looked up at the scrape.
pub(in crate::server) struct Heard {
    pub(in crate::server) changes: Changes,
    pub(in crate::server) sockets: Sockets,
    pub(in crate::server) progress: Progress,
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heard").finish_non_exhaustive()
    }
}

impl Collector for Heard {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.changes.counts();
        let open = i64::try_from(self.changes.open()).unwrap_or(i64::MAX);
        let help = "Streams of changes and of flags now open";
        let family = encoder.encode_descriptor("streams_open", help, None, MetricType::Gauge)?;
        ConstGauge::<i64>::new(open).encode(family)?;
        let listening = self.progress.listening();
        for (name, help, value) in [
            (
                "streams_refused",
                "Streams of changes refused because there were enough",
                counts.streams_refused(),
            ),
            ("listener_wakes", "Listeners woken", listening.wakes),
            (
                "listener_wakes_coalesced",
                "Wakes of listeners that had not looked since the last one",
                listening.coalesced,
            ),
        ] {
            let family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(family)?;
        }
        let help = "Tokens that clients showed";
        let tokens = TOKEN_OUTCOMES.into_iter().zip(self.progress.tokens());
        by_label(&mut encoder, ("tokens_shown", help), "outcome", tokens)?;
        let reads = self.progress.reads();
        let help = "Calls to upstream for users, by how many they asked for at the most";
        let mut family =
            encoder.encode_descriptor("user_calls", help, None, MetricType::Counter)?;
        for (size, value) in reads.calls {
            let labels = [("users_max", size.to_string())];
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        let help = "Users asked for";
        let family = encoder.encode_descriptor("users_read", help, None, MetricType::Counter)?;
        ConstCounter::new(reads.users).encode(family)?;
        let help = "Events told on streams of changes";
        let told = EVENT_NAMES.into_iter().zip(counts.events());
        by_label(&mut encoder, ("stream_events", help), "event", told)?;
        let help = "Tickets for streams of changes";
        let tickets = ["given", "refused"].into_iter().zip(counts.tickets());
        by_label(&mut encoder, ("stream_tickets", help), "outcome", tickets)?;
        let flags = self.changes.flag_counts();
        let help = "Answers told on streams of flags, by what was in them";
        let told = TOLD_NAMES.into_iter().zip(flags.told());
        by_label(&mut encoder, ("flag_stream_events", help), "event", told)?;
        let help = "Streams of flags that ended, by how";
        let ended = FLAG_ENDING_NAMES.into_iter().zip(flags.endings());
        by_label(&mut encoder, ("flag_stream_ends", help), "how", ended)?;
        self.sockets(&mut encoder)
    }
}

impl Heard {
    fn sockets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.sockets.counts();
        let open = i64::try_from(counts.open()).unwrap_or(i64::MAX);
        let help = "Sockets of Dopt's clients now open";
        let family = encoder.encode_descriptor("sockets_open", help, None, MetricType::Gauge)?;
        ConstGauge::<i64>::new(open).encode(family)?;
        let help = "Events pushed to sockets";
        let pushed = PUSHED_NAMES.into_iter().zip(counts.events());
        by_label(encoder, ("socket_events", help), "event", pushed)?;
        let help = "Sockets that ended, by how";
        let ended = ENDING_NAMES.into_iter().zip(counts.endings());
        by_label(encoder, ("socket_ends", help), "how", ended)
    }
}

/// A counter for each value of one label.
fn by_label(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &str,
    values: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (word, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&[(label, word)])?)?;
    }
    Ok(())
}
