//! What is dumped comes back equal.

use super::{Customer, said, spec, target};
use crate::support::read_boxed;
use holdfast_domain::warning::WarningCode;
use holdfast_sources::database::PlannedKind;
use holdfast_sources::postgresql;
use holdfast_testbed::customer_postgres::{SUPERUSER, identifier};

const EVERYTHING: &str = include_str!("everything.sql");

/// Every character that a shell, an option, a connection string or SQL trips over.
const ODD: &str = "-d host=x 'a' \"b\" \\c $(d) `e`;\n%f é.😀";

#[tokio::test]
async fn everything_comes_back_equal_under_any_name() {
    let customer = Customer::new().await;
    customer.database(ODD, EVERYTHING).await;
    customer.ask(ODD, "CREATE ROLE alice; CREATE ROLE \"b;ob\"; ALTER TABLE child OWNER TO alice; GRANT SELECT ON parent TO \"b;ob\"").await;
    let dumped = customer.dump(&spec(&[ODD])).await.unwrap();
    assert!(dumped.plan.warnings.is_empty() && dumped.report.warnings.is_empty(), "{:?}", dumped.report.warnings);
    let (facts, back) = (dumped.facts(), format!("{ODD} back"));
    let tables = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384 AND relpersistence <> 't'";
    assert_eq!(facts.tables.to_string(), customer.ask(ODD, tables).await);
    assert_eq!(facts.settings["encoding"], "UTF8");
    assert_eq!(facts.roles, ["alice", "b;ob", "postgres"]);
    assert!(dumped.report.tools["pg_dump"].starts_with("pg_dump (PostgreSQL)"));
    let restored = customer.restore(&target(&back, &facts), &dumped.bytes).await.unwrap();
    assert_eq!((restored.entries, restored.warnings.count), (facts.tables, 0), "{:?}", restored.warnings);
    assert!(restored.size_bytes > 1 << 20);
    assert_eq!(customer.everything(&back), customer.everything(ODD));
    assert!(!std::path::Path::new("/tmp/holdfast-pwned").exists());
}

#[tokio::test]
async fn a_database_keeps_its_encoding_and_locale() {
    let customer = Customer::new().await;
    let made = "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'; \
                CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'";
    customer.ask(SUPERUSER, made).await;
    for name in ["latin", "icu"] {
        customer
            .ask(name, "CREATE TABLE \"größe\" (a text); INSERT INTO \"größe\" VALUES ('é'); CREATE TABLE x ()")
            .await;
        let mut spec = spec(&[name]);
        spec.excluded_table_data = vec!["größe".to_owned()];
        let without = customer.dump(&spec).await.unwrap();
        assert!(without.plan.warnings.is_empty(), "{:?}", without.plan.warnings);
        let without_rows = format!("{name} without");
        customer.restore(&target(&without_rows, &without.facts()), &without.bytes).await.unwrap();
        assert_eq!(customer.ask(&without_rows, "SELECT count(*) FROM \"größe\"").await, "0");
        let dumped = customer.dump(&super::spec(&[name])).await.unwrap();
        let back = format!("{name} back");
        customer.restore(&target(&back, &dumped.facts()), &dumped.bytes).await.unwrap();
        let settings = format!(
            "SELECT count(DISTINCT (encoding, datcollate, datctype, datlocprovider, daticulocale)) FROM pg_database \
             WHERE datname LIKE '{name}%'"
        );
        assert_eq!(customer.ask(SUPERUSER, &settings).await, "1");
        assert_eq!(customer.everything(&back), customer.everything(name));
    }
    let dumped = customer.dump(&spec(&["latin"])).await.unwrap();
    let mut facts = dumped.facts();
    facts.settings.insert("collate".to_owned(), "xx_XX.utf8".to_owned());
    facts.settings.insert("encoding".to_owned(), "UTF8".to_owned());
    let restored = customer.restore(&target("elsewhere", &facts), &dumped.bytes).await.unwrap();
    assert!(restored.warnings.kept[0].message.contains("locale"), "{:?}", restored.warnings);
    assert_eq!(customer.ask("elsewhere", "SELECT a FROM \"größe\"").await, "é");
}

