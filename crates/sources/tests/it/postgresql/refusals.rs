//! Bad input: each is refused in its own way, and nothing of it is ever run, opened or connected to.

use super::{Customer, spec};
use crate::support::{Bench, read_boxed};
use holdfast_domain::Failure;
use holdfast_domain::FailureCode::{
    self, ClientTooOld, DatabaseLoginFailed, DatabaseUnreachable, InvalidConfig, MissingDatabase, MissingRight,
    MissingTool,
};
use holdfast_sources::database::DatabaseLogin;
use holdfast_sources::postgresql;
use holdfast_testbed::customer_postgres::{PASSWORD, SUPERUSER};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn refused(customer: &Customer, databases: &[&str], login: &DatabaseLogin) -> Failure {
    let planned = postgresql::plan(&mut customer.bench.session().await, &spec(databases), login).await;
    planned.err().expect("it was planned")
}

#[tokio::test]
async fn what_cannot_be_reached_or_entered_says_so() {
    let customer = Customer::new().await;
    customer.database("there", "CREATE TABLE t (a int)").await;
    customer.server.create_role("pauper", Some("p")).await.unwrap();
    customer.ask(SUPERUSER, "REVOKE CONNECT ON DATABASE there, postgres, template1 FROM PUBLIC").await;
    let login = customer.login();
    let with = |change: fn(&mut DatabaseLogin)| {
        let mut login = login.clone();
        change(&mut login);
        login
    };
    let cases: [(&str, DatabaseLogin, FailureCode); 9] = [
        ("there", customer.login_as(SUPERUSER, "wrong"), DatabaseLoginFailed),
        ("there", customer.login_as("nobody here", PASSWORD), DatabaseLoginFailed),
        ("there", with(|login| login.password = None), DatabaseLoginFailed),
        ("there", with(|login| login.port = Some(1)), DatabaseUnreachable),
        ("there", with(|login| login.host = Some("no.such.host.invalid".into())), DatabaseUnreachable),
        ("there", with(|login| login.host = Some("/nowhere".into())), DatabaseUnreachable),
        ("there", with(|login| login.host = Some("127.0.0.1,127.0.0.1".into())), InvalidConfig),
        ("not there", login.clone(), MissingDatabase),
        ("there", customer.login_as("pauper", "p"), MissingRight),
    ];
    for (database, login, code) in cases {
        let failure = refused(&customer, &[database], &login).await;
        assert_eq!(failure.code, code, "{database} {:?} {:?}: {failure}", login.host, login.username);
        assert!(!failure.detail.contains(PASSWORD));
    }
    // Of a list, one that is not there is enough.
    assert_eq!(refused(&customer, &["there", "not there"], &login).await.code, MissingDatabase);
    assert_eq!(postgresql::greet(&mut customer.bench.session().await, &login).await.unwrap()[..3], *"15.");
}

#[tokio::test]
async fn a_missing_right_names_what_it_is_missing_on() {
    let customer = Customer::new().await;
    let setup = "CREATE TABLE ok (id serial PRIMARY KEY); CREATE SCHEMA s; CREATE TABLE s.shut (a int); CREATE TABLE filtered (a int)";
    customer.database("db", setup).await;
    customer.server.create_role("reader", Some("p")).await.unwrap();
    let login = customer.login_as("reader", "p");
    let grant = async |sql: &str| drop(customer.ask("db", sql).await);
    let expect = async |what: &str| {
        let failure = refused(&customer, &["db"], &login).await;
        assert_eq!(failure.code, MissingRight, "{failure}");
        assert!(failure.detail.contains(what), "{failure}");
    };
    expect("public.filtered").await;
    grant("GRANT SELECT ON filtered, ok TO reader").await;
    expect("public.ok_id_seq").await;
    grant("GRANT SELECT ON ok_id_seq TO reader").await;
    expect("s.shut").await;
    grant("GRANT SELECT ON s.shut TO reader").await;
    expect("s.shut").await;
    grant("GRANT USAGE ON SCHEMA s TO reader; ALTER TABLE filtered ENABLE ROW LEVEL SECURITY").await;
    expect("BYPASSRLS").await;
    grant("ALTER ROLE reader BYPASSRLS; SELECT lo_from_bytea(99, 'x')").await;
    expect("large object 99").await;
    grant("GRANT SELECT ON LARGE OBJECT 99 TO reader").await;
    let plan = postgresql::plan(&mut customer.bench.session().await, &spec(&["db"]), &login).await.unwrap();
    // A right that goes away in between is pg_dump's to find.
    grant("REVOKE SELECT ON s.shut FROM reader").await;
    let reader = postgresql::open(customer.bench.session().await, &plan, &plan.streams[0], &login).await.unwrap();
    let failure = read_boxed(reader).await.err().unwrap();
    assert_eq!(failure.code, MissingRight, "{failure}");
    assert!(failure.detail.contains("permission denied for table shut"), "{failure}");
    // All databases: the one that is shut is a warning, not a failure.
    grant("GRANT SELECT ON s.shut TO reader; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC").await;
    let plan = postgresql::plan(&mut customer.bench.session().await, &spec(&[]), &login).await.unwrap();
    assert_eq!(plan.warnings.kept[0].path.as_deref(), Some("postgres"));
    assert_eq!(plan.streams.len(), 2);
}

