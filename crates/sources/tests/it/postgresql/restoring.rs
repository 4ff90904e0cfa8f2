//! Restores: all or nothing, into a new database or one that exists, whoever owned what.

use super::{BIG, Customer, spec, target};
use crate::support::Bench;
use bytes::Bytes;
use holdfast_domain::FailureCode::{MissingRight, MissingTool, RestoreIncomplete, TargetExists};
use holdfast_domain::Step;
use holdfast_domain::warning::WarningCode;
use holdfast_sources::database::DatabaseTarget;
use holdfast_sources::postgresql;
use holdfast_testbed::customer_postgres::SUPERUSER;
use std::time::Duration;

const SMALL: &str = "CREATE TABLE a AS SELECT n FROM generate_series(1, 100) n; CREATE TABLE b (id int PRIMARY KEY); \
    INSERT INTO b VALUES (1); CREATE VIEW v AS SELECT * FROM a;";

fn over(database: &str, target: DatabaseTarget) -> DatabaseTarget {
    DatabaseTarget { database: database.to_owned(), existing: true, ..target }
}

#[tokio::test]
async fn what_exists_is_refused_unless_said_and_then_replaced_in_one_step() {
    let customer = Customer::new().await;
    customer.database("db", SMALL).await;
    let dumped = customer.dump(&spec(&["db"])).await.unwrap();
    let new = target("db", &dumped.facts());
    let failure = customer.restore(&new, &dumped.bytes).await.err().unwrap();
    assert_eq!(failure.code, TargetExists, "{failure}");
    customer.ask("db", "DELETE FROM a; DROP VIEW v; CREATE TABLE mine AS SELECT 7 AS x").await;
    let restored = customer.restore(&over("db", new.clone()), &dumped.bytes).await.unwrap();
    assert_eq!(restored.entries, 3, "two of the backup, and the one that was there");
    assert_eq!(customer.ask("db", "SELECT (SELECT count(*) FROM v), (SELECT x FROM mine)").await, "100|7");
    // Something of others stands in the way: nothing is changed.
    customer.ask("db", "DELETE FROM a; CREATE VIEW other AS SELECT * FROM b; INSERT INTO b VALUES (2)").await;
    let failure = customer.restore(&over("db", new.clone()), &dumped.bytes).await.err().unwrap();
    assert_eq!(failure.code, RestoreIncomplete, "{failure}");
    assert_eq!(customer.ask("db", "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)").await, "0|2");
    // "May exist" also means that it need not.
    customer.restore(&over("fresh", new), &dumped.bytes).await.unwrap();
    assert_eq!(customer.everything("fresh").matches("COPY").count(), 2);
}

#[tokio::test]
async fn whatever_goes_wrong_no_half_database_stays() {
    let customer = Customer::new().await;
    customer.database("db", &format!("{BIG} CREATE UNIQUE INDEX ON big (id); {SMALL}")).await;
    let dumped = customer.dump(&spec(&["db"])).await.unwrap();
    let new = target("new", &dumped.facts());
    let half = &dumped.bytes[..dumped.bytes.len() / 2];
    // An archive that ends in the middle, at its head, and one with a byte turned.
    let mut turned = dumped.bytes.clone();
    let at = turned.windows(12).position(|window| window == b"CREATE TABLE").unwrap();
    turned[at] = b'X';
    for (what, archive) in
        [("half", half), ("head", &dumped.bytes[..3000]), ("turned", &turned), ("no archive", b"select 1;")]
    {
        let failure = customer.restore(&new, archive).await.err().unwrap();
        assert_eq!(failure.code, RestoreIncomplete, "{what}: {failure}");
        assert_eq!(customer.databases().await, ["db"], "{what}");
    }
    let begin = async || {
        let mut writer = postgresql::restore(customer.bench.session().await, &new, &customer.login()).await.unwrap();
        for piece in half.chunks(100_000) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        assert_eq!(customer.databases().await, ["db", "new"]);
        writer
    };
    assert!(begin().await.abort().await);
    assert_eq!(customer.databases().await, ["db"]);
    drop(begin().await);
    customer.await_answer("SELECT count(*) FROM pg_database WHERE datname = 'new'", "0").await;
    let left = customer.bench.left_after(Duration::from_secs(5)).await;
    assert!(left.is_empty(), "{left:?}");
    let writer = begin().await;
    let user = customer.bench.login.name();
    assert!(
        std::process::Command::new("pkill").args(["-KILL", "-x", "pg_restore", "-u", user]).status().unwrap().success()
    );
    let failure = writer.finish().await.err().unwrap();
    assert_eq!(failure.code, RestoreIncomplete, "{failure}");
    assert_eq!(customer.databases().await, ["db"]);
    // Where the database server dies, nobody can drop anything; then it is said, and never tried again by itself.
    let writer = begin().await;
    customer.server.crash().await.unwrap();
    let failure = writer.finish().await.err().unwrap();
    assert_eq!((failure.code, failure.step), (RestoreIncomplete, Step::Place), "{failure}");
    assert!(failure.detail.contains("could not be dropped"), "{failure}");
    customer.server.restart().await.unwrap();
    assert_eq!(customer.ask("new", "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND oid >= 16384").await, "0");
    customer.ask(SUPERUSER, "DROP DATABASE new").await;
    customer.restore(&new, &dumped.bytes).await.unwrap();
    assert_eq!(customer.everything("new"), customer.everything("db"));
}

