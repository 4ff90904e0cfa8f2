//! Whether those who look still may: one question for all open streams, again and again. A stream must not outlive the
//! token, the session or the membership that opened it.

use super::Live;
use chrono::TimeDelta;
use holdfast_domain::Actor;
use std::time::Duration;

/// A stream lives at most so long after its right has ended.
const EVERY: Duration = Duration::from_secs(5);

/// Looks until it is dropped.
pub(super) async fn watch(live: &Live, idle: TimeDelta) {
    loop {
        tokio::time::sleep(EVERY).await;
        let open = live.places.open();
        let (mut tokens, mut sessions) = (Vec::new(), Vec::new());
        for (_, access) in &open {
            match access.actor() {
                Actor::Token { token_id, .. } => tokens.push(token_id),
                Actor::Session { session_id, .. } => sessions.push(session_id),
                Actor::System(_) => {}
            }
        }
        if open.is_empty() {
            continue;
        }
        tokens.sort_unstable();
        tokens.dedup();
        sessions.sort_unstable();
        sessions.dedup();
        match live.store.rights_that_stand(&tokens, &sessions, (live.clock)(), idle).await {
            Ok(rights) => {
                for (id, access) in open {
                    if !rights.has(access.actor(), access.team_id()) {
                        live.places.end(id);
                    }
                }
            }
            // Nothing is read without the database either; the next look decides.
            Err(error) => tracing::warn!(?error, "whether live views may go on could not be asked"),
        }
    }
}
