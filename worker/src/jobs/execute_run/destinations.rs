//! Where a run's bytes go: which destinations this worker can reach, and which have room.
//! A local destination is bound to its store before anything is written there, so that what a dead
//! attempt left is looked for in the right place.

use super::attempt::Attempt;
use crate::places;
use futures_util::future::join_all;
use holdfast_destinations::{Destination, Usage};
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::run_inputs::RunInputs;
use holdfast_store::rows;
use std::sync::Arc;

/// One destination, or why it takes nothing.
pub(super) struct Place {
    pub(super) row: rows::backup_destinations::Model,
    pub(super) destination: Result<Arc<dyn Destination>, Failure>,
}

/// Opens the run's destinations.
///
/// # Errors
/// None can be used, or the first one was given to another worker's store this moment: then the attempt is marked for it.
pub(super) async fn open(attempt: &Attempt, inputs: &RunInputs) -> Result<Vec<Place>, Failure> {
    let opened = join_all(inputs.destinations.iter().map(|row| open_one(attempt, inputs, row)));
    let mut places = attempt.lease.guard(Step::Prepare, async { Ok(opened.await) }).await?;
    any_open(attempt, &places)?;
    leave_out_the_full(attempt, inputs, &mut places).await?;
    any_open(attempt, &places)?;
    Ok(places)
}

async fn open_one(attempt: &Attempt, inputs: &RunInputs, row: &rows::backup_destinations::Model) -> Place {
    let opening = async {
        if row.deleted_at.is_some() {
            let gone = format!("The destination {:?} was deleted.", row.label);
            return Err(Failure::new(Step::Prepare, FailureCode::NotAuthorised, gone));
        }
        let destination = places::open_destination(&attempt.context, inputs.team.uuid, row)?;
        bind(attempt, inputs, row).await?;
        Ok(destination)
    };
    let destination = opening.await;
    if let Err(failure) = &destination {
        attempt.lost(row.id, failure);
    }
    Place { row: row.clone(), destination }
}

/// The first worker that writes to a local destination decides in which store it lies.
async fn bind(attempt: &Attempt, inputs: &RunInputs, row: &rows::backup_destinations::Model) -> Result<(), Failure> {
    let Some(root) = attempt.context.local_root.as_ref().filter(|_| row.r#type == "local" && row.store_id.is_none())
    else {
        return Ok(());
    };
    let (id, store_id) = (BackupDestinationId(row.id), root.store_id().to_string());
    let is_ours = attempt
        .in_tx(Step::Prepare, move |tx| {
            let store_id = store_id.clone();
            Box::pin(async move { tx.sealed().bind_store(id, &store_id).await })
        })
        .await?;
    if is_ours {
        return Ok(());
    }
    let first = inputs.destinations.iter().find(|row| row.r#type == "local" && row.deleted_at.is_none());
    if first.is_some_and(|first| first.id == row.id) {
        // From now on the run is the other one's to take.
        attempt.is_for_another.cancel();
    }
    let detail = "Another worker's store was just given to the destination.";
    Err(Failure::new(Step::Prepare, FailureCode::StoreOffline, detail))
}

/// A destination that cannot take a tenth more than the latest backup is left out before the source is touched. One that
/// cannot tell its room, or is not there, is found out by writing.
async fn leave_out_the_full(attempt: &Attempt, inputs: &RunInputs, places: &mut [Place]) -> Result<(), Failure> {
    let Some(last) = inputs.last_stored_size.and_then(|size| u64::try_from(size).ok()) else { return Ok(()) };
    let needed = last.saturating_add(last / 10);
    let asked = places.iter().map(|place| async {
        match &place.destination {
            Ok(destination) => destination.usage().await.ok().flatten(),
            Err(_) => None,
        }
    });
    let rooms = attempt.lease.guard(Step::Prepare, async { Ok(join_all(asked).await) }).await?;
    // Every local destination of this worker lies on the same disk.
    let mut needed_here = 0_u64;
    for (place, room) in places.iter_mut().zip(rooms) {
        let is_local = place.row.r#type == "local" && place.destination.is_ok();
        let needed_there = if is_local { needed_here.saturating_add(needed) } else { needed };
        if let Some(failure) = room.and_then(|room| low_space(room, needed_there)) {
            attempt.say(format!("Destination {:?} is left out: {failure}", place.row.label));
            place.destination = Err(failure);
        } else if is_local {
            needed_here = needed_there;
        }
    }
    Ok(())
}

fn low_space(room: Usage, needed: u64) -> Option<Failure> {
    (room.available_bytes < needed).then(|| {
        let detail = format!(
            "{} bytes are free; the backup is expected to need {needed}, a tenth more than the one before it.",
            room.available_bytes
        );
        Failure::new(Step::Prepare, FailureCode::LowSpace, detail)
    })
}

/// The failure that another attempt may cure comes first.
fn any_open(attempt: &Attempt, places: &[Place]) -> Result<(), Failure> {
    if !attempt.is_for_another.is_cancelled() && places.iter().any(|place| place.destination.is_ok()) {
        return Ok(());
    }
    let failures = || places.iter().filter_map(|place| place.destination.as_ref().err());
    let none = || Failure::new(Step::Prepare, FailureCode::InvalidConfig, "The task has no destination.");
    let failure = failures().find(|failure| failure.code.is_transient()).or_else(|| failures().next());
    Err(failure.cloned().unwrap_or_else(none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_short_only_below_what_is_needed() {
        let room = |available_bytes| Usage { total_bytes: 1_000, available_bytes };
        assert!(low_space(room(110), 110).is_none());
        let failure = low_space(room(109), 110).expect("one byte is missing");
        assert_eq!((failure.code, failure.step), (FailureCode::LowSpace, Step::Prepare));
    }
}