#[tokio::test]
async fn owners_come_back_where_they_can_and_else_it_is_said() {
    let (customer, other) = (Customer::new().await, Customer::new().await);
    let setup = format!("{SMALL} ALTER TABLE a OWNER TO \"o'ne\"; GRANT SELECT ON b TO two");
    customer.ask(SUPERUSER, "CREATE ROLE \"o'ne\"; CREATE ROLE two").await;
    customer.database("db", &setup).await;
    let dumped = customer.dump(&spec(&["db"])).await.unwrap();
    let new = target("back", &dumped.facts());
    let restored = other.restore(&new, &dumped.bytes).await.unwrap();
    let warning = &restored.warnings.kept[0];
    assert_eq!(warning.code, WarningCode::NotRestored);
    assert!(warning.message.contains("o'ne, two"), "{}", warning.message);
    let owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'a'";
    assert_eq!(other.ask("back", owner).await, SUPERUSER);
    // An ordinary user who may make databases, and is a member of nothing.
    customer.ask(SUPERUSER, "CREATE ROLE plain LOGIN PASSWORD 'p'").await;
    let plain = customer.login_as("plain", "p");
    let failure = customer.restore_as(&new, &plain, &dumped.bytes).await.err().unwrap();
    assert_eq!(failure.code, MissingRight, "{failure}");
    customer.ask(SUPERUSER, "ALTER ROLE plain CREATEDB").await;
    let restored = customer.restore_as(&new, &plain, &dumped.bytes).await.unwrap();
    assert_eq!(restored.warnings.count, 1, "{:?}", restored.warnings);
    assert_eq!(customer.ask("back", owner).await, "plain");
    let restored = customer.restore(&target("again", &dumped.facts()), &dumped.bytes).await.unwrap();
    assert_eq!(restored.warnings.count, 0, "{:?}", restored.warnings);
    assert_eq!(customer.everything("again"), customer.everything("db"));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_a_missing_client_is_named() {
    let customer = Customer::new().await;
    customer.database("db", SMALL).await;
    let dumped = customer.dump(&spec(&["db"])).await.unwrap();
    let mut dry = target("new", &dumped.facts());
    dry.dry_run = true;
    let writer = postgresql::restore(customer.bench.session().await, &dry, &customer.login()).await.unwrap();
    assert_eq!(writer.finish().await.unwrap().warnings.count, 0);
    assert_eq!(customer.databases().await, ["db"]);
    dry.database = "db".to_owned();
    let failure = postgresql::restore(customer.bench.session().await, &dry, &customer.login()).await.err().unwrap();
    assert_eq!(failure.code, TargetExists, "{failure}");
    let bare = Customer::with(Bench::with_tools(&["base64", "tr", "psql", "dd"].map(|tool| (tool, None)))).await;
    let failure = bare.restore(&target("new", &dumped.facts()), &dumped.bytes).await.err().unwrap();
    assert_eq!(failure.code, MissingTool, "{failure}");
    assert!(failure.detail.contains("pg_restore"), "{failure}");
}

#[tokio::test]
async fn a_hostile_name_in_a_dump_is_only_a_name() {
    let customer = Customer::new().await;
    let mark = "/tmp/holdfast-restored-pwned";
    let name = format!("x\n\\! touch {mark}\n\\o {mark}\n--");
    let sql = format!(
        "CREATE TABLE \"{name}\" (\"\\! touch {mark}\" int); COMMENT ON TABLE \"{name}\" IS E'\\n\\\\! touch {mark}'"
    );
    customer.database("db", &sql).await;
    let dumped = customer.dump(&spec(&["db"])).await.unwrap();
    customer.restore(&target(&format!("\\! touch {mark}"), &dumped.facts()), &dumped.bytes).await.unwrap();
    assert!(!std::path::Path::new(mark).exists());
}
