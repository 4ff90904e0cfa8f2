//! Asking runs and restores to stop, in the same words for both.

/// Asks an unfinished row of `$table` to stop; one that no worker has is over at once, and nothing of one that was never
/// claimed can be alive anywhere. To be run with id, team and now.
macro_rules! cancel_sql {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET cancel_requested_at = $3,
                  completed_at = CASE WHEN status = 'queued' THEN $3 ELSE completed_at END,
                  error_code = CASE WHEN status = 'queued' THEN 'cancelled' ELSE error_code END,
                  error_message = CASE WHEN status = 'queued' THEN 'It was cancelled before it started.'
                                       ELSE error_message END,
                  process_terminated = CASE WHEN status = 'queued' AND attempts = 0 THEN true
                                            ELSE process_terminated END,
                  status = CASE WHEN status = 'queued' THEN 'cancelled' ELSE status END
              WHERE id = $1 AND team_id = $2 AND status IN ('queued', 'running', 'verifying')"
        )
    };
}
pub(crate) use cancel_sql;
