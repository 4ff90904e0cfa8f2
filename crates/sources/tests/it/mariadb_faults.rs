//! MariaDB: dumps that end badly, servers that do not answer as hoped, rights that are missing. None of it may look well.

use crate::mariadb_support::{Lab, read_all, spec, target};
use crate::support::guard;
use holdfast_domain::FailureCode;
use holdfast_domain::source::DatabaseSpec;
use holdfast_domain::warning::WarningCode;
use holdfast_remote::{Session, Timing};
use holdfast_sources::database;
use holdfast_testbed::mariadb::literal;
use std::time::Duration;

/// More than window and buffers take, so that the dumper waits in the middle of it while nobody reads.
const BIG: &str = "CREATE TABLE a (t INT); CREATE TABLE pad (t LONGTEXT); CREATE TABLE z (t INT);
INSERT INTO pad SELECT REPEAT('x', 1000000) FROM seq_1_to_60;";

async fn with_big() -> Lab {
    let lab = Lab::new().await;
    lab.server.create_database("big").await.unwrap();
    lab.sql("big", BIG).await;
    lab
}

#[tokio::test]
async fn a_killed_dumper_and_a_killed_server_are_failures_whatever_came_before() {
    let mut lab = with_big().await;
    let plan = lab.plan(&spec(&["big"])).await.unwrap();
    let mut reader = lab.open(&plan, 0).await.unwrap();
    reader.next().await.unwrap().unwrap();
    let user = lab.bench.login.name().to_owned();
    let killed =
        std::process::Command::new("pkill").args(["-KILL", "-x", "mariadb-dump", "-u", &user]).status().unwrap();
    assert!(killed.success());
    let failure = read_all(reader).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceFailed, "{failure}");
    assert!(failure.detail.contains("signal 9"), "{failure}");

    let mut reader = lab.open(&plan, 0).await.unwrap();
    reader.next().await.unwrap().unwrap();
    lab.server.crash().await.unwrap();
    let failure = read_all(reader).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceFailed, "{failure}");
    // On a busy machine a dumper was seen to end so with status 2 and without a word of its own.
    let words = ["2013", "Lost connection", "ended with status 2"];
    assert!(words.iter().any(|word| failure.detail.contains(word)), "{failure}");
    let failure = lab.open(&plan, 0).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::DatabaseUnreachable, "{failure}");

    lab.server.restart().await.unwrap();
    let mut reader = lab.open(&plan, 0).await.unwrap();
    reader.next().await.unwrap().unwrap();
    assert!(reader.cancel().await);
    let left = lab.bench.left_after(Duration::from_secs(3)).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_lock_that_is_never_given_back_is_a_stall() {
    let lab = with_big().await;
    let plan = lab.plan(&spec(&["big"])).await.unwrap();
    let locking = lab.server.query("big", "LOCK TABLES z WRITE; SELECT SLEEP(30)");
    let reading = async {
        while lab.sql("mysql", "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(30)%' AND info NOT LIKE '%COUNT%'").await != "1" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let timing = Timing { silence: Duration::from_secs(3), ..Timing::default() };
        let peer = lab.bench.peer(lab.bench.sshd.port(), lab.bench.login.name());
        let session = Session::connect_with(&guard(), &peer, timing).await.unwrap();
        let reader = database::open(session, &plan, &plan.streams[0], &lab.admin()).await.unwrap();
        read_all(reader).await.unwrap_err()
    };
    let failure = tokio::select! {
        failure = reading => failure,
        _ = locking => panic!("the lock was given back before"),
    };
    assert_eq!(failure.code, FailureCode::Stalled, "{failure}");
    let left = lab.bench.left_after(Duration::from_secs(5)).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_dump_that_only_looks_whole_is_none() {
    let lab = with_big().await;
    lab.sql("big", "DROP TABLE pad").await;
    let plan = lab.plan(&spec(&["big"])).await.unwrap();
    let dumper = |rest: &str| {
        format!("#!/bin/sh\ncase $* in *--help*|*--version*) exec /usr/bin/mariadb-dump \"$@\";; esac\n{rest}\n")
    };
    let mut lab = lab;
    for (what, script, code) in [
        ("no last line", "/usr/bin/mariadb-dump --skip-comments \"$@\"", FailureCode::SourceIncomplete),
        ("cut and 0", "/usr/bin/mariadb-dump \"$@\" | /usr/bin/head -c 900", FailureCode::SourceIncomplete),
        ("a table too few", "/usr/bin/mariadb-dump \"$@\" z; exit 0", FailureCode::SourceIncomplete),
        ("whole, and a status", "/usr/bin/mariadb-dump \"$@\"; exit 3", FailureCode::SourceFailed),
        ("nothing", "exit 0", FailureCode::SourceIncomplete),
    ] {
        // --defaults-file must stay the first argument.
        let script = script.replace("--skip-comments \"$@\"", "\"$@\" | /bin/grep -v '^-- Dump completed'");
        lab = lab.with_tools(&[("mariadb-dump", Some(&dumper(&script)))]);
        let failure = lab.dump(&plan, 0).await.unwrap_err();
        assert_eq!(failure.code, code, "{what}: {failure}");
    }
    lab = lab.with_tools(&[(
        "mariadb-dump",
        Some(&dumper("echo 'Warning: something' >&2; exec /usr/bin/mariadb-dump \"$@\"")),
    )]);
    let (_, report) = lab.dump(&plan, 0).await.unwrap();
    assert_eq!(report.warnings.kept[0].code, WarningCode::NotStored);
    assert!(report.warnings.kept[0].message.contains("something"));
}

#[tokio::test]
async fn what_is_wrong_before_a_byte_moves_is_named() {
    let lab = Lab::new().await;
    lab.server.create_database("shop").await.unwrap();
    let failure = |result: Result<database::DatabasePlan, holdfast_domain::Failure>| result.err().unwrap();
    let refused = failure(lab.plan_as(&spec(&["shop"]), &lab.login("admin", "wrong")).await);
    assert_eq!(refused.code, FailureCode::DatabaseLoginFailed, "{refused}");
    assert!(!refused.to_string().contains("wrong\""), "{refused}");
    for odd in ["x\n[mysqldump]\nresult-file=/tmp/pwn", "x\0"] {
        let invalid = failure(lab.plan_as(&spec(&["shop"]), &lab.login("admin", odd)).await);
        assert_eq!(invalid.code, FailureCode::InvalidConfig, "{invalid}");
    }
    // No name is anything but a name.
    for name in ["none", "--result-file=/tmp/d1-pwn", "shop; DROP DATABASE shop", "*", "shop`", "-u root", "Shop"] {
        let missing = failure(lab.plan(&spec(&[name])).await);
        assert_eq!(missing.code, FailureCode::MissingDatabase, "{missing}");
    }
    let system = failure(lab.plan(&spec(&["information_schema"])).await);
    assert_eq!(system.code, FailureCode::InvalidConfig);
    let lab = lab.with_tools(&[("mariadb", Some(""))]);
    let missing = failure(lab.plan(&spec(&["shop"])).await);
    assert_eq!(missing.code, FailureCode::MissingTool, "{missing}");
    let plan = Lab { bench: crate::support::Bench::new(), server: lab.server };
    let ready = plan.plan(&spec(&["shop"])).await.unwrap();
    let lab = plan.with_tools(&[("mariadb-dump", Some(""))]);
    let missing = lab.open(&ready, 0).await.err().unwrap();
    assert_eq!(missing.code, FailureCode::MissingTool, "{missing}");
}

const OBJECTS: &str = "CREATE TABLE one (id INT); CREATE TABLE two (id INT); CREATE VIEW v AS SELECT * FROM one;
CREATE TRIGGER t BEFORE INSERT ON one FOR EACH ROW SET NEW.id = 1; CREATE PROCEDURE p() SELECT 1;";

#[tokio::test]
async fn a_right_that_is_missing_is_named_because_the_server_would_hide_what_it_is_for() {
    let lab = Lab::new().await;
    lab.server.create_database("sh_p").await.unwrap();
    lab.sql("sh_p", OBJECTS).await;
    let all = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];
    let mut cases: Vec<(String, String, Option<&str>)> = all
        .iter()
        .map(|missing| {
            let others: Vec<&str> = all.iter().filter(|right| right != &missing).copied().collect();
            (format!("no {missing}"), format!("GRANT {} ON sh_p.* TO {{user}}", others.join(", ")), Some(*missing))
        })
        .collect();
    let on = |rights: &str| format!("GRANT {rights} TO {{user}}");
    let one = on("SELECT ON sh_p.one") + ";" + &on("INSERT ON sh_p.two");
    cases.push(("one table".into(), one, Some("\"two\"")));
    cases.push(("columns".into(), on("SELECT (id), TRIGGER, SHOW VIEW ON sh_p.one"), Some("SELECT")));
    cases.push(("nothing".into(), on("USAGE ON *.*"), None));
    cases.push(("hidden body".into(), on("SELECT, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON sh_p.*"), Some("\"p\"")));
    for (at, (what, grant, named)) in cases.iter().enumerate() {
        let user = format!("u{at} 'x");
        lab.server.create_user(&user, "p").await.unwrap();
        lab.sql("mysql", &grant.replace("{user}", &format!("{}@'%'", literal(&user)))).await;
        let failure = lab.plan_as(&spec(&["sh_p"]), &lab.login(&user, "p")).await.err().unwrap();
        let code = if named.is_some() { FailureCode::MissingRight } else { FailureCode::MissingDatabase };
        assert_eq!(failure.code, code, "{what}: {failure}");
        assert!(named.is_none_or(|named| failure.detail.contains(named)), "{what}: {failure}");
    }
}

