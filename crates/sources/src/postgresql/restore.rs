//! An archive being put back by pg_restore, in one transaction: all of it or nothing. A database that is made for it goes
//! away again unless everything was counted and found good; one that existed is as it was unless the transaction ended.

use super::archive::Archive;
use super::{Found, find, login, refused};
use crate::database::{DatabaseLogin, DatabaseTarget};
use crate::framed::{Framed, Hearer};
use crate::lines::{Line, Words};
use crate::refusal;
use crate::stream::{Restored, StreamWriter};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::{DatabaseFacts, OmittedKind};
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::time::Duration;

/// What runs on the server.
pub(super) const PROGRAM: &str = concat!(
    include_str!("../say.sh"),
    include_str!("../feed.sh"),
    include_str!("connect.sh"),
    include_str!("restore.sh")
);

/// How long undoing may take.
const CLEANING: Duration = Duration::from_secs(40);

/// The longest table of contents that is held back until it is known what of it is wanted.
const CONTENTS_BYTES: u64 = 128 * 1024 * 1024;

/// Missing roles that a warning names.
const ROLES_NAMED: usize = 20;

/// Looks whether it can be done, and starts it unless that was all that was asked.
pub(super) async fn open(
    mut session: Session,
    target: &DatabaseTarget,
    login: &DatabaseLogin,
) -> Result<Box<dyn StreamWriter>, Failure> {
    let wanted = std::slice::from_ref(&target.database);
    let found = find(&mut session, login, "pg_restore", wanted, &target.facts.roles).await?;
    let exists = check_target(&found, target)?;
    let mut warnings = Warnings::default();
    let keeps_owners = judge_roles(&found, &target.facts, &mut warnings);
    warn_of_omitted(&target.facts, &mut warnings);
    let omit = target.facts.omitted.iter().filter(|one| !matches!(one.kind, OmittedKind::Rows));
    let archive = Archive::without(omit.filter_map(|one| one.catalogue_id).collect());
    let mut writer = PgRestore { framed: None, archive, held: Some(Vec::new()), exists, warnings };
    if !target.dry_run {
        let program = start(session, target, login, (&found, exists, keeps_owners)).await?;
        writer.framed = Some(program);
    }
    Ok(Box::new(writer))
}

