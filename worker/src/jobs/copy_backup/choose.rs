//! Which copy is read, and whether this worker can reach both it and the destination. A worker holds at most one local
//! store, so a copy in one worker's store cannot go straight to another's.

use super::Job;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::copies::CopyToRead;
use holdfast_store::rows::backup_destinations::Model as Destination;

/// Who can read one copy and write to the destination.
#[derive(Debug, PartialEq, Eq)]
enum Reach<'a> {
    /// Any worker, or one that holds this store.
    With(Option<&'a str>),
    /// One that holds some local store: the destination is not bound to one yet.
    WithAny,
    /// Nobody: it would take two stores.
    Nobody,
}

/// The copies that this worker can read and bring to `to`, in order.
///
/// # Errors
/// There is none. No living worker could then, when the copy was taken (`may_take_backup_copy`).
pub(super) fn sources<'a>(
    job: &Job,
    copies: &'a [CopyToRead],
    to: &Destination,
) -> Result<Vec<&'a CopyToRead>, Failure> {
    let ours = job.context.local_root.as_ref().map(|root| root.store_id().to_string());
    let is_here = |reach: &Reach<'_>| match reach {
        Reach::With(None) => true,
        Reach::With(Some(store)) => ours.as_deref() == Some(*store),
        Reach::WithAny => ours.is_some(),
        Reach::Nobody => false,
    };
    let usable = copies.iter().filter(|copy| copy.copy.backup_destination_id != to.id);
    let reaches: Vec<(&CopyToRead, Reach<'_>)> = usable.map(|copy| (copy, reach(&copy.destination, to))).collect();
    let here: Vec<&CopyToRead> = reaches.iter().filter(|(_, reach)| is_here(reach)).map(|(copy, _)| *copy).collect();
    if !here.is_empty() {
        return Ok(here);
    }
    Err(why_none(&reaches))
}

fn why_none(reaches: &[(&CopyToRead, Reach<'_>)]) -> Failure {
    if reaches.is_empty() {
        let detail = "The backup has no other copy that could be read.";
        return Failure::new(Step::Prepare, FailureCode::CopyDamaged, detail);
    }
    if reaches.iter().all(|(_, reach)| *reach == Reach::Nobody) {
        let detail = "Copy and destination lie in local stores of different workers, and no worker holds both; a copy at \
                      a destination that every worker reaches could be brought there.";
        return Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail);
    }
    let detail = "No worker that is alive holds the local store of the copy or the destination.";
    Failure::new(Step::Prepare, FailureCode::StoreOffline, detail)
}

fn reach<'a>(from: &'a Destination, to: &'a Destination) -> Reach<'a> {
    let store = |row: &'a Destination| (row.r#type == "local").then_some(row.store_id.as_deref());
    match (store(from), store(to)) {
        (None, None) => Reach::With(None),
        (Some(Some(one)), Some(Some(other))) if one != other => Reach::Nobody,
        (Some(Some(one)), _) | (_, Some(Some(one))) => Reach::With(Some(one)),
        (Some(None), _) | (_, Some(None)) => Reach::WithAny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn row(kind: &str, store: Option<&str>) -> Destination {
        Destination {
            id: 1,
            team_id: 1,
            user_id: 1,
            label: String::new(),
            r#type: kind.to_owned(),
            config: serde_json::Value::Null,
            seal_id: uuid::Uuid::nil(),
            sealed_access_key: None,
            sealed_secret_key: None,
            store_id: store.map(str::to_owned),
            deleted_at: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            runs_at_once: None,
        }
    }

    #[test]
    fn two_stores_are_out_of_reach_and_one_names_its_worker() {
        let (a, b, fresh, s3) = (row("local", Some("a")), row("local", Some("b")), row("local", None), row("s3", None));
        assert_eq!(reach(&a, &b), Reach::Nobody);
        assert_eq!(reach(&a, &a), Reach::With(Some("a")));
        assert_eq!(reach(&a, &s3), Reach::With(Some("a")));
        assert_eq!(reach(&s3, &b), Reach::With(Some("b")));
        assert_eq!(reach(&a, &fresh), Reach::With(Some("a")));
        assert_eq!(reach(&s3, &fresh), Reach::WithAny);
        assert_eq!(reach(&s3, &s3), Reach::With(None));
    }
}
