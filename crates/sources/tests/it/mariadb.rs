//! MariaDB: what is dumped comes back, all of it and nothing else.

use crate::mariadb_support::{Lab, body, read_all, spec, target};
use holdfast_domain::FailureCode;
use holdfast_domain::manifest::OmittedKind;
use holdfast_domain::source::{DatabaseSpec, Engine, EngineChoice};
use holdfast_domain::warning::WarningCode;
use holdfast_sources::database::{self, DatabaseLogin};
use holdfast_testbed::mariadb::identifier;
use std::time::Duration;

const EVERYTHING: &str = include_str!("mariadb.sql");

/// With what breaks quoting, options, paths, patterns and lines.
const ODD: &str = "-o --x na.me `\"';$(touch x)%_\\é\n1";

const COUNTS: &str =
    "SELECT CONCAT((SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()), ' ',
(SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()), ' ',
(SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = DATABASE()), ' ',
(SELECT COUNT(*) FROM information_schema.events WHERE event_schema = DATABASE()), ' ',
(SELECT COUNT(*) FROM information_schema.partitions WHERE table_schema = DATABASE() AND partition_name IS NOT NULL))";

#[tokio::test]
async fn every_kind_of_thing_comes_back_equal_whatever_it_is_called() {
    let lab = Lab::new().await;
    for name in ["shop", ODD] {
        lab.sql(
            "mysql",
            &format!("CREATE DATABASE {} CHARACTER SET utf8mb4 COLLATE utf8mb4_icelandic_ci", identifier(name)),
        )
        .await;
        lab.sql(name, EVERYTHING).await;
    }
    // mariadb-dump 10.11 looks for a database of the escaped name when there are events: not a good end, and said.
    let failure = lab.dump(&lab.plan(&spec(&[ODD])).await.unwrap(), 0).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceFailed, "{failure}");
    lab.sql(ODD, "DROP EVENT `an event`").await;
    lab.sql("mysql", "CREATE DATABASE empty CHARACTER SET latin1 COLLATE latin1_german1_ci").await;
    let plan = lab.plan(&spec(&[])).await.unwrap();
    assert_eq!(plan.engine, Engine::Mariadb);
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    assert!(plan.tools["mariadb"].contains("MariaDB"), "{:?}", plan.tools);
    let mut names: Vec<&str> = plan.streams.iter().map(|stream| stream.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, [ODD, "empty", "shop"]);
    for (at, stream) in plan.streams.iter().enumerate() {
        let (dump, report) = lab.dump(&plan, at).await.unwrap();
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        assert_eq!((report.exit_status, report.size_bytes), (0, dump.len() as u64));
        assert_eq!(report.tables, Some(stream.facts.as_ref().unwrap().tables));
        let copy = format!("copy {}", stream.name);
        let restored = lab.restore(&target(&copy, stream), &dump).await.unwrap();
        assert_eq!(Some(restored.entries), report.tables);
        assert!(restored.warnings.is_empty(), "{:?}", restored.warnings);
        let (again, _) = lab.dump_all_of(&copy).await;
        assert!(body(&dump) == body(&again), "{:?}", stream.name);
        assert_eq!(lab.sql(&stream.name, COUNTS).await, lab.sql(&copy, COUNTS).await);
        let checks = "CHECKSUM TABLE types, parent, child, parts, mi, `my seq` EXTENDED";
        let sums = |sums: String| sums.lines().map(|l| l.rsplit('\t').next().unwrap().to_owned()).collect::<Vec<_>>();
        if stream.name != "empty" {
            assert_eq!(sums(lab.sql(&stream.name, checks).await), sums(lab.sql(&copy, checks).await));
            assert_eq!(lab.sql(&copy, "SELECT COUNT(*), fun('é') FROM types").await, "3002\té😀");
        }
        assert_eq!(
            lab.sql(&copy, "SELECT @@collation_database").await,
            lab.sql(&stream.name, "SELECT @@collation_database").await
        );
    }
}

