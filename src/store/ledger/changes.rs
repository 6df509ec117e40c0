//! What changed since an edge asked last?
//!
//! A cursor is `<ledger id>-<position>`. One of another ledger, or from before
//! the oldest change that is kept, answers with a gap: then everything may
//! have changed. Waiting for news is here too, for all who ask.

use std::time::Duration;

use tokio::{sync::watch, time};

use crate::{progress::event::Changes, store::engine::ChangeRows};

/// The shortest time between two looks of one who waits: news that comes in
/// bursts is read in one look, and is not noticeably later for it.
const BREATH: Duration = Duration::from_millis(20);

/// A text that no ledger gave out as a cursor.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cursor (expected one from an earlier answer)")]
pub struct CursorError(pub(crate) String);

/// A cursor, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor<'a> {
    ledger: &'a str,
    /// Everything up to here is known.
    pub(crate) position: u64,
}

impl<'a> Cursor<'a> {
    /// Reads a cursor.
    pub(crate) fn read(text: &'a str) -> Result<Self, CursorError> {
        let malformed = || CursorError(text.chars().take(100).collect());
        let (ledger, number) = text.rsplit_once('-').ok_or_else(malformed)?;
        let named = !ledger.is_empty() && ledger.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if !named || !digits {
            return Err(malformed());
        }
        let position = number.parse().map_err(|_| malformed())?;
        Ok(Self { ledger, position })
    }
}

/// The answer to a cursor (none: from now on), out of the rows that stand
/// after its position.
pub(crate) fn answer(cursor: Option<Cursor<'_>>, found: ChangeRows) -> Changes {
    let at = |position: u64| format!("{}-{position}", found.ledger);
    let Some(cursor) = cursor else {
        return Changes {
            cursor: at(found.last),
            ..Changes::default()
        };
    };
    let is_kept = cursor.position <= found.last && cursor.position.saturating_add(1) >= found.first;
    if cursor.ledger != found.ledger || !is_kept {
        return Changes {
            cursor: at(found.last),
            gap: true,
            changes: Vec::new(),
        };
    }
    let reached = found.rows.last().map_or(cursor.position, |(at, _)| *at);
    Changes {
        cursor: at(reached),
        gap: false,
        changes: found.rows.into_iter().map(|(_, change)| change).collect(),
    }
}

/// Asks at once, and again whenever a batch was taken, until there is news or
/// the time is over. Without a cursor there is nothing to wait for: changes
/// from now on need one first.
pub(crate) async fn until_news<F, E>(
    mut taken: watch::Receiver<u64>,
    cursor: Option<&str>,
    wait: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<Changes, E>
where
    F: Future<Output = Result<Changes, E>>,
{
    let until = time::Instant::now() + wait;
    loop {
        taken.mark_unchanged();
        let breath = time::Instant::now() + BREATH;
        let found = ask().await?;
        // Asked here, because a signal that has come already beats the timeout:
        // under steady batches of others a wait would have no end.
        let is_over = time::Instant::now() >= until;
        if is_over || cursor.is_none() || found.gap || !found.changes.is_empty() {
            return Ok(found);
        }
        match time::timeout_at(until, taken.changed()).await {
            Ok(Ok(())) => time::sleep_until(breath.min(until)).await,
            // Over, or the store is going away.
            Ok(Err(_)) | Err(_) => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::event::Change;

    fn rows(first: u64, last: u64, positions: &[u64]) -> ChangeRows {
        let change = |position: &u64| Change {
            subject: format!("{position:016x}"),
            doc_rev: 1,
            journal: "j".to_owned(),
        };
        ChangeRows {
            ledger: "l1".to_owned(),
            first,
            last,
            rows: positions.iter().map(|at| (*at, change(at))).collect(),
        }
    }

    fn ask(cursor: &str, found: ChangeRows) -> (String, bool, usize) {
        let answer = answer(Some(Cursor::read(cursor).unwrap()), found);
        (answer.cursor, answer.gap, answer.changes.len())
    }

    #[test]
    fn a_cursor_goes_on_where_the_answer_ended() {
        assert_eq!(
            ask("l1-3", rows(1, 9, &[4, 5])),
            ("l1-5".to_owned(), false, 2)
        );
        assert_eq!(ask("l1-9", rows(1, 9, &[])), ("l1-9".to_owned(), false, 0));
        assert_eq!(ask("l1-0", rows(1, 0, &[])), ("l1-0".to_owned(), false, 0));
        let first = answer(None, rows(1, 9, &[1, 2]));
        assert_eq!((first.cursor.as_str(), first.gap), ("l1-9", false));
        assert!(first.changes.is_empty(), "they were before it began");
    }

    #[test]
    fn what_cannot_be_followed_is_a_gap() {
        for (cursor, found) in [
            ("l2-9", rows(1, 9, &[])),
            ("l1-10", rows(1, 9, &[])),
            ("l1-3", rows(5, 9, &[5, 6])),
            ("l1-18446744073709551615", rows(1, 9, &[])),
        ] {
            assert_eq!(ask(cursor, found), ("l1-9".to_owned(), true, 0), "{cursor}");
        }
        assert!(
            !ask("l1-4", rows(5, 9, &[5])).1,
            "the oldest kept one follows it"
        );
    }

    #[tokio::test]
    async fn who_waits_takes_a_breath_between_looks_and_comes_to_an_end() {
        let taken = watch::Sender::new(0);
        let begun = time::Instant::now();
        let mut looks = Vec::new();
        let found = until_news(taken.subscribe(), Some("l1-0"), BREATH * 5, || {
            looks.push(begun.elapsed());
            // Batches of others come without end.
            taken.send_modify(|count| *count += 1);
            std::future::ready(Ok::<_, CursorError>(Changes::default()))
        });
        assert!(found.await.unwrap().changes.is_empty());
        // The last pause may end with the wait.
        let whole = &looks[..looks.len() - 1];
        let in_time = (0..).zip(whole).all(|(number, at)| *at >= BREATH * number);
        assert!(in_time, "{looks:?}");
        assert!((2..=7).contains(&looks.len()), "{looks:?}");
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        for text in [
            "",
            "l1",
            "l1-",
            "-3",
            "l1-x",
            "l1-+3",
            "l 1-3",
            "l1-99999999999999999999",
        ] {
            assert!(Cursor::read(text).is_err(), "{text}");
        }
    }
}
