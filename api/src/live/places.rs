//! Who has a stream open, and how many may be.

use super::StreamLimits;
use crate::problem::Problem;
use axum::http::StatusCode;
use holdfast_store::Access;
use prometheus::IntGauge;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// When to try again where there are too many.
const RETRY_AFTER_SECS: u64 = 30;

/// The streams of this process.
pub(super) struct Places {
    limits: StreamLimits,
    gauge: IntGauge,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    next_id: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    access: Access,
    ended: CancellationToken,
}

/// One stream's place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    /// Cancelled when the right that opened it has ended.
    pub(super) ended: CancellationToken,
}

impl Places {
    pub(super) fn new(limits: StreamLimits, gauge: IntGauge) -> Self {
        Self { limits, gauge, registry: Mutex::default() }
    }

    /// A place for one more stream of `access`.
    ///
    /// # Errors
    /// 429 where the person or the team has all that it may, 503 where the process has.
    pub(super) fn take(self: &Arc<Self>, access: &Access) -> Result<Place, Problem> {
        let mut registry = self.registry();
        let of_team = registry.open.values().filter(|open| open.access.team_id() == access.team_id());
        let (mut team, mut person) = (0, 0);
        for open in of_team {
            team += 1;
            person += u32::from(open.access.actor().user_id() == access.actor().user_id());
        }
        let all = u32::try_from(registry.open.len()).unwrap_or(u32::MAX);
        if person >= self.limits.per_user || team >= self.limits.per_team {
            return Err(too_many(StatusCode::TOO_MANY_REQUESTS));
        }
        if all >= self.limits.all {
            return Err(too_many(StatusCode::SERVICE_UNAVAILABLE));
        }
        let (id, ended) = (registry.next_id, CancellationToken::new());
        registry.next_id += 1;
        registry.open.insert(id, Open { access: access.clone(), ended: ended.clone() });
        self.gauge.inc();
        Ok(Place { places: self.clone(), id, ended })
    }

    /// Those that are open.
    pub(super) fn open(&self) -> Vec<(u64, Access)> {
        self.registry().open.iter().map(|(id, open)| (*id, open.access.clone())).collect()
    }

    /// Ends one.
    pub(super) fn end(&self, id: u64) {
        if let Some(open) = self.registry().open.get(&id) {
            open.ended.cancel();
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.gauge.dec();
        self.places.registry().open.remove(&self.id);
    }
}

fn too_many(status: StatusCode) -> Problem {
    let message = "Too many event streams are open. Close one, or try again later.";
    Problem::new(status, "too_many_streams", message).retry_after_secs(RETRY_AFTER_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::ids::TeamId;

    #[test]
    fn a_place_is_given_back_and_each_limit_holds() {
        let gauge = IntGauge::new("open", "open").unwrap();
        let places = Arc::new(Places::new(StreamLimits { all: 3, per_team: 2, per_user: 2 }, gauge.clone()));
        let access = |team| Access::system(TeamId(team), "test");
        let held = [places.take(&access(1)).unwrap(), places.take(&access(1)).unwrap()];
        assert_eq!(places.take(&access(1)).err().unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
        let other = places.take(&access(2)).unwrap();
        assert_eq!(places.take(&access(3)).err().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(gauge.get(), 3);
        drop(held);
        assert_eq!((gauge.get(), places.open().len()), (1, 1));
        places.end(other.id);
        assert!(other.ended.is_cancelled());
        places.take(&access(1)).unwrap();
    }
}
