//! Writing a copy: one snapshot of the database, streamed to a file that gets its name when it is whole, or to whoever
//! takes the bytes and is told when they are whole.

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
/// Written at a time.
const PIECE_BYTES: usize = 256 * 1024;

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
    write(pool, Some(kek), path, parse(recipients)?).await
}

/// As [`write_encrypted`], to `out`: returns after the last piece was taken. A copy that is not whole ends in an error.
///
/// # Errors
/// As [`write_encrypted`]; or `out` was closed.
pub async fn send_encrypted(pool: &PgPool, kek: &Kek, recipients: &[String], out: mpsc::Sender<Bytes>) -> Result<()> {
    let recipients = parse(recipients)?;
    copy(pool, Some(kek), move |parts| {
        let (pieces, is_whole) = encode(Pieces { out, piece: Vec::new() }, &recipients, parts)?;
        if is_whole { pieces.finish() } else { Ok(()) }
    })
    .await
}

fn parse(recipients: &[String]) -> Result<Vec<age::x25519::Recipient>> {
    let parse = |text: &String| {
        text.parse::<age::x25519::Recipient>().map_err(|error| anyhow!("{text:?} is no age recipient (age1…): {error}"))
    };
    let recipients = recipients.iter().map(parse).collect::<Result<Vec<_>>>()?;
    if recipients.is_empty() {
        bail!("a copy with the key in it must have a recipient");
    }
    Ok(recipients)
}

async fn write(pool: &PgPool, kek: Option<&Kek>, path: &Path, recipients: Vec<age::x25519::Recipient>) -> Result<()> {
    let file = PartFile::create(path)?;
    copy(pool, kek, move |parts| {
        // A copy that lacks its end is worth nothing, and would be found when it is needed.
        if encode(&file.file, &recipients, parts)?.1 { file.keep() } else { Ok(()) }
    })
    .await
}

/// Reads the database while `write` writes on a thread of its own: age and zstd work synchronously. The channel's bound
/// is what keeps the database from running ahead of the disk.
async fn copy(
    pool: &PgPool,
    kek: Option<&Kek>,
    write: impl FnOnce(mpsc::Receiver<Part>) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = tokio::task::spawn_blocking(move || write(receiver));
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

/// Compresses and encrypts to `out`; gives it back, and whether the last part came.
fn encode<W: Write>(
    out: W,
    recipients: &[age::x25519::Recipient],
    mut parts: mpsc::Receiver<Part>,
) -> Result<(W, bool)> {
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
    let out = std::io::BufWriter::with_capacity(PIECE_BYTES, out);
    let out = if recipients.is_empty() {
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
    Ok((out.into_inner().map_err(std::io::IntoInnerError::into_error)?, is_whole))
}

/// Hands what is written on, piece by piece.
struct Pieces {
    out: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

impl Pieces {
    fn finish(mut self) -> Result<()> {
        self.send().context("handing the end of the copy on")
    }

    fn send(&mut self) -> std::io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        let closed = |_| std::io::Error::new(std::io::ErrorKind::BrokenPipe, "nobody takes the copy any more");
        self.out.blocking_send(piece).map_err(closed)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
