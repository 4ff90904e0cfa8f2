//! The gates between "written" and "a backup": what the source said, what the stores hold, and whether it can be opened.

use super::attempt::Attempt;
use super::prepare::Prepared;
use super::stream::{CopyObjects, Facts, Stored, any_copy};
use holdfast_destinations::Destination;
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::DecryptKey;
use holdfast_pipeline::verify::{Expected, v1};

/// Frames read back besides the first and the last.
const RANDOM_FRAMES: usize = 4;

/// What passed every gate.
pub(super) struct Verified {
    pub(super) facts: Facts,
    /// The source's warnings, and ours.
    pub(super) warnings: Warnings,
    /// One a place of `Prepared::places`.
    pub(super) copies: Vec<Result<CopyObjects, Failure>>,
}

/// Checks the source's own account and reads every copy back (V1). The keys are forgotten when this returns.
pub(super) async fn verify(attempt: &Attempt, prepared: &Prepared, stored: Stored) -> Result<Verified, Failure> {
    attempt.enter(RunStatus::Verifying, Step::Verify).await?;
    let Stored { facts, key, index_key, mut copies } = stored;
    source_gates(&facts)?;
    attempt.say(format!(
        "The source ended with status {}: {} entries, {} bytes, stored as {} bytes. Reading back.",
        facts.report.exit_status, facts.nfiles, facts.original.size_bytes, facts.stored.size_bytes,
    ));
    for (copy, place) in copies.iter_mut().zip(&prepared.places) {
        let (Ok(objects), Ok(destination)) = (&*copy, &place.destination) else { continue };
        let check = read_back(attempt, destination.as_ref(), objects, (&key, index_key.as_ref(), &facts));
        if let Err(failure) = attempt.lease.guard(Step::Verify, check).await {
            attempt.say(format!("Destination {:?}: {failure}", place.row.label));
            *copy = Err(failure);
        }
    }
    if attempt.lease.stopped().is_cancelled() {
        return Err(attempt.lease.failure(Step::Verify));
    }
    any_copy(&copies)?;
    let mut warnings = facts.report.warnings.clone();
    if let Some(warning) = size_dropped(&prepared.inputs.usual_sizes, facts.original.size_bytes) {
        attempt.say(warning.message.clone());
        warnings.push(warning);
    }
    Ok(Verified { facts, warnings, copies })
}

/// What must hold whatever the source's reader thinks: it judged the status, this judges that it was judged.
fn source_gates(facts: &Facts) -> Result<(), Failure> {
    let refuse = |code, detail: String| Err(Failure::new(Step::FinishSource, code, detail));
    let status = facts.report.exit_status;
    // GNU tar says 1 for files that changed or could not be read; each of them is a warning then.
    if status != 0 && (status != 1 || facts.report.warnings.is_empty()) {
        return refuse(FailureCode::SourceFailed, format!("The program on the server ended with status {status}."));
    }
    if facts.report.size_bytes != facts.original.size_bytes {
        let (sent, taken) = (facts.report.size_bytes, facts.original.size_bytes);
        return refuse(FailureCode::SourceIncomplete, format!("{sent} bytes were read, {taken} were stored."));
    }
    if facts.nfiles == 0 {
        return refuse(FailureCode::EmptySource, "There was no entry in the archive.".to_owned());
    }
    Ok(())
}

async fn read_back(
    attempt: &Attempt,
    destination: &dyn Destination,
    objects: &CopyObjects,
    (key, index_key, facts): (&DecryptKey, Option<&DecryptKey>, &Facts),
) -> Result<(), Failure> {
    let random: Vec<u64> = (0..RANDOM_FRAMES).map(|_| attempt.context.random.bits()).collect();
    let expected = Expected { stored: facts.stored.clone(), original_bytes: Some(facts.original.size_bytes) };
    v1(destination.open(&objects.body).await?, key, expected, &random).await?;
    if let (Some(index), Some(index_key)) = (&objects.index, index_key) {
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
