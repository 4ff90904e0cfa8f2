//! MariaDB.

use super::{refused, restore, restored, task};
use crate::support::{files, options};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::mariadb::{ADMIN, MariaDb, PASSWORD};
use holdfast_testbed::site::{Site, own_name};
use holdfast_testbed::sshd::Sshd;
use holdfast_testbed::steps;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;

/// Every kind of thing that a restore must bring back.
const SHOP: &str = "
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) CHARACTER SET utf8mb4 NOT NULL,
                        photo BLOB, loud VARCHAR(80) AS (UPPER(name)) STORED);
CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, total DECIMAL(12,2), placed DATETIME(6),
                     FOREIGN KEY (customer) REFERENCES customers (id));
INSERT INTO customers (name, photo) VALUES ('Zoë \u{1f600}', X'00FF270A5C'), ('O''Brien; DROP', NULL);
INSERT INTO orders SELECT seq, 1 + seq MOD 2, seq / 7, '2024-02-29 12:00:00.000001' FROM seq_1_to_500;
CREATE VIEW totals AS SELECT customer, SUM(total) AS total FROM orders GROUP BY customer;
CREATE TRIGGER never_negative BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = ABS(NEW.total);
CREATE PROCEDURE touch() UPDATE orders SET total = total;
";

struct Shop {
    site: Site,
    server: MariaDb,
}

impl Shop {
    async fn open(settings: &[(&str, &str)]) -> Result<Self> {
        let server = MariaDb::start().await?;
        server.create_database("shop").await?;
        server.query("shop", SHOP).await?;
        let site = Site::start(settings.iter().fold(options(), |all, (key, value)| all.set(key, *value))).await?;
        Ok(Self { site, server })
    }

    fn source(&self, databases: Value) -> Value {
        json!({"engine": "mariadb", "host": "127.0.0.1", "port": self.server.port(), "username": ADMIN,
               "password": PASSWORD, "databases": databases})
    }

    fn to(&self, database: &str) -> Value {
        json!({"remote_server_id": self.site.server, "database": database})
    }

    /// Everything in a database, in a form that can be compared.
    async fn content(&self, database: &str) -> Result<String> {
        let sums = self
            .server
            .query(
                database,
                "SELECT id, name, HEX(photo), loud FROM customers; SELECT * FROM orders; SELECT * FROM totals",
            )
            .await?;
        let names = format!(
            "SELECT 't', table_name, table_type FROM information_schema.tables WHERE table_schema = '{database}'
             UNION SELECT 'g', trigger_name, event_manipulation FROM information_schema.triggers WHERE trigger_schema = '{database}'
             UNION SELECT 'r', routine_name, routine_type FROM information_schema.routines WHERE routine_schema = '{database}'
             UNION SELECT 'k', constraint_name, table_name FROM information_schema.referential_constraints WHERE constraint_schema = '{database}'
             ORDER BY 1, 2"
        );
        Ok(format!("{sums}\n{}", self.server.query(database, &names).await?))
    }

    async fn exists(&self, database: &str) -> Result<bool> {
        let sql = format!("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '{database}'");
        Ok(self.server.query("mysql", &sql).await?.trim() == "1")
    }
}

