//! Writing a copy: one snapshot of the database, streamed to a file that gets its name when it is whole.

use super::tables::{self, Table};
use super::{COPY, END, HEAD, KEK, MIGRATION, QUEUE, ROWS_END, SEQUENCE};
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_vault::Kek;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnection, PgPool};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// zstd's level: rows of text, written once.
const LEVEL: i32 = 9;

/// Writes the database, without the key, compressed and not encrypted: it stays on this machine (mode 0600).
///
/// # Errors
/// The database cannot be read, or the file not be made; no file is left then.
pub async fn write_plain(pool: &PgPool, path: &Path) -> Result<()> {
    write(pool, None, path, Vec::new()).await
}

/// Writes the database and the key, encrypted to `recipients` (`age1…`).
///
/// # Errors
/// As [`write_plain`]; or a recipient is none.
pub async fn write_encrypted(pool: &PgPool, kek: &Kek, path: &Path, recipients: &[String]) -> Result<()> {
    let parse = |text: &String| {
        text.parse::<age::x25519::Recipient>().map_err(|error| anyhow!("{text:?} is no age recipient (age1…): {error}"))
    };
    let recipients = recipients.iter().map(parse).collect::<Result<Vec<_>>>()?;
    if recipients.is_empty() {
        bail!("a copy with the key in it must have a recipient");
    }
    write(pool, Some(kek), path, recipients).await
}

async fn write(pool: &PgPool, kek: Option<&Kek>, path: &Path, recipients: Vec<age::x25519::Recipient>) -> Result<()> {
    let file = PartFile::create(path)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    // age and zstd work synchronously; the channel's bound is what keeps the database from running ahead of the disk.
    let writer = tokio::task::spawn_blocking(move || write_file(file, &recipients, receiver));
    let read = read_database(pool, kek, &sender).await;
    let read = match read {
        Ok(()) => sender.send(Part::Whole).await.map_err(|_| anyhow!("the file's writer has ended")),
        Err(error) => Err(error),
    };
    drop(sender);
    // The writer's own error is the cause, the reader's its effect.
    writer.await.context("the file's writer")??;
    read
}

/// What goes to the file.
enum Part {
    Data(Bytes),
    /// Nothing is missing: the file may get its name.
    Whole,
}

async fn read_database(pool: &PgPool, kek: Option<&Kek>, sender: &mpsc::Sender<Part>) -> Result<()> {
    let mut connection = pool.acquire().await.context("the database cannot be reached")?.detach();
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await?;
    let mut head = format!("{HEAD}\n");
    let names: Vec<String> = sqlx::query_scalar("SELECT version::text FROM seaql_migrations ORDER BY version")
        .fetch_all(&mut connection)
        .await?;
    for name in names {
        head.push_str(&format!("{MIGRATION}{name}\n"));
    }
    if let Some(kek) = kek {
        head.push_str(&format!("{KEK}{}\n", STANDARD.encode(kek.export().expose_secret())));
    }
    send(sender, head).await?;
    let tables = tables::in_order(&mut connection).await?;
    for table in &tables {
        copy_rows(&mut connection, table, sender).await.with_context(|| format!("reading the table {}", table.name))?;
    }
    for table in &tables {
        if let Some(line) = sequence_line(&mut connection, table).await? {
            send(sender, line).await?;
        }
    }
    sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
    send(sender, format!("{END}\n")).await
}

async fn copy_rows(connection: &mut PgConnection, table: &Table, sender: &mpsc::Sender<Part>) -> Result<()> {
    let place = table.with_columns();
    send(sender, format!("{COPY}{place} FROM stdin;\n")).await?;
    let mut rows = connection.copy_out_raw(&format!("COPY {place} TO STDOUT")).await?;
    while let Some(row) = rows.try_next().await? {
        sender.send(Part::Data(row)).await.map_err(|_| anyhow!("the file's writer has ended"))?;
    }
    drop(rows);
    send(sender, format!("{ROWS_END}\n")).await
}

/// Ids are never used twice, not even those of rows that are gone.
async fn sequence_line(connection: &mut PgConnection, table: &Table) -> Result<Option<String>> {
    let Some(identity) = &table.identity else { return Ok(None) };
    let last: Option<i64> =
        sqlx::query_scalar("SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass)")
            .bind(&table.name)
            .bind(identity)
            .fetch_one(connection)
            .await?;
    Ok(last.map(|last| format!("{SEQUENCE}'{}', '{identity}'), {last});\n", table.name)))
}

async fn send(sender: &mpsc::Sender<Part>, text: String) -> Result<()> {
    sender.send(Part::Data(Bytes::from(text))).await.map_err(|_| anyhow!("the file's writer has ended"))
}

fn write_file(file: PartFile, recipients: &[age::x25519::Recipient], mut parts: mpsc::Receiver<Part>) -> Result<()> {
    let mut is_whole = false;
    let mut pump = |out: &mut dyn Write| -> Result<()> {
        while let Some(part) = parts.blocking_recv() {
            match part {
                Part::Data(bytes) => out.write_all(&bytes)?,
                Part::Whole => is_whole = true,
            }
        }
        Ok(())
    };
    let out = std::io::BufWriter::new(&file.file);
    let mut out = if recipients.is_empty() {
        let mut zstd = zstd::Encoder::new(out, LEVEL)?;
        pump(&mut zstd)?;
        zstd.finish()?
    } else {
        let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).context("encrypting the copy")?;
        let mut zstd = zstd::Encoder::new(encryptor.wrap_output(out).context("encrypting the copy")?, LEVEL)?;
        pump(&mut zstd)?;
        zstd.finish()?.finish()?
    };
    out.flush()?;
    drop(out);
    // A copy that lacks its end is worth nothing, and would be found when it is needed.
    if is_whole { file.keep() } else { Ok(()) }
}

/// A file under a passing name; removed unless it is kept.
struct PartFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
    is_kept: bool,
}

impl PartFile {
    fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            bail!("{} exists already; choose another name", path.display());
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .with_context(|| format!("{} cannot be made", part.display()))?;
        Ok(Self { file, part, path: path.to_owned(), is_kept: false })
    }

    fn keep(mut self) -> Result<()> {
        self.file.sync_all().context("writing the copy to the disk")?;
        std::fs::rename(&self.part, &self.path).context("naming the copy")?;
        self.is_kept = true;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).context("writing the folder to the disk")
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // Already failing: the error that led here is the one to tell.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}