fn excluding(databases: &[&str], tables: &[&str], rows: &[&str]) -> DatabaseSpec {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DatabaseSpec { excluded_tables: owned(tables), excluded_table_data: owned(rows), ..spec(databases) }
}

const SHOP: &str = "CREATE TABLE big (id INT PRIMARY KEY); INSERT INTO big VALUES (1);
CREATE TABLE `od.d 'n\"` (id INT PRIMARY KEY); INSERT INTO `od.d 'n\"` VALUES (1);
CREATE TABLE log (id INT PRIMARY KEY); INSERT INTO log VALUES (1);
CREATE TABLE `lo g` (id INT PRIMARY KEY); INSERT INTO `lo g` VALUES (1);
CREATE TABLE item (id INT PRIMARY KEY, b INT, l INT, CONSTRAINT `to ``big` FOREIGN KEY (b) REFERENCES big (id),
  CONSTRAINT to_log FOREIGN KEY (l) REFERENCES log (id)); INSERT INTO item VALUES (1, 1, 1);
CREATE SEQUENCE sq;
CREATE VIEW of_big AS SELECT id FROM big; CREATE VIEW above AS SELECT id FROM of_big; CREATE VIEW of_log AS SELECT id FROM log;
CREATE TRIGGER on_log BEFORE INSERT ON log FOR EACH ROW SET NEW.id = NEW.id;
CREATE PROCEDURE uses() SELECT * FROM big;";

#[tokio::test]
async fn what_is_excluded_is_not_there_and_what_needs_it_is_left_out_and_named() {
    let lab = Lab::new().await;
    lab.server.create_database("shop").await.unwrap();
    lab.sql("shop", SHOP).await;
    let spec = excluding(&["shop"], &["shop.big", "od.d 'n\"", "sq", "shop.none"], &["log", "shop.lo g"]);
    // A dumper without --ignore-table-data, as MySQL's is.
    let old = "#!/bin/sh\ncase $* in *--help*) /usr/bin/mariadb-dump \"$@\" | /bin/grep -v ignore-table-data; exit;;\n\
               *--ignore-table-data*) exit 7;; esac\nexec /usr/bin/mariadb-dump \"$@\"\n";
    let lab = check_exclusions(lab, &spec, "copy").await;
    let lab = lab.with_tools(&[("mariadb-dump", Some(old))]);
    let lab = check_exclusions(lab, &spec, "copy of old").await;
    let failure =
        lab.plan(&excluding(&["shop"], &["big", "od.d 'n\"", "log", "lo g", "item"], &[])).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::InvalidConfig);
    // No pattern is one: all is dumped.
    let plan = lab.plan(&excluding(&["shop"], &["*.*", "%", "shop.*", "x --result-file=/tmp/p"], &[])).await.unwrap();
    assert_eq!(plan.warnings.count, 4);
    assert_eq!(lab.dump(&plan, 0).await.unwrap().1.tables, Some(5));
}