async fn start(
    session: Session,
    target: &DatabaseTarget,
    login: &DatabaseLogin,
    (found, exists, keeps_owners): (&Found, bool, bool),
) -> Result<Framed<Program>, Failure> {
    let port = login::port(login);
    let home = if exists { &target.database } else { &found.home };
    let mut fields = login::fields(login, &port, home)?.to_vec();
    login::fields(login, &port, &target.database)?;
    let flag = |on: bool| if on { &b"1"[..] } else { b"0" };
    fields.extend([target.database.as_bytes(), flag(!exists)]);
    let setting = |name: &str, other: &'static str| target.facts.settings.get(name).map_or(other, String::as_str);
    let settings = [
        ("encoding", setting("encoding", "UTF8")),
        ("collate", setting("collate", "C")),
        ("ctype", setting("ctype", "C")),
        ("provider", setting("provider", "c")),
        ("locale", setting("locale", "")),
    ];
    let count = settings.len().to_string();
    fields.push(count.as_bytes());
    fields.extend(settings.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    fields.extend([flag(keeps_owners), flag(exists)]);
    let mut framed = Framed::start(session, PROGRAM, &fields, Program::default()).await?;
    framed.until(|program| program.ready).await?;
    Ok(framed)
}

/// Whether the target exists; and whether that is right.
fn check_target(found: &Found, target: &DatabaseTarget) -> Result<bool, Failure> {
    let refuse = |code, detail: String| Err(Failure::new(Step::Prepare, code, detail));
    let name = printable(&target.database, 100);
    let exists = found.databases.iter().any(|row| row.name == target.database);
    if exists && !target.existing {
        return refuse(FailureCode::TargetExists, format!("database {name} exists."));
    }
    if !exists && !found.server.may_create {
        let user = printable(&found.server.user, 100);
        return refuse(FailureCode::MissingRight, format!("user {user} may not make databases (CREATEDB)."));
    }
    Ok(exists)
}

/// Owners and rights come back only where every role of the dump is there and we may act for it: half of them would be a
/// database that looks like the old one and is open to others.
fn judge_roles(found: &Found, facts: &DatabaseFacts, warnings: &mut Warnings) -> bool {
    let mine = |role: &&String| found.roles.iter().any(|there| there.name == **role && there.mine);
    let others: Vec<_> = facts.roles.iter().filter(|role| !mine(role)).map(|role| printable(role, 64)).collect();
    if others.is_empty() {
        return true;
    }
    let named = others[..others.len().min(ROLES_NAMED)].join(", ");
    let more = if others.len() > ROLES_NAMED { " and others" } else { "" };
    let user = printable(&found.server.user, 64);
    warnings.push(Warning {
        code: WarningCode::NotRestored,
        path: None,
        message: format!(
            "owners and privileges were not restored, everything belongs to {user}: roles {named}{more} are not there, or \
             {user} is no member of them"
        ),
    });
    false
}

fn warn_of_omitted(facts: &DatabaseFacts, warnings: &mut Warnings) {
    for one in facts.omitted.iter().filter(|one| !matches!(one.kind, OmittedKind::Table | OmittedKind::Rows)) {
        let parts = [one.schema.as_deref(), one.table.as_deref(), Some(one.name.as_str())];
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
        warnings.push(Warning {
            code: WarningCode::NotRestored,
            path: Some(printable(&name, 1024)),
            message: "needs a table that the backup leaves out".to_owned(),
        });
    }
}

/// An archive on its way.
struct PgRestore {
    // None: only looked.
    framed: Option<Framed<Program>>,
    archive: Archive,
    // What waits until it is known what of the archive is wanted; none once that was said.
    held: Option<Vec<Bytes>>,
    exists: bool,
    warnings: Warnings,
}

#[async_trait]
impl StreamWriter for PgRestore {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.archive.feed(&bytes).map_err(|malformed| incomplete(format!("the copy is no archive: {malformed}.")))?;
        let Some(framed) = &mut self.framed else { return Ok(()) };
        match &mut self.held {
            None => framed.write(bytes).await?,
            Some(held) => {
                held.push(bytes);
                if self.archive.has_contents() || !self.archive.omits() {
                    let list = if self.archive.has_omitted() { self.archive.list() } else { String::new() };
                    framed.write(Bytes::from(format!("{}\n{list}", list.len()))).await?;
                    for piece in self.held.take().unwrap_or_default() {
                        framed.write(piece).await?;
                    }
                } else if self.archive.toc_bytes() > CONTENTS_BYTES {
                    return Err(incomplete(
                        "the archive's table of contents is too long to leave out parts of it.".to_owned(),
                    ));
                }
            }
        }
        match framed.heard() {
            (Program { failed: Some(status), .. }, _) => {
                let status = *status;
                let (program, words) = framed.heard();
                Err(program.why_ended(status, words))
            }
            _ => Ok(()),
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<Restored, Failure> {
        let Some(mut framed) = self.framed.take() else {
            return Ok(Restored { warnings: self.warnings, ..Restored::default() });
        };
        match self.complete(&mut framed).await {
            Err(failure) if failure.step != Step::Place => Err(undone(framed, failure).await),
            ended => ended,
        }
    }

    async fn abort(mut self: Box<Self>) -> bool {
        match self.framed.take() {
            None => true,
            Some(mut framed) => match framed.undo(CLEANING).await {
                true => framed.hearer().left.is_none(),
                false => framed.cut(CLEANING).await,
            },
        }
    }
}

/// Undoes; `failure`, and that the new database is still there, if it is.
async fn undone(mut framed: Framed<Program>, failure: Failure) -> Failure {
    let has_ended = framed.undo(CLEANING).await;
    let left = framed.hearer().left.take();
    if !has_ended {
        framed.cut(CLEANING).await;
    }
    match left {
        None => failure,
        Some(why) => {
            let detail = format!("{} The database that was made could not be dropped: {why}", failure.detail);
            Failure::new(Step::Place, FailureCode::RestoreIncomplete, detail)
        }
    }
}

impl PgRestore {
    async fn complete(&mut self, framed: &mut Framed<Program>) -> Result<Restored, Failure> {
        if self.held.is_some() || !self.archive.is_whole() {
            return Err(incomplete("the archive ends in the middle.".to_owned()));
        }
        framed.end().await?;
        let judged = framed.until(|program| program.restored.is_some() || program.failed.is_some()).await;
        judged.map_err(|failure| if self.exists { unknown(&failure) } else { failure })?;
        let (program, words) = framed.heard();
        let Some((tables, size_bytes)) = program.restored else {
            return Err(program.why_ended(program.failed.unwrap_or_default(), words));
        };
        self.warnings.count += program.warnings.count;
        self.warnings.kept.append(&mut program.warnings.kept);
        let expected = self.archive.tables().len() as u64;
        // Others may have tables of their own in a database that existed.
        if self.archive.is_known() && (tables < expected || (!self.exists && tables != expected)) {
            let detail = format!("{tables} tables are there, {expected} were sent.");
            return Err(match self.exists {
                true => Failure::new(Step::Place, FailureCode::TargetIncomplete, detail),
                false => incomplete(detail),
            });
        }
        let kept = match framed.say("keep").await {
            Ok(()) => framed.until(|program| program.done).await,
            failed => failed,
        };
        // What was put into a database that existed is there already.
        match kept {
            Err(failure) if !self.exists => return Err(unknown(&failure)),
            _ => drop(framed.until_exit().await),
        }
        Ok(Restored { entries: tables, size_bytes, warnings: std::mem::take(&mut self.warnings) })
    }
}

fn incomplete(detail: String) -> Failure {
    Failure::new(Step::Stage, FailureCode::RestoreIncomplete, detail)
}

/// The connection broke when the end was near: it is all there or nothing is, and nobody can say which.
fn unknown(failure: &Failure) -> Failure {
    let detail = format!(
        "the connection broke while the restore was completed, all of it is there or nothing: {}",
        failure.detail
    );
    Failure::new(Step::Place, FailureCode::RestoreIncomplete, detail)
}

/// What the program has said so far.
#[derive(Default)]
struct Program {
    ready: bool,
    // Tables and bytes that are there now.
    restored: Option<(u64, u64)>,
    failed: Option<u32>,
    done: bool,
    refused: Option<Failure>,
    why: Option<FailureCode>,
    left: Option<String>,
    warnings: Warnings,
}

impl Hearer for Program {
    fn output(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split(' ');
        let number = |words: &mut std::str::Split<'_, char>| words.next().and_then(|word| word.parse::<u64>().ok());
        match words.next() {
            Some("holdfast:ready") => self.ready = true,
            Some("holdfast:done") => self.done = true,
            Some("holdfast:failed") => {
                let status = number(&mut words).and_then(|status| u32::try_from(status).ok());
                self.failed = Some(status.unwrap_or(1));
            }
            Some("holdfast:restored") => {
                self.restored = number(&mut words).zip(number(&mut words));
            }
            _ => {}
        }
    }

    fn line(&mut self, line: Line, words: &mut Words) {
        let text = match line {
            Line::Ours { key, value } => return self.take_ours(&key, &String::from_utf8_lossy(&value)),
            Line::Text(text) => text,
        };
        let said = String::from_utf8_lossy(&text);
        if let Some(warning) = said.strip_prefix("pg_restore: warning: ") {
            let message = printable(&format!("pg_restore: {warning}"), 500);
            self.warnings.push(Warning { code: WarningCode::NotRestored, path: None, message });
        } else if said.contains("error: ") {
            // The statement that follows may be long, and hold rows.
            self.why = self.why.or(refused::tool(&said));
            words.quote(&text);
        }
    }

    fn why_ended(&self, status: u32, words: &Words) -> Failure {
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        if !self.ready {
            return refusal::not_begun(status, words);
        }
        let said = words.explain(&format!("pg_restore ended with status {status}"));
        Failure::new(Step::Stage, self.why.unwrap_or(FailureCode::RestoreIncomplete), said)
    }
}

impl Program {
    fn take_ours(&mut self, key: &str, value: &str) {
        match (key, key.strip_prefix("refused ")) {
            (_, Some("database")) => self.refused = Some(refused::psql(Step::Stage, 0, value)),
            (_, Some(why)) => self.refused = Some(refusal::of_target(why, value)),
            ("left", _) => self.left = Some(printable(value, 200)),
            ("locale", _) => self.warnings.push(Warning {
                code: WarningCode::NotRestored,
                path: None,
                message: "the server has not the backup's locale; the database was made with the server's own"
                    .to_owned(),
            }),
            _ => {}
        }
    }
}
