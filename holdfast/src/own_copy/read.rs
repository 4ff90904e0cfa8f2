//! Loading a copy into an empty database, in one transaction. The file says which tables and rows there are, and
//! nothing else: no statement of it is ever executed.

use super::tables::{self, Table};
use super::{COPY, END, HEAD, KEK, MIGRATION, QUEUE, ROWS_END, SEQUENCE};
use crate::schema;
use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast_vault::Kek;
use sqlx::postgres::{PgConnection, PgPool};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use tokio::sync::mpsc;

/// A row with a long log line or a large manifest stays well below it; a file that goes on without a line's end is not ours.
const LINE_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// What a load gave.
pub struct Loaded {
    /// Rows of all tables.
    pub rows: u64,
}

/// Fills an empty database from `path`. `take_key` is called with the key before anything becomes visible; when it
/// fails, nothing does.
///
/// # Errors
/// The file does not open or is not whole, the database has content, or a row does not fit.
pub async fn load(
    pool: &PgPool,
    path: &Path,
    identity: &Path,
    take_key: impl FnOnce(Kek) -> Result<()>,
) -> Result<Loaded> {
    let reader = open(path, identity)?;
    let (sender, lines) = mpsc::channel(QUEUE);
    let reading = tokio::task::spawn_blocking(move || read_lines(reader, &sender));
    let mut lines = Lines(lines);
    let loaded = load_lines(pool, &mut lines, take_key).await;
    drop(lines);
    // A cut or forged file shows in the reader first; what the loader then says is only its effect.
    reading.await.context("the file's reader")?.with_context(|| format!("{} cannot be read", path.display()))?;
    loaded
}

fn open(path: &Path, identity: &Path) -> Result<impl BufRead + Send + 'static> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let identities = age::IdentityFile::from_file(identity.to_string_lossy().into_owned())
        .and_then(|file| file.into_identities().map_err(std::io::Error::other))
        .with_context(|| format!("{} is no age identity file (AGE-SECRET-KEY-1…)", identity.display()))?;
    let decryptor = age::Decryptor::new(BufReader::new(file))
        .with_context(|| format!("{} is not encrypted with age: is it a file of `admin backup`?", path.display()))?;
    let plain = decryptor
        .decrypt(identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity))
        .with_context(|| format!("the key in {} does not open {}", identity.display(), path.display()))?;
    Ok(BufReader::new(zstd::Decoder::new(plain)?))
}

fn read_lines(mut reader: impl BufRead, sender: &mpsc::Sender<Vec<u8>>) -> Result<()> {
    let mut ended = false;
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            if !ended {
                bail!("it is cut short");
            }
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            bail!("it is cut short");
        }
        ended = line == END.as_bytes();
        if sender.blocking_send(line).is_err() {
            // The loader gave up and says why.
            return Ok(());
        }
    }
}

struct Lines(mpsc::Receiver<Vec<u8>>);

impl Lines {
    async fn take(&mut self) -> Result<Vec<u8>> {
        self.0.recv().await.context("the file is cut short")
    }

    async fn text(&mut self) -> Result<String> {
        String::from_utf8(self.take().await?).map_err(|_| anyhow!("the file has a line that is no text"))
    }
}

async fn load_lines(pool: &PgPool, lines: &mut Lines, take_key: impl FnOnce(Kek) -> Result<()>) -> Result<Loaded> {
    let (migrations, kek) = read_head(lines).await?;
    refuse_content(pool).await?;
    schema::migrate_to(pool, &migrations).await?;
    let mut connection = pool.acquire().await?.detach();
    sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
    let tables = tables::in_order(&mut connection).await?;
    set_force(&mut connection, &tables, "NO FORCE").await?;
    let rows = load_tables(&mut connection, &tables, lines).await?;
    forget_unfinished(&mut connection, &tables).await?;
    // What waits for the commit (the audit log's chain) runs now: a table that something waits for cannot be altered.
    sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut connection).await?;
    set_force(&mut connection, &tables, "FORCE").await?;
    take_key(kek)?;
    sqlx::raw_sql("COMMIT").execute(&mut connection).await.context("committing the copy")?;
    schema::migrate(pool, &schema::CopyBefore::NotNeeded).await?;
    Ok(Loaded { rows })
}