async fn check_exclusions(lab: Lab, spec: &DatabaseSpec, copy: &str) -> Lab {
    let plan = lab.plan(spec).await.unwrap();
    let warned: Vec<_> = plan.warnings.kept.iter().map(|w| (w.code, w.path.as_deref().unwrap())).collect();
    let depends = |path| (WarningCode::DependsOnExcluded, path);
    let expected = [depends("shop.above"), depends("shop.of_big"), depends("shop.item"), depends("shop.item")];
    assert_eq!(warned[..4], expected);
    assert_eq!(warned[4..], [(WarningCode::MatchesNothing, "shop.none")]);
    let (dump, report) = lab.dump(&plan, 0).await.unwrap();
    assert_eq!(report.tables, Some(3));
    let facts = plan.streams[0].facts.clone().unwrap();
    assert_eq!(facts.omitted.iter().filter(|o| o.kind == OmittedKind::ForeignKey).count(), 2);
    let restored = lab.restore(&target(copy, &plan.streams[0]), &dump).await.unwrap();
    assert_eq!((restored.entries, restored.warnings.count), (3, facts.omitted.len() as u64));
    let there = lab
        .sql(copy, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1")
        .await;
    assert_eq!(there, "item\nlo g\nlog\nof_log");
    assert_eq!(lab.sql(copy, "SELECT COUNT(*) FROM log UNION ALL SELECT COUNT(*) FROM `lo g`").await, "0\n0");
    // The foreign keys to what is not there would refuse this.
    lab.sql(copy, "INSERT INTO item VALUES (2, 9, 9)").await;
    assert_eq!(
        lab.sql(copy, "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()").await,
        "1"
    );
    lab
}

#[tokio::test]
async fn a_dump_is_of_one_moment_while_others_write() {
    let lab = Lab::new().await;
    lab.server.create_database("bank").await.unwrap();
    lab.sql(
        "bank",
        "CREATE TABLE a_first (n INT); CREATE TABLE pad (t LONGTEXT); CREATE TABLE z_last (n INT);
        INSERT INTO a_first VALUES (0); INSERT INTO z_last VALUES (0);
        INSERT INTO pad SELECT REPEAT('x', 1000000) FROM seq_1_to_60;",
    )
    .await;
    let plan = lab.plan(&spec(&["bank"])).await.unwrap();
    let mut reader = lab.open(&plan, 0).await.unwrap();
    let mut dump = Vec::new();
    while dump.len() < 1 << 20 {
        dump.extend_from_slice(&reader.next().await.unwrap().unwrap());
    }
    // The dumper waits in the middle: the last table is not read yet.
    lab.sql("bank", "BEGIN; UPDATE a_first SET n = 5; UPDATE z_last SET n = 5; COMMIT").await;
    dump.extend_from_slice(&read_all(reader).await.unwrap().0);
    lab.restore(&target("copy", &plan.streams[0]), &dump).await.unwrap();
    assert_eq!(lab.sql("copy", "SELECT a_first.n, z_last.n FROM a_first, z_last").await, "0\t0");
}

#[tokio::test]
async fn databases_are_listed_and_the_engine_is_found_by_who_answers() {
    let lab = Lab::new().await;
    for name in ["shop", ODD] {
        lab.server.create_database(name).await.unwrap();
        lab.sql(name, "CREATE TABLE `t 1` (t LONGTEXT); INSERT INTO `t 1` VALUES (REPEAT('x', 200000)); ANALYZE TABLE `t 1` PERSISTENT FOR ALL").await;
    }
    let mut session = lab.bench.session().await;
    let (engine, databases) = database::list(&mut session, EngineChoice::Auto, &lab.admin()).await.unwrap();
    assert_eq!(engine, Engine::Mariadb);
    assert_eq!(databases.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), [ODD, "shop"]);
    for database in databases {
        assert_eq!(database.tables.len(), 1);
        assert_eq!(database.tables[0].name, "t 1");
        assert!(database.size_bytes >= 200_000 && database.size_bytes == database.tables[0].size_bytes);
    }
    // Without a host, the socket, as the user who is logged in there; without a password, none is sent.
    let settings = format!("SetEnv MYSQL_UNIX_PORT={}", lab.server.socket().display());
    let bench = crate::support::Bench::with(&settings, holdfast_testbed::sshd::Login::create().unwrap());
    lab.sql(
        "mysql",
        &format!(
            "CREATE USER {0}@localhost IDENTIFIED VIA unix_socket; GRANT SELECT ON shop.* TO {0}@localhost",
            bench.login.name()
        ),
    )
    .await;
    let socket = DatabaseLogin { host: None, port: None, username: None, password: None };
    let listed = database::list(&mut bench.session().await, EngineChoice::Mysql, &socket).await.unwrap();
    assert_eq!(listed.1.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["shop"]);
    assert_eq!(listed.0, Engine::Mariadb);
    tokio::time::timeout(Duration::from_secs(60), async {
        let nowhere = DatabaseLogin { port: Some(1), ..lab.admin() };
        let failure =
            lab.plan_as(&DatabaseSpec { engine: EngineChoice::Auto, ..spec(&[]) }, &nowhere).await.err().unwrap();
        assert_eq!(failure.code, FailureCode::DatabaseUnreachable, "{failure}");
    })
    .await
    .unwrap();
}
