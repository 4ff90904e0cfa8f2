//! Dumps that end early, servers that die, locks that are never given up.

use super::{BIG, Customer, spec};
use crate::support::{Bench, read_boxed, write};
use holdfast_domain::FailureCode::{DatabaseUnreachable, SourceFailed, SourceIncomplete, Stalled};
use holdfast_domain::{Failure, FailureCode};
use holdfast_sources::postgresql;
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_dump_that_is_killed_is_a_failure() {
    let customer = Customer::new().await;
    customer.database("db", BIG).await;
    let plan = customer.plan(&spec(&["db"])).await.unwrap();
    let mut reader = customer.open(&plan, 0).await.unwrap();
    reader.next().await.unwrap().unwrap();
    let user = customer.bench.login.name();
    assert!(Command::new("pkill").args(["-KILL", "-x", "pg_dump", "-u", user]).status().unwrap().success());
    let failure = read_boxed(reader).await.err().unwrap();
    assert_eq!(failure.code, SourceFailed, "{failure}");
    assert!(failure.detail.contains("signal 9"), "{failure}");
}

#[tokio::test]
async fn a_server_that_dies_under_the_dump_is_a_failure() {
    let customer = Customer::new().await;
    customer.database("db", BIG).await;
    let plan = customer.plan(&spec(&["db"])).await.unwrap();
    let mut reader = customer.open(&plan, 0).await.unwrap();
    reader.next().await.unwrap().unwrap();
    customer.server.crash().await.unwrap();
    let failure = read_boxed(reader).await.err().unwrap();
    assert!(matches!(failure.code, SourceFailed | DatabaseUnreachable), "{failure}");
    assert_eq!(customer.plan(&spec(&["db"])).await.err().unwrap().code, DatabaseUnreachable);
    customer.server.restart().await.unwrap();
    customer.dump(&spec(&["db"])).await.unwrap();
}

#[tokio::test]
async fn a_cancel_or_a_dropped_reader_leaves_nothing_on_the_server() {
    let customer = Customer::new().await;
    customer.database("db", BIG).await;
    let plan = customer.plan(&spec(&["db"])).await.unwrap();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('pg_dump', 'holdfast')";
    for is_dropped in [false, true] {
        let mut reader = customer.open(&plan, 0).await.unwrap();
        reader.next().await.unwrap().unwrap();
        if is_dropped {
            drop(reader);
        } else {
            assert!(reader.cancel().await);
        }
        let left = customer.bench.left_after(Duration::from_secs(5)).await;
        assert!(left.is_empty(), "{left:?}");
        customer.await_answer(others, "0").await;
    }
}

#[tokio::test]
async fn a_lock_that_is_never_given_up_ends_the_dump() {
    let customer = Customer::new().await;
    customer.database("db", "CREATE TABLE t (a int)").await;
    let plan = customer.plan(&spec(&["db"])).await.unwrap();
    let holding = async {
        // Ends with its connection, when the dump was given up.
        customer.ask("db", "BEGIN; LOCK TABLE t; SELECT pg_sleep(8); COMMIT").await;
    };
    let dumping = async {
        customer
            .await_answer("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted", "1")
            .await;
        // What a plan asks of the catalogue waits for nobody.
        customer.plan(&spec(&["db"])).await.unwrap();
        let begun = Instant::now();
        let session = customer.bench.session().await;
        let login = customer.login();
        let reader = postgresql::open_within(session, &plan.streams[0], &login, Duration::from_millis(700)).await;
        let failure = read_boxed(reader.unwrap()).await.err().unwrap();
        (failure, begun.elapsed())
    };
    let ((), (failure, took)) = tokio::join!(holding, dumping);
    assert_eq!(failure.code, Stalled, "{failure}");
    assert!(took < Duration::from_secs(7), "{took:?}");
}

/// A server whose pg_dump can be another one.
async fn with_tools(sql: &str) -> Customer {
    let tools = ["base64", "tr", "psql", "head"].map(|tool| (tool, None));
    let customer = Customer::with(Bench::with_tools(&tools)).await;
    customer.database("db", sql).await;
    customer
}

/// A dump by `script`, which may call the real pg_dump as `$real`.
async fn dump_by(customer: &Customer, script: &str) -> Result<usize, Failure> {
    let script =
        format!("#!/bin/sh\nreal=/usr/bin/pg_dump\ncase $1 in --version) exec $real --version;; esac\n{script}\n");
    write(&customer.bench.login.home().join("bin/pg_dump"), &script, 0o755);
    customer.dump(&spec(&["db"])).await.map(|dumped| dumped.bytes.len())
}

#[tokio::test]
async fn a_status_of_zero_alone_proves_nothing() {
    let two = "CREATE TABLE one AS SELECT 1 AS a; CREATE TABLE two AS SELECT 2 AS b; SELECT lo_from_bytea(0, 'x')";
    let customer = with_tools(two).await;
    for (what, script, code) in [
        ("nothing at all", "exit 0", SourceIncomplete),
        ("plain text", "echo '-- PostgreSQL database dump complete'", SourceIncomplete),
        ("a cut", "$real \"$@\" | head -c 1500", SourceIncomplete),
        ("no tables", "$real \"$@\" -T '*.*'", SourceIncomplete),
        ("one table less", "$real \"$@\" -T two", SourceIncomplete),
        ("more than an archive", "$real \"$@\"; echo", SourceIncomplete),
        ("a failure", "$real \"$@\"; exit 3", SourceFailed),
    ] {
        let dumped = dump_by(&customer, script).await;
        assert_eq!(dumped.map_err(|failure| failure.code), Err::<usize, FailureCode>(code), "{what}");
    }
    assert!(dump_by(&customer, "exec $real \"$@\"").await.unwrap() > 1500);
}

#[tokio::test]
async fn tables_that_come_and_go_meanwhile_are_no_failure() {
    // What is made or dropped after the first look is neither missing nor too much.
    let change = "PGDATABASE=db psql -Xqc 'DROP TABLE two' -c 'CREATE TABLE three AS SELECT 3 AS c'; exec $real \"$@\"";
    let customer = with_tools("CREATE TABLE one (a int); CREATE TABLE two (b int)").await;
    dump_by(&customer, change).await.unwrap();
}