async fn read_head(lines: &mut Lines) -> Result<(Vec<String>, Kek)> {
    if lines.text().await? != HEAD {
        bail!("the file is no copy of ours");
    }
    let mut migrations = Vec::new();
    loop {
        let line = lines.text().await?;
        if let Some(name) = line.strip_prefix(MIGRATION) {
            migrations.push(name.to_owned());
        } else if let Some(key) = line.strip_prefix(KEK) {
            let text = STANDARD.decode(key).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let kek = text.as_deref().and_then(Kek::import).context("the key in the file is damaged")?;
            return Ok((migrations, kek));
        } else {
            bail!("there is no key in the file");
        }
    }
}

/// Tables alone are no content: a load that failed half way leaves them, and may be tried again.
async fn refuse_content(pool: &PgPool) -> Result<()> {
    let has_tables: bool = sqlx::query_scalar("SELECT to_regclass('vault_keys') IS NOT NULL").fetch_one(pool).await?;
    let rows =
        "SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM teams) OR EXISTS (SELECT 1 FROM vault_keys)";
    if has_tables && sqlx::query_scalar(rows).fetch_one(pool).await? {
        bail!("the database is in use already: restore into a new data folder or an empty database");
    }
    Ok(())
}

/// A copy that was being made when this one was: this very one, most likely. Its row would be ended as a failure and its
/// object removed, while the old installation may have finished it.
async fn forget_unfinished(connection: &mut PgConnection, tables: &[Table]) -> Result<()> {
    if tables.iter().any(|table| table.name == "own_backups") {
        sqlx::raw_sql("DELETE FROM own_backups WHERE status <> 'succeeded'").execute(connection).await?;
    }
    Ok(())
}

/// COPY refuses a table whose row-level security holds for its owner too; it is in force again before the commit.
async fn set_force(connection: &mut PgConnection, tables: &[Table], word: &'static str) -> Result<()> {
    for table in tables.iter().filter(|table| table.is_forced) {
        let statement = format!("ALTER TABLE \"{}\" {word} ROW LEVEL SECURITY", table.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn load_tables(connection: &mut PgConnection, tables: &[Table], lines: &mut Lines) -> Result<u64> {
    let mut rows = 0;
    let mut expected = tables.iter();
    loop {
        let line = lines.text().await?;
        if line == END {
            break;
        } else if line.starts_with(COPY) {
            let table = expected.next().context("the file has more tables than the database")?;
            // Built from the catalogue and compared, never taken from the file.
            if line != format!("{COPY}{} FROM stdin;", table.with_columns()) {
                bail!("the table {} in the file is not the one in the database", table.name);
            }
            rows += load_rows(connection, table, lines)
                .await
                .with_context(|| format!("filling the table {}", table.name))?;
        } else if line.starts_with(SEQUENCE) {
            load_sequence(connection, tables, &line).await?;
        } else {
            bail!("the file has a line that is not ours");
        }
    }
    if let Some(table) = expected.next() {
        bail!("the table {} is missing in the file", table.name);
    }
    Ok(rows)
}

async fn load_rows(connection: &mut PgConnection, table: &Table, lines: &mut Lines) -> Result<u64> {
    let mut copy = connection.copy_in_raw(&format!("COPY {} FROM STDIN", table.with_columns())).await?;
    loop {
        let mut line = lines.take().await?;
        if line == ROWS_END.as_bytes() {
            return Ok(copy.finish().await?);
        }
        line.push(b'\n');
        copy.send(line).await?;
    }
}

async fn load_sequence(connection: &mut PgConnection, tables: &[Table], line: &str) -> Result<()> {
    let found = tables.iter().find_map(|table| {
        let identity = table.identity.as_ref()?;
        let rest = line.strip_prefix(&format!("{SEQUENCE}'{}', '{identity}'), ", table.name))?;
        Some((table, identity, rest.strip_suffix(");")?.parse::<i64>().ok()?))
    });
    let (table, identity, last) = found.context("the file has a sequence that is not ours")?;
    sqlx::query("SELECT setval(pg_get_serial_sequence($1, $2), $3)")
        .bind(&table.name)
        .bind(identity)
        .bind(last)
        .execute(connection)
        .await?;
    Ok(())
}
