//! The gates between "written" and "a backup": what the source said, what the stores hold, and whether it can be opened.

use super::attempt::Attempt;
use super::copies::Copies;
use super::prepare::Prepared;
use super::source::{Plan, Planned};
use super::streams::Stored;
use futures_util::future::join_all;
use holdfast_destinations::Destination;
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::ObjectReader;
use holdfast_pipeline::reader::Joined;
use holdfast_pipeline::verify::{Expected, v1};
use std::sync::Arc;

/// Frames read back besides the first and the last.
const RANDOM_FRAMES: usize = 4;

/// Checks the source's own account and reads every copy back (V1), all destinations at once. What is left of the
/// destinations stands in `copies`; the warnings of the run are returned.
pub(super) async fn verify(
    attempt: &Attempt,
    prepared: &Prepared,
    (plan, streams): (&Plan, &[Stored]),
    copies: &mut Copies,
) -> Result<Warnings, Failure> {
    attempt.enter(RunStatus::Verifying, Step::Verify).await?;
    for (planned, stored) in plan.streams.iter().zip(streams) {
        source_gates(planned, stored)?;
        attempt.say(format!(
            "{:?} ended with status {}: {} entries, {} bytes, stored as {} bytes.",
            planned.name,
            stored.report.exit_status,
            stored.nfiles,
            stored.original.size_bytes,
            stored.stored.size_bytes,
        ));
    }
    attempt.say("Reading back.");
    let checks = prepared.places.iter().enumerate().filter(|(at, _)| copies.is_in(*at)).map(|(at, place)| async move {
        let read = async {
            let destination = place.destination.as_ref().map_err(Clone::clone)?;
            for stored in streams {
                read_back(attempt, destination.as_ref(), stored).await?;
            }
            Ok(())
        };
        (at, attempt.lease.guard(Step::Verify, read).await)
    });
    for (at, checked) in join_all(checks).await {
        if let Err(failure) = checked {
            copies.fail(attempt, prepared, at, failure);
        }
    }
    if attempt.lease.stopped().is_cancelled() {
        return Err(attempt.lease.failure(Step::Verify));
    }
    copies.any()?;
    Ok(warnings(attempt, prepared, plan, streams))
}

/// The one that decides about older backups first: the kept ones are capped.
fn warnings(attempt: &Attempt, prepared: &Prepared, plan: &Plan, streams: &[Stored]) -> Warnings {
    let mut warnings = Warnings::default();
    let size_bytes = streams.iter().map(|stored| stored.original.size_bytes).sum();
    if let Some(warning) = size_dropped(&prepared.inputs.usual_sizes, size_bytes) {
        attempt.say(warning.message.clone());
        warnings.push(warning);
    }
    warnings.append(&plan.warnings);
    for stored in streams {
        warnings.append(&stored.report.warnings);
    }
    warnings
}

/// What must hold whatever the source's reader thinks: it judged the status, this judges that it was judged.
fn source_gates(planned: &Planned, stored: &Stored) -> Result<(), Failure> {
    let refuse =
        |code, detail: String| Err(Failure::new(Step::FinishSource, code, format!("{:?}: {detail}", planned.name)));
    let status = stored.report.exit_status;
    // GNU tar says 1 for files that changed or could not be read; each of them is a warning then.
    let is_warned = planned.is_tar() && status == 1 && !stored.report.warnings.is_empty();
    if status != 0 && !is_warned {
        return refuse(FailureCode::SourceFailed, format!("the program on the server ended with status {status}."));
    }
    if stored.report.size_bytes != stored.original.size_bytes {
        let (sent, taken) = (stored.report.size_bytes, stored.original.size_bytes);
        return refuse(FailureCode::SourceIncomplete, format!("{sent} bytes were read, {taken} were stored."));
    }
    if stored.original.size_bytes == 0 || (planned.is_tar() && stored.nfiles == 0) {
        return refuse(FailureCode::EmptySource, "there was nothing in it.".to_owned());
    }
    Ok(())
}

async fn read_back(attempt: &Attempt, destination: &dyn Destination, stored: &Stored) -> Result<(), Failure> {
    let random: Vec<u64> = (0..RANDOM_FRAMES).map(|_| attempt.context.random.bits()).collect();
    let mut objects = Vec::with_capacity(stored.objects.len());
    for object in &stored.objects {
        objects.push(destination.open(object).await?);
    }
    let body: Arc<dyn ObjectReader> = Arc::new(Joined::new(objects));
    let expected = Expected { stored: stored.stored.clone(), original_bytes: Some(stored.original.size_bytes) };
    v1(body, &stored.key, expected, &random).await?;
    if let (Some(index), Some(index_key)) = (&stored.index, &stored.index_key) {
        let expected = Expected { stored: index.digest.clone(), original_bytes: None };
        v1(destination.open(index).await?, index_key, expected, &random).await?;
    }
    Ok(())
}

/// A backup less than half as large as the middle one of those before it is worth a look, and keeps the older ones.
fn size_dropped(usual: &[i64], now: u64) -> Option<Warning> {
    let mut sizes: Vec<u64> = usual.iter().filter_map(|size| u64::try_from(*size).ok()).collect();
    sizes.sort_unstable();
    let middle = *sizes.get(sizes.len() / 2)?;
    (now < middle / 2).then(|| Warning {
        code: WarningCode::SizeDropped,
        path: None,
        message: format!("This backup holds {now} bytes; those before it usually held {middle}."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_only_strange_below_half_of_the_usual() {
        assert!(size_dropped(&[], 0).is_none());
        assert!(size_dropped(&[100, 90, 4000], 50).is_none());
        let warning = size_dropped(&[100, 90, 4000], 49).expect("less than half of the middle one");
        assert_eq!(warning.code, WarningCode::SizeDropped);
    }
}
