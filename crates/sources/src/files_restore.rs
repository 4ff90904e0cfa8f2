//! Putting a file tree back.
//!
//! Needs on the server: a POSIX shell, `base64`, GNU tar (others drop this format's long names without a word), `dd`,
//! `mktemp`, `find`, `mv`, `stat`. The tar stream goes in frames into a folder of ours (0700)
//! beside the target; what was unpacked is counted and judged here, and only a word of ours moves it into place. On every
//! other way out, the program removes the folder.

use crate::framed::{Framed, Hearer};
use crate::lines::{Line, Words};
use crate::patterns::member_path;
use crate::reading::Judged;
use crate::refusal;
use crate::staged::Staged;
use crate::stream::{Restored, StreamWriter};
use crate::tar_lines::while_extracting;
use crate::writable::Writable;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::failure::printable;
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout};
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::collections::BTreeMap;
use std::time::Duration;

/// What runs on the server.
pub(crate) const PROGRAM: &str =
    concat!(include_str!("say.sh"), include_str!("feed.sh"), include_str!("files_restore.sh"));

/// How long the removal of a staging folder may take.
const CLEANING: Duration = Duration::from_secs(40);

/// Where and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTarget {
    /// Absolute path of a folder on the server, which need not exist.
    pub path: String,
    /// What to do with what exists.
    pub existing: ExistingPolicy,
    /// How the paths lie below `path`.
    pub layout: RestoreLayout,
    /// For `contents_only`: the absolute source paths whose content goes straight into the target (the selected paths, or
    /// the task's top paths for a whole restore). A single folder gives the target its own mode and times too.
    pub top_paths: Vec<String>,
    /// Set owners; needs root there, else it is a warning.
    pub restore_owners: bool,
    /// How many entries the stream will carry, if known: compared before anything is moved into place.
    pub expected_entries: Option<u64>,
    /// Do everything except move into place.
    pub dry_run: bool,
}

/// What was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Entries that were unpacked, folders on the way to them included.
    pub entries: u64,
    /// Of these, regular files.
    pub files: u64,
    /// Bytes in the regular files.
    pub size_bytes: u64,
    /// Files and folders that were left as they were (`existing = skip`).
    pub skipped: u64,
    /// What was set otherwise than asked for, or made harmless.
    pub warnings: Warnings,
    /// Tools there.
    pub tools: BTreeMap<String, String>,
}

/// Prepares the staging folder beside the target.
///
/// # Errors
/// `target_exists`, `target_unwritable`, `missing_tool`, `invalid_config`, and what the connection can say.
pub async fn open(session: Session, target: &RestoreTarget) -> Result<FilesWriter, Failure> {
    let fields = fields(target)?;
    let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
    let mut framed = Framed::start(session, PROGRAM, &fields, State::default()).await?;
    framed.until(|state| state.ready.is_some()).await?;
    let writable = (framed.hearer().ready != Some(0)).then(Writable::default);
    Ok(FilesWriter { framed, writable, expected_entries: target.expected_entries, dry_run: target.dry_run })
}

fn fields(target: &RestoreTarget) -> Result<Vec<String>, Failure> {
    let invalid = |detail: String| Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail);
    let path = member_path(&target.path).ok_or_else(|| invalid(format!("{:?} is no absolute path.", target.path)))?;
    let existing = match target.existing {
        ExistingPolicy::Refuse => "refuse",
        ExistingPolicy::Skip => "skip",
        ExistingPolicy::Overwrite => "overwrite",
    };
    let layout = match target.layout {
        RestoreLayout::KeepPath => "keep_path",
        RestoreLayout::ContentsOnly => "contents_only",
    };
    let tops = match target.layout {
        RestoreLayout::KeepPath => Vec::new(),
        RestoreLayout::ContentsOnly => target
            .top_paths
            .iter()
            .map(|top| member_path(top).ok_or_else(|| invalid(format!("{top:?} is no absolute path."))))
            .collect::<Result<_, _>>()?,
    };
    if target.layout == RestoreLayout::ContentsOnly && tops.is_empty() {
        return Err(invalid("contents_only needs the paths whose content is meant.".to_owned()));
    }
    let owners = if target.restore_owners { "1" } else { "0" };
    let mut fields = [&path, existing, layout, owners].map(str::to_owned).to_vec();
    fields.push(tops.len().to_string());
    fields.extend(tops);
    Ok(fields)
}

/// A tar stream being unpacked.
pub struct FilesWriter {
    framed: Framed<State>,
    // For every user but root.
    writable: Option<Writable>,
    expected_entries: Option<u64>,
    dry_run: bool,
}

/// What the program has said so far.
#[derive(Default)]
struct State {
    // The user id there, once the staging folder exists.
    ready: Option<u32>,
    staged: Option<Staged>,
    done: bool,
    refused: Option<Failure>,
    incomplete: bool,
    full: bool,
    tolerated: u64,
    report: RestoreReport,
}

