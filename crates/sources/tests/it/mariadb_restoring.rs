//! MariaDB: putting a dump back: nothing half-made stays, nothing that exists is touched unasked, no dump runs a command.

use crate::mariadb_support::{Lab, spec, target};
use crate::support::write;
use bytes::Bytes;
use holdfast_domain::{FailureCode, Step};
use holdfast_sources::database::DatabaseTarget;
use std::time::{Duration, Instant};

async fn with_shop() -> Lab {
    let lab = Lab::new().await;
    lab.server.create_database("shop").await.unwrap();
    lab.sql("shop", "CREATE TABLE a (t VARCHAR(100)); INSERT INTO a VALUES ('\\\\! touch x')").await;
    lab
}

/// The dump with a statement, or something else, before its last line.
fn with(dump: &[u8], more: &str) -> Vec<u8> {
    let text = String::from_utf8(dump.to_vec()).unwrap();
    let at = text.rfind("-- Dump completed").unwrap();
    format!("{}{more}\n{}", &text[..at], &text[at..]).into_bytes()
}

async fn await_gone(lab: &Lab, name: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while lab.databases().await.iter().any(|database| database == name) {
        assert!(Instant::now() < until, "{name} stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_new_database_is_whole_or_not_there() {
    let lab = with_shop().await;
    let (dump, plan) = lab.dump_all_of("shop").await;
    let new = target("new", &plan.streams[0]);
    for (what, broken, code) in [
        ("a statement that fails", with(&dump, "INSERT INTO nowhere VALUES (1);"), FailureCode::RestoreIncomplete),
        (
            "a right that is missing",
            with(&dump, "SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1227, MESSAGE_TEXT = 'no';"),
            FailureCode::MissingRight,
        ),
        ("a table too few", with(&dump, "DROP TABLE a;"), FailureCode::RestoreIncomplete),
    ] {
        let failure = lab.restore(&new, &broken).await.unwrap_err();
        assert_eq!(failure.code, code, "{what}: {failure}");
        assert_ne!(failure.step, Step::Place, "{what}: {failure}");
        assert!(!failure.detail.contains("VALUES"), "{what}: {failure}");
        await_gone(&lab, "new").await;
    }
    // Given up in the middle, dropped without a word, and never begun.
    let mut writer = lab.writer(&new).await.unwrap();
    writer.write(Bytes::copy_from_slice(&dump)).await.unwrap();
    assert!(lab.databases().await.contains(&"new".to_owned()));
    assert!(writer.abort().await);
    await_gone(&lab, "new").await;
    let mut writer = lab.writer(&new).await.unwrap();
    writer.write(Bytes::copy_from_slice(&dump)).await.unwrap();
    drop(writer);
    await_gone(&lab, "new").await;
    let dry = DatabaseTarget { dry_run: true, ..new.clone() };
    lab.writer(&dry).await.unwrap().finish().await.unwrap();
    assert!(!lab.databases().await.contains(&"new".to_owned()));
    let restored = lab.restore(&new, &dump).await.unwrap();
    assert_eq!(restored.entries, 1);
    for target in [dry, new] {
        let failure = lab.writer(&target).await.err().unwrap();
        assert_eq!(failure.code, FailureCode::TargetExists, "{failure}");
    }
    let left = lab.bench.left_after(Duration::from_secs(5)).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn an_existing_database_is_changed_only_when_told_and_a_failure_says_that_it_was() {
    let lab = with_shop().await;
    let (dump, plan) = lab.dump_all_of("shop").await;
    lab.sql("mysql", "CREATE DATABASE there; CREATE TABLE there.mine (id INT)").await;
    let existing = DatabaseTarget { existing: true, ..target("there", &plan.streams[0]) };
    let writer = lab.writer(&existing).await.unwrap();
    assert!(writer.changes_what_existed());
    assert!(writer.abort().await);
    let failure = lab.restore(&existing, &with(&dump, "INSERT INTO nowhere VALUES (1);")).await.unwrap_err();
    assert_eq!((failure.code, failure.step), (FailureCode::TargetIncomplete, Step::Place), "{failure}");
    assert_eq!(lab.restore(&existing, &dump).await.unwrap().entries, 2);
    assert_eq!(lab.sql("there", "SHOW TABLES").await, "a\nmine");
    // Made when it is not there, and then gone again like a new one.
    let absent = DatabaseTarget { existing: true, ..target("absent", &plan.streams[0]) };
    assert!(!lab.writer(&absent).await.unwrap().changes_what_existed());
    await_gone(&lab, "absent").await;
    let failure = lab.restore(&absent, &with(&dump, "INSERT INTO nowhere VALUES (1);")).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::RestoreIncomplete, "{failure}");
    await_gone(&lab, "absent").await;
}

#[tokio::test]
async fn no_dump_makes_the_client_run_anything() {
    let lab = with_shop().await;
    let (dump, plan) = lab.dump_all_of("shop").await;
    let home = lab.bench.login.home().to_owned();
    let new = target("new", &plan.streams[0]);
    for command in [
        "\\! touch PWN",
        "system touch PWN",
        "\\T PWN",
        "tee PWN",
        "\\P touch PWN",
        "pager touch PWN\nSELECT 1;",
        "source /etc/hostname",
        "\\. /etc/hostname",
        "/*!999999\\! touch PWN*/",
    ] {
        let hostile = with(&dump, &command.replace("PWN", &home.join("pwn").display().to_string()));
        let ended = lab.restore(&new, &hostile).await;
        assert!(!home.join("pwn").exists(), "{command}: {ended:?}");
        if ended.is_ok() {
            lab.sql("mysql", "DROP DATABASE new").await;
        }
        await_gone(&lab, "new").await;
    }
    let old = "#!/bin/sh\ncase $* in *--help*) /usr/bin/mariadb \"$@\" | /bin/grep -v sandbox; exit;; esac\nexec /usr/bin/mariadb \"$@\"\n";
    let lab = lab.with_tools(&[("mariadb", Some(old))]);
    let failure = lab.writer(&new).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::ClientUnsafe, "{failure}");
    assert!(!lab.databases().await.contains(&"new".to_owned()));
}

#[tokio::test]
async fn neither_option_files_nor_the_environment_there_change_what_is_dumped_or_where() {
    let lab = with_shop().await;
    let (dump, plan) = lab.dump_all_of("shop").await;
    let home = lab.bench.login.home();
    let pwn = home.join("pwn");
    let file = format!(
        "[client]\nuser=nobody\npassword=wrong\nhost=192.0.2.1\n[mysqldump]\nno-data\nresult-file={0}\n[mysql]\ntee={0}\n[mariadb-dump]\nno-data\n",
        pwn.display()
    );
    write(&home.join(".my.cnf"), &file, 0o644);
    let settings = "SetEnv MYSQL_HOST=192.0.2.1 MYSQL_PWD=wrong MYSQL_TCP_PORT=1";
    let bench = crate::support::Bench::with(settings, holdfast_testbed::sshd::Login::create().unwrap());
    write(&bench.login.home().join(".my.cnf"), &file, 0o644);
    let other = Lab { bench, server: lab.server };
    let (again, _) = other.dump(&other.plan(&spec(&["shop"])).await.unwrap(), 0).await.unwrap();
    assert_eq!(crate::mariadb_support::body(&dump), crate::mariadb_support::body(&again));
    let odd = "--tee=/x `'\"$(touch pwn)\nnew";
    other.restore(&target(odd, &plan.streams[0]), &dump).await.unwrap();
    assert_eq!(other.sql(odd, "SELECT t FROM a").await, "\\\\! touch x");
    assert!(!pwn.exists());
}
