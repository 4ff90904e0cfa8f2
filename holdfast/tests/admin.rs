//! The operator's commands, run as an operator runs them, on a database whose owner is no superuser.

use holdfast_testbed::postgres::Database;
use sqlx::PgPool;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PASSWORD: &str = "CANARY-password-7f3a";

/// A database and a key file.
struct Site {
    database: Database,
    folder: tempfile::TempDir,
}

impl Site {
    async fn migrated() -> Self {
        Self { database: Database::fresh().await.expect("database"), folder: tempfile::tempdir().expect("folder") }
    }

    async fn empty() -> Self {
        Self { database: Database::empty().await.expect("database"), folder: tempfile::tempdir().expect("folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(arguments)
            .env("DATABASE_URL", self.database.owner_url())
            .env("HOLDFAST__VAULT__KEK_FILE", self.path("kek"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        // A command that refuses early does not read its input.
        let _ = child.stdin.take().expect("stdin").write_all(input.as_bytes());
        child.wait_with_output().expect("wait")
    }

    fn ok(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    fn create_user(&self, email: &str) {
        self.ok(&user(email), &format!("{PASSWORD}\n"));
    }

    async fn pool(&self) -> PgPool {
        self.database.owner_pool().await.expect("connect")
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool().await).await.expect(sql)
    }
}

fn user(email: &str) -> [&str; 9] {
    [
        "admin",
        "create-user",
        "--email",
        email,
        "--name",
        "Ann \"O'Neil\" \\",
        "--timezone",
        "Europe/Oslo",
        "--password-stdin",
    ]
}

fn identity(folder: &Path, name: &str) -> (String, String) {
    let file = folder.join(name);
    assert!(Command::new("age-keygen").arg("-o").arg(&file).stderr(Stdio::null()).status().expect("age").success());
    let text = std::fs::read_to_string(&file).expect("identity");
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("recipient").to_owned();
    (file.to_str().expect("path").to_owned(), recipient)
}

#[tokio::test]
async fn a_user_gets_a_team_with_its_keys_and_nothing_in_clear() {
    let site = Site::migrated().await;
    assert_eq!(site.ok(&user("ann@example.org"), PASSWORD), "user 1 with team 1 was made\n");
    assert_eq!(site.count("SELECT count(*) FROM team_keys WHERE team_id = 1").await, 3);
    let hash: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&site.pool().await).await.expect("user");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(site.refused(&user("ANN@example.org"), PASSWORD).contains("somebody already has"));
    assert!(site.refused(&user("bob@example.org"), "short").contains("at least 8 characters"));
    assert!(site.refused(&user("bob@example.org"), "").contains("no password"));
    assert!(site.refused(&user("bob"), PASSWORD).contains("no e-mail address"));
    let mut odd = user("bob@example.org");
    odd[7] = "Mars/Olympus";
    assert!(site.refused(&odd, PASSWORD).contains("time zone"));
    assert_eq!(site.count("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_token_is_printed_alone_and_stored_as_a_hash() {
    let site = Site::migrated().await;
    site.create_user("ann@example.org");
    let abilities = "view-backups,run-backup-tasks";
    let arguments = ["admin", "create-token", "--email", "ann@example.org", "--name", "ci", "--abilities", abilities];
    let printed = site.ok(&arguments, "");
    let (id, secret) = printed.strip_suffix('\n').and_then(|line| line.split_once('|')).expect("id|secret");
    assert!(id.parse::<i64>().is_ok() && secret.starts_with("hf_") && !secret.contains(char::is_whitespace));
    let found: Vec<String> = sqlx::query_scalar("SELECT unnest(abilities) FROM find_token(sha256($1::bytea))")
        .bind(secret.as_bytes())
        .fetch_all(&site.pool().await)
        .await
        .expect("look-up");
    assert_eq!(found, ["view-backups", "run-backup-tasks"]);
    let unknown =
        ["admin", "create-token", "--email", "ann@example.org", "--name", "ci", "--abilities", "view-backups,root"];
    assert!(site.refused(&unknown, "").contains("\"root\""));
    let nobody = ["admin", "create-token", "--email", "bob@example.org", "--name", "ci", "--abilities", "*"];
    assert!(site.refused(&nobody, "").contains("no active user"));
}

#[tokio::test]
async fn a_token_ends_at_its_time_or_when_it_is_revoked() {
    let site = Site::migrated().await;
    site.create_user("ann@example.org");
    let pool = site.pool().await;
    let lives = async |printed: &str| -> bool {
        let secret = printed.trim().split_once('|').expect("id|secret").1.to_owned();
        let found: i64 = sqlx::query_scalar("SELECT count(*) FROM find_token(sha256($1::bytea))")
            .bind(secret.as_bytes())
            .fetch_one(&pool)
            .await
            .expect("look-up");
        found == 1
    };
    let make = ["admin", "create-token", "--email", "ann@example.org", "--name", "ci", "--abilities", "*"];
    let (kept, taken_back) = (site.ok(&make, ""), site.ok(&make, ""));
    let ending = site.ok(&[&make[..], &["--expires-in-days", "2"]].concat(), "");
    assert!(lives(&kept).await && lives(&taken_back).await && lives(&ending).await);
    let id = taken_back.split_once('|').expect("id|secret").0;
    let revoke = ["admin", "revoke-token", "--email", "ann@example.org", "--id", id];
    site.ok(&revoke, "");
    assert!(lives(&kept).await && !lives(&taken_back).await);
    assert!(site.refused(&revoke, "").contains("no token"));
    let set = "SELECT count(*) FROM tokens WHERE expires_at BETWEEN now() + interval '47 hours' AND now() + interval '2 days'";
    assert_eq!(site.count(set).await, 1);
    sqlx::query("UPDATE tokens SET expires_at = now() WHERE expires_at IS NOT NULL")
        .execute(&pool)
        .await
        .expect("later");
    assert!(lives(&kept).await && !lives(&ending).await);
}

#[tokio::test]
async fn the_recovery_kit_holds_the_key_that_belongs_to_the_team() {
    let site = Site::migrated().await;
    site.create_user("ann@example.org");
    let page = site.ok(&["admin", "recovery-kit", "--team", "1"], "");
    let identity = page.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).expect("identity");
    let recipient: String = sqlx::query_scalar("SELECT public FROM team_keys WHERE purpose = 'age'")
        .fetch_one(&site.pool().await)
        .await
        .expect("key");
    let file = site.path("identity");
    std::fs::write(&file, identity).expect("write");
    let derived = Command::new("age-keygen").arg("-y").arg(&file).output().expect("age-keygen");
    assert_eq!(String::from_utf8_lossy(&derived.stdout).trim(), recipient);
    assert!(site.refused(&["admin", "recovery-kit", "--team", "2"], "").contains("no team 2"));
}

#[tokio::test]
async fn a_backup_of_the_product_comes_back_in_an_empty_database() {
    let old = Site::migrated().await;
    old.create_user("ann@example.org");
    old.create_user("bob@example.org");
    let odd = "tab\t line\n back\\slash \\. \u{202e}";
    let insert = "INSERT INTO audit_events (team_id, action, subject, details) VALUES (1, 'x', $1, '{}')";
    let pool = old.pool().await;
    sqlx::query(insert).bind(odd).execute(&pool).await.expect("an odd row");
    sqlx::query("DELETE FROM users WHERE id = 2").execute(&pool).await.expect("a gap");
    let (key, recipient) = identity(old.folder.path(), "id");
    let file = old.path("own.age").to_str().expect("path").to_owned();
    old.ok(&["admin", "backup", "--to", &file, "--recipient", &recipient], "");
    assert!(old.refused(&["admin", "backup", "--to", &file, "--recipient", &recipient], "").contains("exists already"));

    let new = Site::empty().await;
    new.ok(&["admin", "restore", "--from", &file, "--identity", &key], "");
    assert_eq!(std::fs::read(old.path("kek")).expect("key"), std::fs::read(new.path("kek")).expect("key"));
    let pool = new.pool().await;
    let subject: String =
        sqlx::query_scalar("SELECT subject FROM audit_events WHERE action = 'x'").fetch_one(&pool).await.expect("row");
    assert_eq!(subject, odd);
    assert_eq!(
        new.ok(&["admin", "recovery-kit", "--team", "1"], ""),
        old.ok(&["admin", "recovery-kit", "--team", "1"], "")
    );
    let open = "SELECT count(*) FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity";
    assert_eq!(new.count(open).await, 0, "row-level security holds for the owner again");
    // An id that was given away once is not given away again.
    assert_eq!(new.ok(&user("eve@example.org"), PASSWORD), "user 3 with team 3 was made\n");
    assert!(new.refused(&["admin", "restore", "--from", &file, "--identity", &key], "").contains("in use already"));
}

#[tokio::test]
async fn nothing_is_loaded_from_a_file_that_is_not_whole_or_not_ours() {
    let old = Site::migrated().await;
    old.create_user("ann@example.org");
    let (key, recipient) = identity(old.folder.path(), "id");
    let (other_key, _) = identity(old.folder.path(), "other");
    let file = old.path("own.age").to_str().expect("path").to_owned();
    old.ok(&["admin", "backup", "--to", &file, "--recipient", &recipient], "");
    let plain =
        Command::new("sh").args(["-c", "age -d -i \"$1\" \"$2\" | zstd -d", "sh", &key, &file]).output().expect("age");
    let plain = String::from_utf8(plain.stdout).expect("text");
    let sealed = |name: &str, text: &str| {
        let path = old.path(name).to_str().expect("path").to_owned();
        let script = "zstd | age -r \"$1\" -o \"$2\"";
        let mut child =
            Command::new("sh").args(["-c", script, "sh", &recipient, &path]).stdin(Stdio::piped()).spawn().expect("sh");
        child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("write");
        assert!(child.wait().expect("wait").success());
        path
    };
    let without_end = plain.replace("-- end of the copy\n", "");
    let cut = &plain[..plain.len() / 2];
    let hostile = plain.replace("-- end of the copy", "DROP TABLE users;\n-- end of the copy");
    let program = plain.replace("FROM stdin;", "FROM PROGRAM 'touch /tmp/holdfast-owned';");
    let newer = plain.replace("-- migration: m2026", "-- migration: m2999");
    let new = Site::empty().await;
    for (file, key, said) in [
        (sealed("end", &without_end), &key, "cut short"),
        (sealed("cut", cut), &key, "cut short"),
        (sealed("hostile", &hostile), &key, "not ours"),
        (sealed("program", &program), &key, "is not the one"),
        (sealed("newer", &newer), &key, "newer Holdfast"),
        (file.clone(), &other_key, "does not open"),
    ] {
        let error = new.refused(&["admin", "restore", "--from", &file, "--identity", key], "");
        assert!(error.contains(said), "{file}: {error}");
        let tables = "SELECT count(*) FROM pg_class WHERE relname = 'users'";
        let is_empty = new.count(tables).await == 0 || new.count("SELECT count(*) FROM users").await == 0;
        assert!(is_empty && !new.path("kek").exists(), "{file}");
    }
    // A key that is there already stays, and nothing becomes visible beside it.
    let foreign = Site::migrated().await;
    foreign.create_user("eve@example.org");
    std::fs::copy(foreign.path("kek"), new.path("kek")).expect("copy");
    assert!(new.refused(&["admin", "restore", "--from", &file, "--identity", &key], "").contains("holds another key"));
    assert_eq!(new.count("SELECT count(*) FROM users").await, 0);
    std::fs::remove_file(new.path("kek")).expect("remove");
    new.ok(&["admin", "restore", "--from", &file, "--identity", &key], "");
    assert_eq!(new.count("SELECT count(*) FROM users").await, 1);
}

#[tokio::test]
async fn no_command_works_with_a_missing_wrong_or_open_key() {
    let site = Site::migrated().await;
    site.create_user("ann@example.org");
    let kek = site.path("kek");
    let kit = ["admin", "recovery-kit", "--team", "1"];
    let whole = std::fs::read_to_string(&kek).expect("key");
    std::fs::remove_file(&kek).expect("remove");
    assert!(site.refused(&kit, "").contains("is missing, and this database's secrets were sealed with it"));
    assert!(!kek.exists(), "a new key beside an old database would look like a working system");
    let other = Site::migrated().await;
    other.create_user("eve@example.org");
    std::fs::copy(other.path("kek"), &kek).expect("copy");
    assert!(site.refused(&kit, "").contains("is not the one"));
    std::fs::write(&kek, whole).expect("write");
    site.ok(&kit, "");
    Command::new("chmod").arg("644").arg(&kek).status().expect("chmod");
    assert!(site.refused(&kit, "").contains("chmod 600"));
}

#[tokio::test]
async fn migrate_makes_the_schema_once_and_asks_where_the_copy_goes_before_it_changes_data() {
    let site = Site::empty().await;
    let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migration/src/sql");
    let known = std::fs::read_dir(sql).expect("the migrations").count();
    assert!(site.ok(&["migrate"], "").contains(&format!("{known} migrations applied")));
    assert_eq!(site.ok(&["migrate"], ""), "the schema is up to date\n");
    site.create_user("ann@example.org");
    // As if one were still to come: the one that makes nothing but functions can be made again.
    let pool = site.pool().await;
    let forget = "DELETE FROM seaql_migrations WHERE version LIKE '%\\_functions'";
    assert_eq!(sqlx::query(forget).execute(&pool).await.expect("forget").rows_affected(), 1);
    assert!(site.refused(&["migrate"], "").contains("--copies DIR"));
    let copies = site.path("copies");
    let copies_text = copies.to_str().expect("path");
    assert!(site.ok(&["migrate", "--copies", copies_text], "").contains("the database as it was before is in"));
    let copy = std::fs::read_dir(&copies).expect("folder").flatten().next().expect("a copy").path();
    let text = Command::new("zstd").arg("-dc").arg(&copy).output().expect("zstd").stdout;
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains("ann@example.org") && text.ends_with("-- end of the copy\n") && !text.contains("-- kek"));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(&copy).expect("copy").mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_owner_without_rights_is_told_the_statement_that_helps() {
    let cluster = holdfast_testbed::postgres::Cluster::start().await.expect("cluster");
    let socket = cluster.socket_dir().to_owned();
    let superuser = |sql: String| {
        let mut psql = Command::new("psql");
        psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-h"])
            .arg(&socket)
            .arg("-c")
            .arg(sql);
        assert!(psql.status().expect("psql").success());
    };
    superuser("CREATE ROLE \"poor one\" LOGIN".to_owned());
    superuser("CREATE DATABASE poor OWNER \"poor one\"".to_owned());
    let migrate = || {
        let mut holdfast = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        let url = format!("postgres://poor%20one@localhost/poor?host={}", socket.display());
        holdfast.arg("migrate").env("DATABASE_URL", url).output().expect("start")
    };
    let refused = migrate();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let (_, statements) = said.split_once("let a superuser run: ").expect("the statements");
    superuser(statements.trim().to_owned());
    let output = migrate();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn what_acts_with_the_owners_rights_is_for_the_application_alone() {
    let pool = Database::fresh().await.expect("database").owner_pool().await.expect("connect");
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT p.proname::text FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace AND a.grantee = 0",
    )
    .fetch_all(&pool)
    .await
    .expect("rights");
    assert!(open.is_empty(), "any log-in of this server may call {open:?}");
}