impl FilesWriter {
    /// Takes the next bytes of the tar stream; returns when they are accepted.
    ///
    /// # Errors
    /// The program there failed or the connection did; the staging folder is then removed there.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let bytes = self.writable.as_mut().map_or_else(|| bytes.clone(), |writable| writable.pass(&bytes));
        self.framed.write(bytes).await
    }

    /// Says that the stream is whole, judges what was unpacked and has it moved into place.
    ///
    /// # Errors
    /// `restore_incomplete`, `target_exists`, `target_unwritable`, and what the connection can say. Nothing is in place
    /// then, unless the failure says that the target is incomplete.
    pub async fn finish(mut self) -> Result<RestoreReport, Failure> {
        if let Some(writable) = &mut self.writable {
            let rest = writable.rest();
            self.framed.write(rest).await?;
        }
        self.framed.end().await?;
        self.framed.until(|state| state.staged.is_some()).await?;
        let (state, words) = self.framed.heard();
        if let (Some(staged), Some(writable)) = (&mut state.staged, &self.writable) {
            staged.privileged += writable.defused;
        }
        let judged = state.judge(self.expected_entries, words);
        if judged.is_err() || self.dry_run {
            self.abort().await;
            return judged;
        }
        self.framed.say("place").await.map_err(while_placing)?;
        self.framed.until(|state| state.done).await.map_err(while_placing)?;
        let _ = self.framed.until_exit().await;
        Ok(std::mem::take(&mut self.framed.hearer().report))
    }

    /// Has the staging folder removed; whether the program there said that it ended, or a check saw that it is gone.
    pub async fn abort(mut self) -> bool {
        self.framed.undo(CLEANING).await || self.framed.cut(CLEANING).await
    }
}

#[async_trait]
impl StreamWriter for FilesWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        FilesWriter::write(self, bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<Restored, Failure> {
        let report = FilesWriter::finish(*self).await?;
        Ok(Restored { entries: report.entries, size_bytes: report.size_bytes, warnings: report.warnings })
    }

    async fn abort(self: Box<Self>) -> bool {
        FilesWriter::abort(*self).await
    }
}

/// A failure after the word to move things into place. Nobody knows then how far it came, so it must neither look like
/// one that touched nothing nor be tried again by itself.
fn while_placing(failure: Failure) -> Failure {
    match failure.code {
        FailureCode::ConnectionLost | FailureCode::Stalled => Failure::new(
            Step::Place,
            FailureCode::RestoreIncomplete,
            format!(
                "the connection broke while the tree was moved into place, the target may be incomplete: {}",
                failure.detail
            ),
        ),
        _ => Failure { step: Step::Place, ..failure },
    }
}

impl Hearer for State {
    fn output(&mut self, line: &[u8]) {
        match line {
            b"holdfast:done" => self.done = true,
            b"holdfast:skipped" => self.report.skipped += 1,
            _ => {
                if let Some(user) = line.strip_prefix(b"holdfast:ready ") {
                    self.ready = std::str::from_utf8(user).ok().and_then(|user| user.parse().ok());
                }
                if let Some(staged) = Staged::parse(line) {
                    self.staged = Some(staged);
                }
            }
        }
    }

    fn line(&mut self, line: Line, words: &mut Words) {
        let text = match line {
            Line::Ours { key, value } => return self.take_ours(&key, &String::from_utf8_lossy(&value)),
            Line::Text(text) => text,
        };
        match while_extracting(&text) {
            Judged::Noise => {}
            Judged::Warning(warning) => {
                self.tolerated += 1;
                self.report.warnings.push(warning);
            }
            Judged::Unknown => {
                self.full |= is_full(&text);
                words.quote(&text);
            }
        }
    }

    /// The program ended, or tar did, and not well.
    fn why_ended(&self, status: u32, words: &Words) -> Failure {
        if let Some(refused) = &self.refused {
            return match self.incomplete {
                false => refused.clone(),
                true => Failure::new(
                    Step::Place,
                    FailureCode::RestoreIncomplete,
                    format!("the target is incomplete, some of it was placed: {}", refused.detail),
                ),
            };
        }
        if self.ready.is_none() {
            return refusal::not_begun(status, words);
        }
        let code = if self.full { FailureCode::TargetUnwritable } else { FailureCode::RestoreIncomplete };
        Failure::new(Step::Stage, code, words.explain(&format!("unpacking ended with status {status}")))
    }
}

impl State {
    fn take_ours(&mut self, key: &str, value: &str) {
        let warn = |message: String| Warning { code: WarningCode::NotRestored, path: None, message };
        match (key, key.strip_prefix("refused ")) {
            (_, Some(why)) => self.refused = Some(refusal::of_target(why, value)),
            ("tool tar", _) => {
                let version = printable(value.lines().next().unwrap_or_default(), 100);
                self.report.tools.insert("tar".to_owned(), version);
            }
            ("not_root", _) => {
                self.report.warnings.push(warn(format!("owners were not set: {} is not root", printable(value, 64))));
            }
            ("incomplete", _) => self.incomplete = true,
            ("left", _) => self.report.warnings.push(warn(format!("{} could not be removed", printable(value, 1024)))),
            _ => {}
        }
    }

    /// Whether what was unpacked is what was sent.
    fn judge(&mut self, expected_entries: Option<u64>, words: &Words) -> Result<RestoreReport, Failure> {
        let incomplete = |detail: String| Failure::new(Step::Stage, FailureCode::RestoreIncomplete, detail);
        let staged = self.staged.clone().unwrap_or_default();
        // 2 is also tar's status when only an owner or an attribute could not be set, each with a line of its own.
        let is_good = staged.status == 0 || (staged.status == 2 && self.tolerated > 0);
        if !is_good || !words.is_silent() {
            return Err(self.why_ended(staged.status, words));
        }
        if let Some(expected) = expected_entries.filter(|expected| *expected != staged.listed) {
            return Err(incomplete(format!("{} entries arrived, {expected} were sent.", staged.listed)));
        }
        if staged.entries == 0 {
            return Err(incomplete("nothing was unpacked.".to_owned()));
        }
        self.report.entries = staged.entries;
        self.report.files = staged.files;
        self.report.size_bytes = staged.size_bytes;
        staged.warnings().into_iter().for_each(|warning| self.report.warnings.push(warning));
        Ok(self.report.clone())
    }
}

/// Whether tar's sentence is about room: a write that was cut short is all that it says at the first full block.
fn is_full(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    said.contains(": Wrote only ")
        || ["No space left on device", "Disk quota exceeded"].iter().any(|end| said.ends_with(end))
}