#[tokio::test]
async fn a_writer_that_goes_on_is_seen_at_one_moment() {
    let customer = Customer::new().await;
    // A transfer never changes the sum; neither do rows of a second table that come with it.
    let setup = "CREATE TABLE filler AS SELECT repeat('x', 900) AS v FROM generate_series(1, 60000);
        CREATE TABLE a_account (id int PRIMARY KEY, amount int); CREATE TABLE z_log (amount int);
        INSERT INTO a_account VALUES (1, 0); CREATE TABLE zz_stop ();";
    customer.database("bank", setup).await;
    let busy = "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM zz_stop) LOOP
        UPDATE a_account SET amount = amount + 1; INSERT INTO z_log VALUES (1); COMMIT; END LOOP; END $$";
    let writing = async {
        customer.ask("bank", busy).await;
    };
    let reading = async {
        customer
            .await_answer("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'", "t")
            .await;
        let dumped = customer.dump(&spec(&["bank"])).await;
        customer.ask("bank", "INSERT INTO zz_stop DEFAULT VALUES").await;
        dumped.unwrap()
    };
    let ((), dumped) = tokio::join!(writing, reading);
    customer.restore(&target("back", &dumped.facts()), &dumped.bytes).await.unwrap();
    let both = customer.ask("back", "SELECT amount, (SELECT count(*) FROM z_log) FROM a_account").await;
    let (account, log) = both.split_once('|').unwrap();
    assert_eq!(account, log);
    assert_ne!(account, customer.ask("bank", "SELECT amount FROM a_account").await, "the writer was not at work");
}

#[tokio::test]
async fn all_databases_and_the_roles_are_streams_of_one_plan() {
    let customer = Customer::new().await;
    customer.database("one", "CREATE TABLE t AS SELECT 1 AS a").await;
    customer.database("two", "CREATE TABLE u AS SELECT 2 AS a; CREATE SCHEMA s; CREATE TABLE s.v (a int)").await;
    customer.server.create_role("reader", Some("secret of the reader")).await.unwrap();
    let plan = customer.plan(&spec(&[])).await.unwrap();
    let names: Vec<_> = plan.streams.iter().map(|stream| (stream.name.as_str(), stream.kind)).collect();
    let database = PlannedKind::Database;
    assert_eq!(
        names,
        [("one", database), ("postgres", database), ("two", database), ("globals", PlannedKind::Globals)]
    );
    let formats: Vec<_> = plan.streams.iter().map(|stream| stream.format(plan.engine)).collect();
    assert_eq!(formats, ["pgdump", "pgdump", "pgdump", "sql"]);
    for at in 0..plan.streams.len() {
        let (bytes, report) = read_boxed(customer.open(&plan, at).await.unwrap()).await.unwrap();
        assert!(report.size_bytes == bytes.len() as u64 && report.warnings.is_empty(), "{:?}", report.warnings);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text.contains("CREATE ROLE reader"), at == 3);
        assert_eq!(text.contains("SCRAM-SHA-256$"), at == 3);
    }
    let listed = postgresql::list(&mut customer.bench.session().await, &customer.login()).await.unwrap();
    let tables = |name: &str| {
        let found = listed.iter().find(|database| database.name == name).unwrap();
        assert!(found.size_bytes > 1 << 20);
        found.tables.iter().map(|t| (t.schema.clone().unwrap(), t.name.clone(), t.size_bytes > 0)).collect::<Vec<_>>()
    };
    let owned = |schema: &str, name: &str, has_rows| (schema.to_owned(), name.to_owned(), has_rows);
    assert_eq!(tables("one"), [owned("public", "t", true)]);
    assert_eq!(tables("two"), [owned("public", "u", true), owned("s", "v", false)]);
}

#[tokio::test]
async fn the_socket_lets_the_systems_user_in_without_a_password() {
    let customer = Customer::new().await;
    let user = customer.bench.login.name();
    customer.server.create_role(user, None).await.unwrap();
    customer
        .database("mine", &format!("CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO {}", identifier(user)))
        .await;
    let mut login = customer.login();
    (login.host, login.username, login.password) =
        (Some(customer.server.socket_dir().display().to_string()), None, None);
    let mut wanted = spec(&["mine"]);
    wanted.globals = Some(true);
    let plan = postgresql::plan(&mut customer.bench.session().await, &wanted, &login).await.unwrap();
    for (at, stream) in plan.streams.iter().enumerate() {
        let reader = postgresql::open(customer.bench.session().await, &plan, stream, &login).await.unwrap();
        let (_, report) = read_boxed(reader).await.unwrap();
        // An ordinary user sees the roles without their passwords, and that is said.
        let expected = if at == 1 { vec![(WarningCode::RightMissing, "globals".to_owned())] } else { Vec::new() };
        assert_eq!(said(&report.warnings), expected);
    }
}
