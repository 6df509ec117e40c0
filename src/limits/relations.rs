//! Which limits have to fit each other?
//!
//! What one part sends another has to take, and what is counted per caller is
//! less than what is counted in all. Whoever changes one of them is told here
//! before anything runs.

use super::*;

const _: () = {
    assert!(BODY_BYTES_MAX <= BATCH_BODY_BYTES_MAX);
    assert!(USER_LINE_BYTES_MAX < USER_LINES_BYTES_MAX);
    assert!(HEAD_BYTES_MAX <= CONNECTION_BUFFER_BYTES_MAX);
    assert!(H2_STREAM_WINDOW_BYTES <= H2_CONNECTION_WINDOW_BYTES);
    assert!(H2_PIECE_BYTES <= H2_SEND_BYTES_MAX);
    assert!(RECORD_BYTES_MAX <= SHIP_BYTES_MAX);
    // A record holds the merged properties of one identify call.
    assert!(PROPERTIES_BYTES_MAX * 4 <= RECORD_BYTES_MAX);
    // Or a user who has a large document would never be read again.
    assert!(
        USER_DOCUMENT_BYTES_MAX * 3
            + PROPERTIES_BYTES_MAX
            + GROUPS_PER_USER_MAX * SUBJECT_ID_BYTES_MAX
            <= SHIP_BYTES_MAX
    );
    assert!(READS_WAITING_PER_KEY_MAX < READS_WAITING_MAX);
    assert!(TOKEN_WAITERS_PER_KEY_MAX < TOKEN_WAITERS_MAX);
    assert!(TOKEN_WAITERS_MAX < READS_IN_FLIGHT_MAX);
    // Or the first document would not fit.
    assert!(SHIP_BYTES_MAX <= USERS_ANSWER_BYTES_MAX);
    assert!(STREAM_READS_MAX * 4 <= READS_IN_FLIGHT_MAX);
    assert!(STREAM_LOOK_MS_MIN < STREAM_BEAT_MS);
    assert!(COMMIT_RECORDS_MAX <= COMMIT_QUEUE_MAX);
    assert!(REVISION_WAITERS_PER_KEY_MAX < REVISION_WAITERS_MAX);
    assert!(PART_BYTES_MAX <= SNAPSHOT_BYTES_MAX);
    assert!(PART_BYTES_MAX < PARTS_ANSWER_BYTES_MAX);
    assert!(SHARDS == 256);
    // A batch changes its users and at most one membership a record.
    assert!(SHIP_RECORDS_MAX as u64 * 2 < CHANGES_KEPT_MAX);
    assert!(DOCUMENT_DEPTH_MAX >= JSON_DEPTH_MAX);
    assert!(SNAPSHOT_BYTES_MAX + (ROOT_STEPS_MAX + 3) * DOCUMENT_BYTES_MAX <= PACK_BYTES_MAX);
};