#[tokio::test]
async fn a_mariadb_database_comes_back_new_over_an_existing_one_and_on_another_server() -> Result<()> {
    let shop = Shop::open(&[]).await?;
    let site = &shop.site;
    let task = task(site, &shop.source(json!(["shop"])), &[site.destination]).await?;
    let backup = site.back_up(task).await?;
    let before = shop.content("shop").await?;

    // A new database on the same server: the task's log-in serves.
    let done = restored(site, &backup, json!({"target": shop.to("shop_new")})).await?;
    ensure!(done["progress"]["nfiles"] == 2 && done["target"]["database"] == "shop_new", "{done:#}");
    ensure!(!done.to_string().contains("x)`%!"), "a password is shown: {done:#}");
    assert_eq!(shop.content("shop_new").await?, before);

    // What exists stays as it is, unless that is confirmed.
    shop.server.query("shop_new", "DELETE FROM orders; CREATE TABLE own (x INT)").await?;
    refused(site, &backup, json!({"target": shop.to("shop_new")}), "target_exists").await?;
    assert_eq!(shop.server.query("shop_new", "SELECT COUNT(*) FROM orders").await?.trim(), "0");
    restored(site, &backup, json!({"target": shop.to("shop_new"), "confirm": "127.0.0.1:shop_new"})).await?;
    assert_eq!(shop.server.query("shop_new", "SELECT COUNT(*) FROM orders").await?.trim(), "500");

    restored(site, &backup, json!({"target": shop.to("dry"), "dry_run": true})).await?;
    ensure!(!shop.exists("dry").await?, "a dry run made its target");
    let taken = json!({"target": shop.to("shop_new"), "dry_run": true});
    refused(site, &backup, taken, "target_exists").await?;

    // Another server never sees the task's log-in: it is asked without one, and with the one that the request brings.
    let other = Sshd::start_with("")?;
    let elsewhere = steps::register_server(&site.client, &other, other.port(), &own_name()?).await?;
    let mut target = json!({"remote_server_id": elsewhere, "database": "elsewhere"});
    let none = restore(site, &backup, json!({"target": target})).await?;
    ensure!(none["status"] == "failed", "the task's log-in was used on another server: {none:#}");
    for (key, value) in [("host", json!("127.0.0.1")), ("port", json!(shop.server.port())), ("username", json!(ADMIN))]
    {
        target[key] = value;
    }
    target["password"] = json!("wrong");
    refused(site, &backup, json!({"target": target}), "database_login_failed").await?;
    ensure!(!shop.exists("elsewhere").await?, "a refused restore made its target");
    target["password"] = json!(PASSWORD);
    restored(site, &backup, json!({"target": target})).await?;
    assert_eq!(shop.content("elsewhere").await?, before);
    shop.site.product.stop().await
}

#[tokio::test]
async fn a_restore_that_breaks_off_leaves_no_new_database_and_says_so_of_an_existing_one() -> Result<()> {
    let shop = Shop::open(&[]).await?;
    let site = &shop.site;
    let second = site.client.post("backup-destinations", &json!({"label": "second", "type": "local"})).await?;
    let second = second["data"]["id"].as_i64().context("a destination without an id")?;
    let task = task(site, &shop.source(json!(["shop"])), &[site.destination, second]).await?;
    let backup = site.back_up(task).await?;
    let before = shop.content("shop").await?;

    // A view has the name of a table of the dump: the table cannot be made, and what came before it is in place.
    shop.server.create_database("mixed").await?;
    shop.server.query("mixed", "CREATE TABLE own (x INT); CREATE VIEW orders AS SELECT * FROM own").await?;
    let request = json!({"target": shop.to("mixed"), "confirm": "127.0.0.1:mixed"});
    let failed = refused(site, &backup, request, "target_incomplete").await?;
    ensure!(failed["attempt"] == 1, "what may stand half at its target was repeated: {failed:#}");

    // The first copy is damaged in its middle: the second one is restored, and the first one's fault is on record.
    let copies: Vec<_> = files(&site.local_root())?.into_iter().filter(|f| is_stream_of(f, site.destination)).collect();
    let [object] = copies.as_slice() else { anyhow::bail!("one stream object: {copies:?}") };
    let mut bytes = fs::read(object)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(object, &bytes)?;
    restored(site, &backup, json!({"target": shop.to("from_the_second")})).await?;
    assert_eq!(shop.content("from_the_second").await?, before);
    let shown = site.client.get(&format!("backups/{}", backup["id"])).await?;
    assert_eq!(shown["data"]["copies"][0]["error_code"], "copy_damaged", "{shown:#}");

    // Nothing but the damaged one: nothing is left of the new database.
    let first = shown["data"]["copies"][0]["id"].clone();
    let request = json!({"target": shop.to("damaged"), "copy_id": first});
    refused(site, &backup, request, "copy_damaged").await?;
    ensure!(!shop.exists("damaged").await?, "a failed restore left its new database");
    shop.site.product.stop().await
}

fn is_stream_of(path: &Path, destination: i64) -> bool {
    let folder = destination.to_string();
    path.components().any(|part| part.as_os_str() == folder.as_str())
        && path.file_name().is_some_and(|name| name.to_string_lossy().contains(".sql.zst"))
}

