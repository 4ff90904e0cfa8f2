//! The programs under every shell that may be `/bin/sh` on a server, against a real MariaDB, without SSH in between.

use super::login::Fields;
use super::{ASK, COUNT, EACH, ONCE, dump, restore};
use crate::database::{DatabaseLogin, DatabaseTarget};
use crate::shells::{SHELLS, run};
use holdfast_domain::manifest::{DatabaseFacts, Omitted, OmittedKind};
use holdfast_domain::source::Engine;
use holdfast_testbed::mariadb::{ADMIN, MariaDb, PASSWORD};
use secrecy::SecretString;

const NAME: &str = "-a `n'a\"m$(x)e\nx";

fn omitted() -> Vec<Omitted> {
    let one = |kind, name: &str| Omitted { kind, schema: None, name: name.into(), table: None, catalogue_id: None };
    vec![one(OmittedKind::Table, "not this"), one(OmittedKind::Rows, "no rows")]
}

fn target(name: String) -> DatabaseTarget {
    let facts = DatabaseFacts {
        engine: Engine::Mariadb,
        server_version: String::new(),
        tables: 2,
        settings: [("character_set".to_owned(), "latin1".to_owned())].into(),
        roles: Vec::new(),
        omitted: omitted(),
    };
    DatabaseTarget { database: name, existing: false, facts, dry_run: false }
}

#[tokio::test]
async fn what_one_shell_dumps_every_shell_puts_back() {
    let server = MariaDb::start().await.unwrap();
    server.create_database(NAME).await.unwrap();
    let tables = "CREATE TABLE kept (t TEXT); INSERT INTO kept VALUES ('\\\\x'); CREATE TABLE `not this` (i INT);
        CREATE TABLE `no rows` (i INT); INSERT INTO `no rows` VALUES (1)";
    server.query(NAME, tables).await.unwrap();
    let login = DatabaseLogin {
        host: Some("127.0.0.1".to_owned()),
        port: Some(server.port()),
        username: Some(ADMIN.to_owned()),
        password: Some(SecretString::from(PASSWORD)),
    };
    for sh in SHELLS {
        let mut asked = Fields::log_in(&login, None).unwrap();
        asked.push(ONCE);
        asked.push(EACH);
        asked.push_list(&[NAME.to_owned()]).unwrap();
        let answer = run(sh, ASK, &asked.bytes(), b"");
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_eq!(answer.status.code(), Some(0), "{sh:?}: {said}");
        assert!(String::from_utf8_lossy(&answer.stdout).contains("\nrelation "), "{sh:?}: {said}");

        let fields = dump::fields(Engine::Mariadb, NAME, &omitted(), &login).unwrap();
        let dumped = run(sh, dump::PROGRAM, &fields.bytes(), b"");
        let said = String::from_utf8_lossy(&dumped.stderr).into_owned();
        assert_eq!(dumped.status.code(), Some(0), "{sh:?}: {said}");
        let dump = dumped.stdout.strip_prefix(b"holdfast:data\n").unwrap();

        let copy = format!("{NAME}{}", sh[0]);
        let fields = restore::fields(&target(copy.clone()), &login).unwrap();
        let input = [format!("{}\n", dump.len()).as_bytes(), dump, b"end\nkeep\n"].concat();
        let restored = run(sh, restore::PROGRAM, &fields.bytes(), &input);
        let said = String::from_utf8_lossy(&restored.stderr).into_owned();
        assert!(restored.stdout.ends_with(b"holdfast:done\n"), "{sh:?}: {said}");
        let rows =
            server.query(&copy, "SELECT t, (SELECT COUNT(*) FROM `no rows`), @@character_set_database FROM kept");
        assert_eq!(rows.await.unwrap(), "\\\\x\t0\tlatin1", "{sh:?}");
        assert_eq!(server.query(&copy, COUNT).await.unwrap(), "2 0");
    }
    // Without the word to keep it, the database goes again.
    let fields = restore::fields(&target("gone".to_owned()), &login).unwrap();
    for (sh, input) in SHELLS.iter().zip([&b"end\nundo\n"[..], b"\nkeep\n", b"end\nkept\n"]) {
        run(sh, restore::PROGRAM, &fields.bytes(), input);
        assert!(!server.query("mysql", "SHOW DATABASES").await.unwrap().contains("gone"), "{sh:?}");
    }
}
