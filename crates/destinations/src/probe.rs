//! The first half of every destination's check: a small object is written, kept and read back.

use crate::Destination;
use bytes::Bytes;
use holdfast_domain::check::CheckStep;
use holdfast_domain::{Failure, FailureCode, Step};

/// What a check writes.
const PROBE_BYTES: usize = 64 << 10;

/// Writes and reads an object `name`, and says so in `steps`; the caller deletes it, also after a failure.
pub(crate) async fn write_and_read(
    destination: &dyn Destination,
    name: &str,
    steps: &mut Vec<CheckStep>,
) -> Result<(), Failure> {
    let pattern = Bytes::from((0..PROBE_BYTES).map(|i| (i % 251) as u8).collect::<Vec<u8>>());
    let mut sink = note(steps, "write", destination.put(name).await)?;
    let written = sink.write(pattern.clone()).await;
    if written.is_err() {
        sink.abort().await;
        return note(steps, "write", written);
    }
    let object = note(steps, "write", sink.commit().await)?;
    steps.push(CheckStep::passed("write", format!("{PROBE_BYTES} bytes were written and kept.")));
    let read = async {
        let reader = destination.open(&object).await?;
        let bytes = reader.read_at(0, PROBE_BYTES).await?;
        let differs = || Failure::new(Step::Verify, FailureCode::VerifyFailed, "Other bytes came back.");
        if bytes == pattern { Ok(()) } else { Err(differs()) }
    };
    note(steps, "read_back", read.await)?;
    steps.push(CheckStep::passed("read_back", "The same bytes came back."));
    Ok(())
}

/// Adds the step that failed.
pub(crate) fn note<T>(steps: &mut Vec<CheckStep>, name: &str, result: Result<T, Failure>) -> Result<T, Failure> {
    if let Err(failure) = &result {
        steps.push(CheckStep::failed(name, failure));
    }
    result
}