#[tokio::test]
async fn the_rights_of_the_manual_are_enough_also_through_a_role() {
    let lab = Lab::new().await;
    lab.server.create_database("sh_p").await.unwrap();
    lab.sql("sh_p", OBJECTS).await;
    let rights = "SELECT, SHOW VIEW, TRIGGER, EVENT ON `sh\\_p`.*";
    for user in ["least", "plain", "member"] {
        lab.server.create_user(user, "p").await.unwrap();
    }
    lab.sql("mysql", &format!("GRANT {rights} TO least@'%'; GRANT SELECT ON mysql.proc TO least@'%'; GRANT {rights} TO plain@'%';
        CREATE ROLE r; GRANT {rights} TO r; GRANT SELECT ON mysql.proc TO r; GRANT r TO member@'%'; SET DEFAULT ROLE r FOR member@'%'")).await;
    let (all, _) = lab.dump_all_of("sh_p").await;
    for (user, warnings) in [("least", 0), ("member", 0), ("plain", 1)] {
        let login = lab.login(user, "p");
        let plan = lab.plan_as(&DatabaseSpec { databases: Vec::new(), ..spec(&[]) }, &login).await.unwrap();
        let wanted: Vec<_> = plan.streams.iter().map(|stream| stream.name.as_str()).collect();
        assert!(wanted.contains(&"sh_p"), "{user}: {wanted:?}");
        let plan = lab.plan_as(&spec(&["sh_p"]), &login).await.unwrap();
        assert_eq!(plan.warnings.count, warnings, "{user}: {:?}", plan.warnings);
        let session = lab.bench.session().await;
        let reader = database::open(session, &plan, &plan.streams[0], &login).await.unwrap();
        let (dump, _) = read_all(reader).await.unwrap();
        if warnings == 0 {
            assert_eq!(crate::mariadb_support::body(&dump), crate::mariadb_support::body(&all), "{user}");
        } else {
            assert_eq!(plan.warnings.kept[0].code, WarningCode::RightMissing);
            assert!(lab.restore(&target("copy", &plan.streams[0]), &dump).await.is_ok());
        }
    }
}