#[tokio::test]
async fn clients_that_are_missing_or_too_old_are_named() {
    let base = [("base64", None), ("tr", None)];
    let old = "#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9'\n";
    for (tools, code, what) in [
        (&[][..], MissingTool, "psql"),
        (&[("psql", None)], MissingTool, "pg_dump"),
        (&[("psql", None), ("pg_dump", Some(old))], ClientTooOld, "14.9"),
    ] {
        let customer = Customer::with(Bench::with_tools(&[&base[..], tools].concat())).await;
        let failure = refused(&customer, &["postgres"], &customer.login()).await;
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.detail.contains(what), "{failure}");
    }
}

#[tokio::test]
async fn no_name_is_a_connection_string() {
    let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let touched = Arc::new(AtomicUsize::new(0));
    let counting = touched.clone();
    let listening = tokio::spawn(async move {
        while let Ok((stream, _)) = canary.accept().await {
            counting.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let customer = Customer::new().await;
    for name in [
        format!("host=127.0.0.1 port={port} user=x"),
        format!("postgresql://x@127.0.0.1:{port}/x"),
        format!("postgres://127.0.0.1:{port}"),
        format!("dbname=postgres hostaddr=127.0.0.1 port={port}"),
        "service=x".to_owned(),
    ] {
        // Even where a database has that name, and as a user's.
        assert_eq!(refused(&customer, &[&name], &customer.login()).await.code, MissingDatabase, "{name}");
        assert_eq!(
            refused(&customer, &["x"], &customer.login_as(&name, "p")).await.code,
            DatabaseLoginFailed,
            "{name}"
        );
        customer.database(&name, "CREATE TABLE t AS SELECT 1 AS a").await;
        let dumped = customer.dump(&spec(&[&name])).await.unwrap();
        let back = format!("{name} application_name=back");
        customer.restore(&super::target(&back, &dumped.facts()), &dumped.bytes).await.unwrap();
        assert_eq!(customer.ask(&back, "SELECT a FROM t").await, "1");
        let mut globals = spec(&[&name]);
        globals.globals = Some(true);
        let plan = customer.plan(&globals).await.unwrap();
        read_boxed(customer.open(&plan, 1).await.unwrap()).await.unwrap();
    }
    assert_eq!(touched.load(Ordering::SeqCst), 0, "somebody called the canary");
    listening.abort();
}

#[tokio::test]
async fn nothing_of_a_field_is_run_or_read_as_an_option() {
    let customer = Customer::new().await;
    let mark = customer.bench.login.home().join("pwned");
    let at = mark.display();
    for bad in [
        format!("$(touch {at})"),
        format!("`touch {at}`"),
        format!("'; touch {at}; '"),
        format!("\" ; touch {at} #"),
        format!("x\ntouch {at}\n"),
        format!("--file={at}"),
        format!("-f{at}"),
        format!("\\! touch {at}"),
        format!("\\o {at}"),
        format!("x'; COPY (SELECT 1) TO '{at}'; --"),
        format!("\"; COPY (SELECT 1) TO '{at}'; --"),
    ] {
        let login = customer.login();
        let user = customer.login_as(&bad, &bad);
        let mut host = login.clone();
        host.host = Some(bad.clone());
        assert_eq!(refused(&customer, &[&bad], &login).await.code, MissingDatabase, "{bad}");
        assert_eq!(refused(&customer, &["postgres"], &user).await.code, DatabaseLoginFailed, "{bad}");
        let code = refused(&customer, &["postgres"], &host).await.code;
        assert!(matches!(code, DatabaseUnreachable | DatabaseLoginFailed), "{bad}: {code:?}");
        let mut excluding = spec(&["postgres"]);
        excluding.excluded_tables = vec![bad.clone()];
        assert_eq!(customer.plan(&excluding).await.unwrap().warnings.count, 1, "{bad}");
        assert!(!mark.exists() && !Path::new("/tmp/holdfast-pwned").exists(), "{bad}");
    }
}

#[tokio::test]
async fn a_password_is_in_no_process_list() {
    let customer = Customer::new().await;
    customer.database("db", super::BIG).await;
    let plan = customer.plan(&spec(&["db"])).await.unwrap();
    let mut reader = customer.open(&plan, 0).await.unwrap();
    reader.next().await.unwrap();
    customer.bench.await_process("pg_dump").await;
    let listed = std::process::Command::new("ps").args(["axww", "-o", "args="]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("--lock-wait-timeout"), "{listed}");
    for part in ["p#'", "%!é"] {
        assert!(!listed.contains(part), "{listed}");
    }
    assert!(reader.cancel().await);
}
