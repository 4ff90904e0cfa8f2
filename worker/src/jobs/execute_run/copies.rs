//! Which destinations are still in, and why the others are out. One that is out stays out: a copy is whole or it is none.

use super::attempt::Attempt;
use super::prepare::Prepared;
use holdfast_domain::{Failure, FailureCode, Step};

/// One entry a place of `Prepared::places`.
pub(super) struct Copies(Vec<Result<(), Failure>>);

impl Copies {
    /// As the places were opened.
    pub(super) fn of(prepared: &Prepared) -> Self {
        Self(prepared.places.iter().map(|place| place.destination.as_ref().map(drop).map_err(Clone::clone)).collect())
    }

    pub(super) fn is_in(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(Result::is_ok)
    }

    /// Leaves a destination out. That the whole work must stop is no destination's fault.
    pub(super) fn fail(&mut self, attempt: &Attempt, prepared: &Prepared, at: usize, why: Failure) {
        let (Some(copy), Some(place)) = (self.0.get_mut(at), prepared.places.get(at)) else { return };
        if copy.is_err() {
            return;
        }
        if !attempt.lease.stopped().is_cancelled() {
            attempt.say(format!("Destination {:?} is left out: {why}", place.row.label));
            attempt.lost(place.row.id, &why);
        }
        attempt.journal.leave_out(place.row.id);
        *copy = Err(why);
    }

    /// An error once no destination is left: the last reason.
    pub(super) fn any(&self) -> Result<(), Failure> {
        if self.0.iter().any(Result::is_ok) {
            return Ok(());
        }
        let none = || Failure::new(Step::FinishDestination, FailureCode::DestinationFailed, "No destination is left.");
        let failures = || self.0.iter().filter_map(|copy| copy.as_ref().err());
        // What another attempt may cure comes first.
        let failure = failures().find(|failure| failure.code.is_transient()).or_else(|| failures().next());
        Err(failure.cloned().unwrap_or_else(none))
    }

    /// Why each is out; none for those that are in.
    pub(super) fn failures(&self) -> impl Iterator<Item = Option<&Failure>> {
        self.0.iter().map(|copy| copy.as_ref().err())
    }
}
