//! How many scripts are tried at once. A test holds a connection of the data plane for minutes, and those are everybody's.

use holdfast_domain::ids::TeamId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of one team.
const OF_TEAM: usize = 3;

/// Of all teams together.
const OF_ALL: usize = 48;

/// One worker's places.
#[derive(Clone, Default)]
pub struct TestPlaces(Arc<Mutex<HashMap<TeamId, usize>>>);

/// A place, given up when it is dropped.
pub struct TestPlace {
    places: TestPlaces,
    team: TeamId,
}

impl TestPlaces {
    /// A place for `team`; none while it has all that it may have, or everybody together has.
    #[must_use]
    pub fn take(&self, team: TeamId) -> Option<TestPlace> {
        let mut taken = self.lock();
        if taken.values().sum::<usize>() >= OF_ALL || taken.get(&team).is_some_and(|count| *count >= OF_TEAM) {
            return None;
        }
        *taken.entry(team).or_default() += 1;
        Some(TestPlace { places: self.clone(), team })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TeamId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TestPlace {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.team) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.team);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_has_its_own_places_and_gives_them_back() {
        let places = TestPlaces::default();
        let held: Vec<_> = (0..OF_TEAM).map(|_| places.take(TeamId(1)).unwrap()).collect();
        assert!(places.take(TeamId(1)).is_none());
        let other = places.take(TeamId(2));
        assert!(other.is_some());
        drop(held);
        assert!(places.take(TeamId(1)).is_some());
        let many: Vec<_> = (10..200).filter_map(|team| places.take(TeamId(team))).collect();
        assert_eq!(many.len(), OF_ALL - 1);
        assert!(places.take(TeamId(1)).is_none());
    }
}
