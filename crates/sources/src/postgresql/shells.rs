//! PostgreSQL's programs under every shell that may be `/bin/sh` on a server, without SSH in between.

use super::{dump, globals, login, restore};
use crate::database::DatabaseLogin;
use crate::shells::{SHELLS, run};
use holdfast_testbed::customer_postgres::{CustomerPostgres, PASSWORD, SUPERUSER};
use secrecy::SecretString;

struct Lab {
    server: CustomerPostgres,
    login: DatabaseLogin,
    port: String,
}

impl Lab {
    async fn new() -> Self {
        let server = CustomerPostgres::start().await.unwrap();
        server.create_database("a 'b'").await.unwrap();
        server.query("a 'b'", "CREATE TABLE t AS SELECT 7 AS n; CREATE VIEW v AS SELECT * FROM t").await.unwrap();
        let login = DatabaseLogin {
            host: Some("127.0.0.1".to_owned()),
            port: Some(server.port()),
            username: Some(SUPERUSER.to_owned()),
            password: Some(SecretString::from(PASSWORD.to_owned())),
        };
        Self { port: login::port(&login), server, login }
    }

    /// What `program` writes to its standard output, and says.
    fn run(&self, sh: &[&str], program: &str, (database, more): (&str, &[&str]), rest: &[u8]) -> (Vec<u8>, String) {
        let mut fields = login::fields(&self.login, &self.port, database).unwrap().to_vec();
        fields.extend(more.iter().map(|field| field.as_bytes()));
        let output = run(sh, program, &fields, rest);
        (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn dump(&self, sh: &[&str]) -> Vec<u8> {
        let options = ["1", "--lock-wait-timeout=9000"];
        let (written, said) = self.run(sh, dump::PROGRAM, ("a 'b'", &options), b"");
        assert!(said.contains("holdfast:before ") && said.contains("holdfast:after "), "{sh:?}: {said}");
        written.strip_prefix(b"holdfast:data\n").unwrap_or_else(|| panic!("{sh:?}: {said}")).to_vec()
    }

    fn restore(&self, sh: &[&str], target: &str, input: &[u8]) -> (String, String) {
        let more = [
            target, "1", "5", "encoding", "UTF8", "collate", "C", "ctype", "C", "provider", "c", "locale", "", "1", "0",
        ];
        let (written, said) = self.run(sh, restore::PROGRAM, (SUPERUSER, &more), input);
        (String::from_utf8(written).unwrap(), said)
    }

    async fn databases(&self) -> String {
        let sql = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
        self.server.query(SUPERUSER, sql).await.unwrap()
    }
}

/// `list` and `archive` as they travel, in two frames.
fn framed(list: &str, archive: &[u8]) -> Vec<u8> {
    let stream = [format!("{}\n{list}", list.len()).as_bytes(), archive].concat();
    let (head, tail) = stream.split_at(stream.len() / 2);
    let mut out = Vec::new();
    for frame in [head, tail] {
        out.extend_from_slice(format!("{}\n", frame.len()).as_bytes());
        out.extend_from_slice(frame);
    }
    out
}

#[tokio::test]
async fn every_shell_dumps_and_puts_back() {
    let lab = Lab::new().await;
    for (at, sh) in SHELLS.iter().enumerate() {
        let archive = lab.dump(sh);
        let whole = [framed("", &archive).as_slice(), b"end\nkeep\n"].concat();
        let target = format!("whole {at}");
        let (written, said) = lab.restore(sh, &target, &whole);
        assert!(
            written.contains("holdfast:restored 1 ") && written.ends_with("holdfast:done\n"),
            "{sh:?}: {written}{said}"
        );
        assert_eq!(lab.server.query(&target, "SELECT n FROM v").await.unwrap(), "7");
        let (written, said) = lab.run(sh, globals::PROGRAM, (SUPERUSER, &[]), b"");
        assert!(written.ends_with(b"-- PostgreSQL database cluster dump complete\n--\n\n"), "{sh:?}: {said}");
        // Only the table and its rows are wanted.
        let mut contents = super::archive::Archive::default();
        contents.feed(&archive).unwrap();
        let list: String =
            contents.list().lines().filter(|id| wanted(id, &archive)).map(|id| format!("{id}\n")).collect();
        let part = [framed(&list, &archive).as_slice(), b"end\nkeep\n"].concat();
        let target = format!("part {at}");
        let (written, said) = lab.restore(sh, &target, &part);
        assert!(written.ends_with("holdfast:done\n"), "{sh:?}: {written}{said}");
        assert_eq!(lab.server.query(&target, "SELECT n, to_regclass('v') IS NULL FROM t").await.unwrap(), "7|t");
    }
}

/// Whether the entry with this number is not the view, as `pg_restore -l` says.
fn wanted(line: &str, archive: &[u8]) -> bool {
    use std::io::Write as _;
    let mut child = std::process::Command::new("pg_restore")
        .arg("-l")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(archive).unwrap();
    let listed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    !listed.lines().any(|entry| entry.starts_with(line) && entry.contains(" VIEW "))
}

#[tokio::test]
async fn an_input_that_ends_early_leaves_no_database() {
    let lab = Lab::new().await;
    for sh in SHELLS {
        let archive = lab.dump(sh);
        let frames = framed("", &archive);
        for tail in [&b""[..], b"end\n", b"end\nkee\n", b"undo\nkeep\n", b"\nkeep\n"] {
            let (written, said) = lab.restore(sh, "gone", &[frames.as_slice(), tail, b"\n"].concat());
            assert!(!written.contains("holdfast:done"), "{sh:?} {tail:?}: {written}{said}");
            assert_eq!(lab.databases().await, "a 'b'", "{sh:?} {tail:?}: {said}");
        }
        let (written, _) = lab.restore(sh, "gone", &[&frames[..frames.len() / 2], b"\nundo\n"].concat());
        assert!(!written.contains("holdfast:done"));
        assert_eq!(lab.databases().await, "a 'b'", "{sh:?}");
    }
}
