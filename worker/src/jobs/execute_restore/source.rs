//! The bytes that go to the server: a file tree, whole or the wanted paths of it, or a database's dump.

use super::prepare::Prepared;
use crate::copy_reader::OpenCopy;
use holdfast_domain::manifest::{DatabaseFacts, ManifestStream};
use holdfast_domain::restore::RestoreTo;
use holdfast_domain::source::SourceSpec;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{ByteStream, decode, restore_plan};

/// A stream, and what must come of it.
pub struct StreamSource {
    /// The bytes; their end is a proof.
    pub bytes: ByteStream,
    /// Bytes in it.
    pub size_bytes: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a stream holds.
pub enum Kind {
    /// A tar stream.
    Tree {
        /// Entries in it.
        entries: u64,
        /// The paths whose content goes straight into the target with `contents_only`.
        top_paths: Vec<String>,
    },
    /// A database's dump.
    Database(DatabaseFacts),
}

/// Chooses the stream and opens it.
pub async fn open(prepared: &Prepared, copy: &OpenCopy) -> Result<StreamSource, Failure> {
    let stream = the_stream(&prepared.spec.streams, &copy.manifest.streams)?;
    match &prepared.spec.target {
        RestoreTo::Path { .. } if stream.format != "tar" => Err(unfit("The stream is no file tree.")),
        RestoreTo::Path { .. } if prepared.spec.paths.is_empty() => {
            let top_paths = match &copy.manifest.source {
                SourceSpec::Files(files) => files.paths.clone(),
                SourceSpec::Database(_) => Vec::new(),
            };
            whole(prepared, copy, stream, Kind::Tree { entries: stream.nfiles, top_paths }).await
        }
        RestoreTo::Path { .. } => some_paths(prepared, copy, stream).await,
        RestoreTo::Database(_) => {
            let facts = stream.database.clone().ok_or_else(|| unfit("The stream is no database's dump."))?;
            whole(prepared, copy, stream, Kind::Database(facts)).await
        }
    }
}

async fn whole(
    prepared: &Prepared,
    copy: &OpenCopy,
    stream: &ManifestStream,
    kind: Kind,
) -> Result<StreamSource, Failure> {
    let reader = copy.reader(stream).await?;
    let bytes = decode::plain(reader, prepared.key.clone(), stream.stored.clone(), Some(stream.original.clone()));
    Ok(StreamSource { bytes, size_bytes: stream.original.size_bytes, kind })
}

async fn some_paths(prepared: &Prepared, copy: &OpenCopy, stream: &ManifestStream) -> Result<StreamSource, Failure> {
    let (reader, key) = (copy.reader(stream).await?, prepared.key.clone());
    let (index, digest) = copy.index(stream).await?.ok_or_else(|| unfit("It has no list of files to choose from."))?;
    let plan = restore_plan::plan(index, key.clone(), digest, prepared.spec.paths.clone()).await?;
    if plan.stream.stored != stream.stored {
        return Err(Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, "The index belongs to another stream."));
    }
    if !plan.missing.is_empty() {
        let shown: Vec<&str> = plan.missing.iter().take(5).map(String::as_str).collect();
        let detail = format!("{} wanted path(s) are not in the backup: {}.", plan.missing.len(), shown.join(", "));
        return Err(Failure::new(Step::ReadCopy, FailureCode::PathNotInBackup, detail));
    }
    let bytes = restore_plan::selected(reader, key, &plan);
    let kind = Kind::Tree { entries: plan.entries, top_paths: prepared.spec.paths.clone() };
    Ok(StreamSource { bytes, size_bytes: plan.tar_bytes(), kind })
}

/// A target takes exactly one stream.
fn the_stream<'a>(named: &[String], streams: &'a [ManifestStream]) -> Result<&'a ManifestStream, Failure> {
    let mut wanted = streams.iter().filter(|s| named.is_empty() || named.contains(&s.name));
    match (wanted.next(), wanted.next()) {
        (Some(stream), None) => Ok(stream),
        (Some(_), Some(_)) => Err(unfit("A target can take one stream; name it.")),
        (None, _) => Err(unfit("The backup has no such stream.")),
    }
}

fn unfit(detail: &str) -> Failure {
    Failure::new(Step::ReadCopy, FailureCode::InvalidConfig, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::manifest::Digest;

    fn stream(name: &str, format: &str) -> ManifestStream {
        let digest = Digest { size_bytes: 0, sha256: String::new() };
        ManifestStream {
            name: name.into(),
            format: format.into(),
            exit_status: 0,
            original: digest.clone(),
            stored: digest,
            nfiles: 0,
            objects: vec![],
            index: None,
            database: None,
        }
    }

    #[test]
    fn exactly_one_stream_and_nothing_guessed() {
        let all = [stream("tree", "tar"), stream("shop", "sql")];
        assert_eq!(the_stream(&["tree".into()], &all).unwrap().name, "tree");
        assert_eq!(the_stream(&[], &all[..1]).unwrap().name, "tree");
        assert!(the_stream(&[], &all).is_err());
        assert!(the_stream(&["tree".into(), "shop".into()], &all).is_err());
        assert!(the_stream(&["other".into()], &all).is_err());
    }
}
