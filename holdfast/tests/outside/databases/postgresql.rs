//! PostgreSQL.

use super::{refused, restored, task};
use crate::support::options;
use anyhow::{Result, ensure};
use holdfast_testbed::customer_postgres::{CustomerPostgres, PASSWORD, SUPERUSER};
use holdfast_testbed::site::Site;
use serde_json::{Value, json};

const SHOP: &str = "
CREATE SCHEMA archive;
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, photo bytea, tags text[]);
CREATE TABLE archive.\"Odd \"\"name\"\".1\" (id int REFERENCES customers, body jsonb);
INSERT INTO customers (name, photo, tags) SELECT 'Zoë \u{1f600} ' || n, decode('00ff270a5c', 'hex'), ARRAY['a', NULL] FROM generate_series(1, 500) n;
INSERT INTO archive.\"Odd \"\"name\"\".1\" SELECT id, jsonb_build_object('n', id) FROM customers;
CREATE VIEW loud AS SELECT upper(name) AS name FROM customers;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
SELECT lo_from_bytea(4711, 'a large object');
";

const CONTENT: &str = "
SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM customers c;
SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM archive.\"Odd \"\"name\"\".1\" c;
SELECT count(*) FROM loud; SELECT twice(21); SELECT lo_get(4711); SELECT nextval('customers_id_seq') > 500;
";

struct Shop {
    site: Site,
    server: CustomerPostgres,
}

impl Shop {
    fn source(&self, databases: Value) -> Value {
        json!({"engine": "postgresql", "host": "127.0.0.1", "port": self.server.port(), "username": SUPERUSER,
               "password": PASSWORD, "databases": databases, "globals": true})
    }

    fn to(&self, database: &str) -> Value {
        json!({"remote_server_id": self.site.server, "database": database})
    }

    async fn exists(&self, database: &str) -> Result<bool> {
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
        Ok(self.server.query(SUPERUSER, &sql).await? == "1")
    }
}

#[tokio::test]
async fn a_postgresql_database_comes_back_whole_or_not_at_all() -> Result<()> {
    let server = CustomerPostgres::start().await?;
    for name in ["shop", "blog"] {
        server.create_database(name).await?;
    }
    server.query("shop", SHOP).await?;
    server.query("blog", "CREATE TABLE posts (id int)").await?;
    let shop = Shop { site: Site::start(options()).await?, server };
    let (site, server) = (&shop.site, &shop.server);
    let backup = site.back_up(task(site, &shop.source(json!(["shop", "blog"])), &[site.destination]).await?).await?;
    let before = server.query("shop", CONTENT).await?;
    let path = format!("backups/{}/restore", backup["id"]);
    for (streams, field) in [(json!([]), "streams"), (json!(["globals"]), "streams")] {
        let request = json!({"target": shop.to("new"), "streams": streams});
        let answer = site.client.raw(reqwest::Method::POST, &path, Some(&request)).await?;
        assert_eq!((answer.status, answer.body["errors"][field].is_array()), (422, true), "{answer:?}");
    }

    let new = json!({"target": shop.to("shop_new"), "streams": ["shop"]});
    restored(site, &backup, new.clone()).await?;
    assert_eq!(server.query("shop_new", CONTENT).await?, before);

    server.query("shop_new", "DROP VIEW loud; DELETE FROM archive.\"Odd \"\"name\"\".1\"").await?;
    refused(site, &backup, new.clone(), "target_exists").await?;
    let mut confirmed = new;
    confirmed["confirm"] = json!("127.0.0.1:shop_new");
    restored(site, &backup, confirmed.clone()).await?;
    assert_eq!(server.query("shop_new", CONTENT).await?, before);

    // Something of the team's own needs a table of the dump, which can therefore not be replaced: all of it stays.
    server.query("shop_new", "CREATE VIEW own AS SELECT id FROM customers; UPDATE customers SET name = 'mine'").await?;
    let failed = super::restore(site, &backup, confirmed).await?;
    ensure!(failed["status"] == "failed" && failed["error_code"] != "target_incomplete", "{failed:#}");
    let mine = server.query("shop_new", "SELECT count(*) FROM customers WHERE name = 'mine'").await?;
    assert_eq!(mine, "500", "a failed restore changed the existing database");
    assert_eq!(server.query("shop_new", "SELECT count(*) FROM own").await?, "500");

    let dry = json!({"target": shop.to("dry"), "streams": ["blog"], "dry_run": true});
    restored(site, &backup, dry).await?;
    ensure!(!shop.exists("dry").await?, "a dry run made its target");
    let mut wrong = json!({"target": shop.to("wrong"), "streams": ["blog"]});
    for (key, value) in [("host", json!("127.0.0.1")), ("port", json!(server.port())), ("username", json!(SUPERUSER))] {
        wrong["target"][key] = value;
    }
    wrong["target"]["password"] = json!("wrong");
    refused(site, &backup, wrong, "database_login_failed").await?;
    ensure!(!shop.exists("wrong").await?, "a refused restore made its target");
    shop.site.product.stop().await
}
