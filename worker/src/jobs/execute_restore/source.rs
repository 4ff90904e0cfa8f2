//! The tar that goes to the server: the whole stream, or the wanted paths of it.

use super::prepare::Prepared;
use crate::copy_reader::OpenCopy;
use holdfast_domain::manifest::ManifestStream;
use holdfast_domain::source::SourceSpec;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{ByteStream, decode, restore_plan};

/// A tar stream, and what must come of it.
pub struct TarSource {
    /// The bytes; their end is a proof.
    pub bytes: ByteStream,
    /// Entries in it.
    pub entries: u64,
    /// Bytes in it.
    pub size_bytes: u64,
    /// The paths whose content goes straight into the target with `contents_only`.
    pub top_paths: Vec<String>,
}

/// Chooses the stream and opens it.
pub async fn open(prepared: &Prepared, copy: &OpenCopy) -> Result<TarSource, Failure> {
    let stream = the_tree(&prepared.spec.streams, &copy.manifest.streams)?;
    let reader = copy.reader(stream).await?;
    let key = prepared.key.clone();
    if prepared.spec.paths.is_empty() {
        let top_paths = match &copy.manifest.source {
            SourceSpec::Files(files) => files.paths.clone(),
            SourceSpec::Database(_) => Vec::new(),
        };
        let bytes = decode::plain(reader, key, stream.stored.clone(), Some(stream.original.clone()));
        return Ok(TarSource { bytes, entries: stream.nfiles, size_bytes: stream.original.size_bytes, top_paths });
    }
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
    let top_paths = prepared.spec.paths.clone();
    Ok(TarSource { bytes, entries: plan.entries, size_bytes: plan.tar_bytes(), top_paths })
}

/// A restore to a path takes exactly one file tree.
fn the_tree<'a>(named: &[String], streams: &'a [ManifestStream]) -> Result<&'a ManifestStream, Failure> {
    let mut wanted = streams.iter().filter(|s| named.is_empty() || named.contains(&s.name));
    match (wanted.next(), wanted.next()) {
        (Some(stream), None) if stream.format == "tar" => Ok(stream),
        (Some(_), None) => Err(unfit("The stream is no file tree.")),
        (Some(_), Some(_)) => Err(unfit("A path can take one stream; name it.")),
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
    fn exactly_one_tree_and_nothing_guessed() {
        let all = [stream("tree", "tar"), stream("shop", "sql")];
        assert_eq!(the_tree(&["tree".into()], &all).unwrap().name, "tree");
        assert_eq!(the_tree(&[], &all[..1]).unwrap().name, "tree");
        assert!(the_tree(&[], &all).is_err());
        assert!(the_tree(&["shop".into()], &all).is_err());
        assert!(the_tree(&["other".into()], &all).is_err());
    }
}