#[tokio::test]
async fn many_streams_in_many_objects_are_downloaded_by_name_and_by_range() -> Result<()> {
    let shop = Shop::open(&[("HOLDFAST__DESTINATIONS__OBJECT_LIMIT_BYTES", "1048576")]).await?;
    let (site, server) = (&shop.site, &shop.server);
    server.create_database("blobs").await?;
    let fill =
        "CREATE TABLE b (id INT PRIMARY KEY, b BLOB); INSERT INTO b SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_2500";
    server.query("blobs", fill).await?;
    let backup = site.back_up(task(site, &shop.source(json!(["blobs", "shop"])), &[site.destination]).await?).await?;
    let names: Vec<&str> =
        backup["streams"].as_array().context("streams")?.iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["blobs", "shop"]);
    let path = format!("backups/{}/download", backup["id"]);
    let unnamed = site.client.raw(reqwest::Method::GET, &path, None).await?;
    assert_eq!((unnamed.status, unnamed.body["errors"]["stream"].is_array()), (422, true), "{unnamed:?}");
    let unnamed = json!({"target": shop.to("new")});
    let path_of_restore = format!("backups/{}/restore", backup["id"]);
    let unnamed = site.client.raw(reqwest::Method::POST, &path_of_restore, Some(&unnamed)).await?;
    assert_eq!((unnamed.status, unnamed.body["errors"]["streams"].is_array()), (422, true), "{unnamed:?}");

    let whole = site.folder().join("whole");
    site.client.download(&format!("{path}?stream=blobs"), &whole).await?;
    let bytes = fs::read(&whole)?;
    ensure!(bytes.len() > 2 * 1024 * 1024, "it fits into two objects: {}", bytes.len());
    assert_eq!(backup["streams"][0]["stored_sha256"], hex::encode(Sha256::digest(&bytes)));
    let objects = files(&site.local_root())?.into_iter().filter(|file| is_stream_of(file, site.destination)).count();
    ensure!(objects >= 4, "two databases lie in {objects} objects");
    // Over the border between the first object and the second.
    let part = site.client.range(&format!("{path}?stream=blobs"), 1_048_500..1_048_700).await?;
    ensure!(part == bytes[1_048_500..1_048_700], "a range over two objects is not those bytes");

    restored(site, &backup, json!({"target": shop.to("blobs_new"), "streams": ["blobs"]})).await?;
    let sum = "SELECT COUNT(*), MD5(GROUP_CONCAT(MD5(b) ORDER BY id SEPARATOR '')) FROM b";
    let sum = format!("SET SESSION group_concat_max_len = 1000000; {sum}");
    assert_eq!(server.query("blobs_new", &sum).await?, server.query("blobs", &sum).await?);
    shop.site.product.stop().await
}

#[tokio::test]
async fn databases_are_listed_with_the_servers_password_and_only_to_the_server_itself() -> Result<()> {
    let shop = Shop::open(&[]).await?;
    let site = &shop.site;
    let path = format!("remote-servers/{}", site.server);
    let port = shop.server.port();
    let query = format!("databases?engine=mariadb&host=127.0.0.1&port={port}&username={ADMIN}");
    let without = site.client.raw(reqwest::Method::GET, &format!("{path}/{query}"), None).await?;
    assert_eq!((without.status, &without.body["code"]), (409, &json!("database_login_failed")), "{without:?}");
    let server = site.client.get(&path).await?["data"].take();
    let connection = &server["connection"];
    let update = json!({"label": server["label"], "ip_address": connection["ip_address"], "port": connection["port"],
                        "username": connection["username"], "database_password": PASSWORD});
    site.client.call(reqwest::Method::PUT, &path, Some(&update)).await?;
    let listed = site.client.get(&format!("{path}/{query}")).await?["data"].take();
    assert_eq!(listed["engine"], "mariadb", "{listed:#}");
    let databases = listed["databases"].as_array().context("databases")?;
    let shown = databases.iter().find(|one| one["name"] == "shop").with_context(|| format!("no shop: {listed:#}"))?;
    let tables: Vec<&str> =
        shown["tables"].as_array().context("tables")?.iter().filter_map(|t| t["name"].as_str()).collect();
    ensure!(tables.contains(&"customers") && tables.contains(&"orders"), "{listed:#}");
    ensure!(shown["size_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{listed:#}");
    ensure!(!databases.iter().any(|one| one["name"] == "information_schema"), "{listed:#}");
    // Another name, which happens to lead to the same server: for all we know it is somebody else's.
    let elsewhere = query.replace("127.0.0.1", "0.0.0.0");
    let answer = site.client.raw(reqwest::Method::GET, &format!("{path}/{elsewhere}"), None).await?;
    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("database_login_failed")), "{answer:?}");
    shop.site.product.stop().await
}
