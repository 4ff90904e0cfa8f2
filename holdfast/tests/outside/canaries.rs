//! No secret is anywhere but where it belongs. Each one carries a marker; then everything else is searched for them:
//! other processes' arguments and environments, files, logs, the database's dump and log, every answer of the API.

mod markers;
mod places;
mod streams;

use crate::support::{is_root, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::client::{ApiClient, Record};
use holdfast_testbed::fake_s3::{FakeS3, Wrong};
use holdfast_testbed::receivers::Receiver;
use holdfast_testbed::site::{Site, SiteOptions, below};
use holdfast_testbed::sshd::{Login, key_pair_with};
use markers::Markers;
use places::{Customer, Processes};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// Everything that a run of the test needs at hand.
struct Sweep {
    site: Site,
    markers: Markers,
    /// With a token of its own, every answer noted.
    client: ApiClient,
    record: Record,
    user: Login,
    isolated: Login,
    keys: Keys,
    /// A store that refuses everything.
    store: FakeS3,
    /// A receiver of notifications that refuses everything and repeats what it was sent.
    receiver: Receiver,
}

/// Made before anybody looks: `ssh-keygen` takes its comment and passphrase as arguments.
struct Keys {
    good: (String, String),
    locked: String,
    stranger: String,
}

#[tokio::test]
async fn no_secret_leaves_its_place() -> Result<()> {
    if !is_root() {
        // Other users' processes cannot be looked at, and no users with passwords be made.
        return Err(anyhow::anyhow!("this test needs root"));
    }
    let mut sweep = prepare().await?;
    let places = places::Places::new(sweep.site.folder())?;
    let processes = Processes::watch();
    let customer = Customer::watch(&sweep.site.sshd, sweep.site.folder())?;
    let control = sweep.markers.fresh("control");
    fs::write(places.temporary_control(), &control)?;
    let shown = Command::new("sh").args(["-c", "read -r _", "sh", &control]).stdin(Stdio::piped()).spawn()?;
    let deeds = sweep.deeds(&control).await;
    let mut shown = shown;
    drop(shown.stdin.take());
    shown.wait()?;
    deeds?;
    let dump = places.own_file("dump.sql");
    let socket = sweep.site.product.database_socket()?;
    output(Command::new("pg_dump").arg("-h").arg(&socket).args(["-U", "postgres", "-f"]).arg(&dump).arg("holdfast"))?;
    fs::write(places.own_file("answers"), sweep.record.bytes())?;
    fs::write(places.own_file("processes"), processes.stop())?;
    customer.stop()?;
    let found = places.search(&sweep)?;
    let leaks: Vec<_> = found.iter().filter(|hit| hit.marker != "control").collect();
    ensure!(leaks.is_empty(), "secrets were found: {leaks:#?}");
    for expected in ["dump.sql", "answers", "processes", "control-in-tmp"] {
        ensure!(
            found.iter().any(|hit| hit.marker == "control" && hit.place.contains(expected)),
            "the search is blind: the control is not found in {expected}: {found:#?}"
        );
    }
    sweep.site.product.stop().await
}

async fn prepare() -> Result<Sweep> {
    let mut markers = Markers::default();
    let receiver = streams::echo().await?;
    let mut options: SiteOptions = options().set("HOLDFAST__LOG__FILTER", "debug");
    for name in ["PUSHOVER_URL", "TELEGRAM_URL"] {
        options = options.set(&format!("HOLDFAST__NOTIFY__{name}"), receiver.url());
    }
    for name in ["ALLOW_HTTP", "ALLOW_ANY_WEBHOOK_HOST"] {
        options = options.set(&format!("HOLDFAST__NOTIFY__{name}"), "true");
    }
    options.sshd_settings = "PasswordAuthentication yes".to_owned();
    let site = Site::start(options).await?;
    let psql = "ALTER SYSTEM SET log_statement = 'all'; ALTER SYSTEM SET log_error_verbosity = 'default'; SELECT pg_reload_conf()";
    for statement in psql.split("; ") {
        output(
            Command::new("psql")
                .arg("-h")
                .arg(site.product.database_socket()?)
                .args(["-U", "postgres", "-c", statement]),
        )?;
    }
    let kit = site.product.admin(&["recovery-kit", "--team", "1"]).await?;
    let identity = kit.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).context("no identity in the kit")?;
    markers.add("age identity", identity);
    let is_key = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    markers.add("mac key", kit.split_whitespace().find(is_key).context("no MAC key in the kit")?);
    let kek = fs::read_to_string(site.product.data_dir().join("kek"))?;
    let longest = kek.split_whitespace().max_by_key(|word| word.len()).context("an empty key file")?;
    markers.add("key-encryption key", longest);
    let person =
        ["create-user", "--email", "canary@example.org", "--name", "Canary", "--timezone", "UTC", "--password-stdin"];
    admin_with_input(&site, &person, &markers.fresh("user password"))?;
    let words =
        ["create-token", "--email", holdfast_testbed::product::USER_EMAIL, "--name", "canary", "--abilities", "*"];
    let token = site.product.admin(&words).await?.trim().to_owned();
    markers.add("API token", token.split_once('|').map_or(token.as_str(), |(_, secret)| secret));
    let record = Record::default();
    let client = ApiClient::new(site.product.url(), Some(token))?.recorded(&record);
    let user = Login::create_with("/bin/sh", Some(&markers.fresh("server password")))?;
    let isolated = Login::create_with("/bin/bash", Some(&markers.fresh("isolated password")))?;
    let keys = make_keys(&mut markers)?;
    let store = FakeS3::start(|_| Some(Wrong::Refuse(403, "AccessDenied", Vec::new()))).await?;
    Ok(Sweep { site, markers, client, record, user, isolated, keys, store, receiver })
}

fn make_keys(markers: &mut Markers) -> Result<Keys> {
    let comment = markers.fresh("key comment");
    let good = key_pair_with(&comment, "")?;
    let (locked, _) = key_pair_with(&comment, &markers.fresh("passphrase"))?;
    let (stranger, _) = key_pair_with(&comment, "")?;
    for (name, pem) in [("private key", &good.0), ("locked private key", &locked), ("wrong private key", &stranger)] {
        // A line of the body, which no other key has.
        markers.add(name, pem.lines().nth(4).filter(|line| line.len() > 40).context("a short key")?);
    }
    Ok(Keys { good, locked, stranger })
}

fn admin_with_input(site: &Site, arguments: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new(crate::support::BINARY)
        .arg("admin")
        .args(arguments)
        .arg("--data-dir")
        .arg(site.product.data_dir())
        .stdin(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    ensure!(child.wait()?.success(), "admin {arguments:?} failed");
    Ok(())
}

impl Sweep {
    async fn deeds(&mut self, control: &str) -> Result<()> {
        let tree = self.user.home().join("data");
        fs::create_dir(&tree)?;
        fs::write(tree.join("file"), "content")?;
        self.user.give(&tree)?;
        let by_password = self.server_by_password().await?;
        let by_key = self.servers_by_key().await?;
        let s3 = self.s3().await?;
        self.refused_bodies(by_password).await?;
        let path = json!({"paths": [&tree]});
        let password = self.markers.of("encryption password");
        let more = json!({"label": control, "source": path, "encryption": {"mode": "password"}, "encryption_password": password});
        let task = self.task(by_password, more).await?;
        let backup = self.run(task, "succeeded").await?["backup_id"].as_i64().context("no backup")?;
        let isolated = json!({"source": path, "isolated_username": self.isolated.name(), "isolated_password": self.markers.of("isolated password")});
        let task = self.task(by_password, isolated).await?;
        self.run(task, "succeeded").await?;
        let task = self.task(by_key, json!({"source": path})).await?;
        self.run(task, "succeeded").await?;
        self.streams().await?;
        self.failures(by_password, s3).await?;
        self.deliveries().await?;
        self.restores(backup, by_password).await?;
        self.read_everything().await
    }

    async fn server_by_password(&mut self) -> Result<i64> {
        let server = json!({
            "label": "by password", "ip_address": "127.0.0.1", "port": self.site.sshd.port(), "username": self.user.name(),
            "auth_method": "password", "password": self.markers.of("server password"),
            "database_password": self.markers.fresh("database password"), "host_key": self.site.sshd.host_key()?,
        });
        let id = self.id("remote-servers", &server).await?;
        let check = self.client.post(&format!("remote-servers/{id}/check"), &json!({})).await?;
        ensure!(check["data"]["ok"] == json!(true), "{check:#}");
        Ok(id)
    }

    /// One with a key that is let in; one with a wrong key and one with a wrong password fail their checks; a key with a
    /// passphrase is refused.
    async fn servers_by_key(&mut self) -> Result<i64> {
        let (pem, public) = &self.keys.good;
        let line: Vec<&str> = public.split(' ').take(2).collect();
        self.site.sshd.authorize(self.isolated.name(), &line.join(" "))?;
        let mut server = json!({
            "label": "by key", "ip_address": "127.0.0.1", "port": self.site.sshd.port(), "username": self.isolated.name(),
            "auth_method": "private_key", "private_key": pem, "host_key": self.site.sshd.host_key()?,
        });
        let id = self.id("remote-servers", &server).await?;
        server["username"] = json!("nobody");
        server["private_key"] = json!(self.keys.locked);
        self.refused("remote-servers", &server).await?;
        server["private_key"] = json!(self.keys.stranger);
        let wrong_key = self.id("remote-servers", &server).await?;
        server["username"] = json!("daemon");
        server["auth_method"] = json!("password");
        server["password"] = json!(self.markers.fresh("wrong password"));
        let wrong_password = self.id("remote-servers", &server).await?;
        for id in [wrong_key, wrong_password] {
            let check = self.client.post(&format!("remote-servers/{id}/check"), &json!({})).await?;
            ensure!(check["data"]["ok"] == json!(false), "{check:#}");
        }
        Ok(id)
    }

    async fn s3(&mut self) -> Result<i64> {
        let destination = json!({
            "label": "bucket", "type": "custom_s3", "s3_access_key": self.markers.fresh("S3 access key"),
            "s3_secret_key": self.markers.fresh("S3 secret key"), "s3_bucket_name": "bucket",
            "custom_s3_endpoint": self.store.endpoint(), "path_style_endpoint": true,
        });
        let id = self.id("backup-destinations", &destination).await?;
        let check = self.client.raw(Method::POST, &format!("backup-destinations/{id}/check"), Some(&json!({}))).await?;
        ensure!(check.body["data"]["ok"] == json!(false), "{check:?}");
        let sent = format!("{:?}", self.store.seen());
        ensure!(sent.contains(&self.markers.of("S3 access key")), "nothing was signed: {sent}");
        ensure!(!sent.contains(&self.markers.of("S3 secret key")), "the secret was sent");
        Ok(id)
    }

    /// An error names the field, never its value.
    async fn refused_bodies(&mut self, server: i64) -> Result<()> {
        let secret = format!("{}\nx", self.markers.of("server password"));
        self.refused(
            "remote-servers",
            &json!({"password": secret, "database_password": secret, "private_key": secret}),
        )
        .await?;
        let task = json!({
            "encryption_password": self.markers.fresh("encryption password"), "isolated_password": secret,
            "source": {"password": secret}, "encryption": self.markers.of("encryption password"),
        });
        self.refused("backup-tasks", &task).await?;
        let moved = json!({"ip_address": "127.0.0.2", "database_password": self.markers.of("database password")});
        let answer = self.client.raw(Method::PUT, &format!("remote-servers/{server}"), Some(&moved)).await?;
        ensure!(answer.status == 422, "{answer:?}");
        let setup = json!({"token": self.markers.fresh("setup token"), "password": self.markers.of("user password")});
        let answer = self.client.raw(Method::POST, "auth/setup", Some(&setup)).await?;
        ensure!(answer.status == 404, "{answer:?}");
        Ok(())
    }

    async fn failures(&mut self, server: i64, s3: i64) -> Result<()> {
        let secret = self.markers.of("encryption password");
        let lost = json!({"source": {"paths": ["/nowhere"]}, "encryption": {"mode": "password"}, "encryption_password": secret});
        let task = self.task(server, lost).await?;
        self.run(task, "failed").await?;
        let task =
            self.task(server, json!({"backup_destination_id": s3, "source": {"paths": ["/etc/hostname"]}})).await?;
        self.run(task, "failed").await?;
        let wrong = json!({
            "source": {"paths": ["/etc/hostname"]}, "isolated_username": self.user.name(),
            "isolated_password": self.markers.of("wrong password"),
        });
        let task = self.task(server, wrong).await?;
        self.run(task, "failed").await?;
        let database = json!({
            "type": "database", "source": {"engine": "postgresql", "host": "localhost", "username": "u",
                "password": self.markers.fresh("source password"), "databases": ["d"]},
        });
        let task = self.task(server, database).await?;
        self.run(task, "failed").await.map(drop)
    }

    async fn restores(&mut self, backup: i64, server: i64) -> Result<()> {
        let to = self.user.home().join("restored");
        for (password, status) in [
            (json!(self.markers.fresh("restore password")), "failed"),
            (json!(self.markers.of("encryption password")), "succeeded"),
            (Value::Null, "failed"), // The target exists by now.
        ] {
            let request = json!({"target": {"remote_server_id": server, "path": to}, "password": password});
            let started = self.client.post(&format!("backups/{backup}/restore"), &request).await?;
            let id = started["data"]["id"].as_i64().context("no restore")?;
            self.ended(&format!("restores/{id}"), status).await?;
        }
        ensure!(below(&to, &self.user.home().join("data/file")).exists(), "nothing was restored");
        Ok(())
    }

    async fn read_everything(&self) -> Result<()> {
        for path in [
            "user",
            "ssh-key",
            "remote-servers",
            "backup-destinations",
            "backup-tasks",
            "backup-runs",
            "backups",
            "restores",
            "openapi.json",
        ] {
            let list = self.client.get(path).await?;
            for item in list["data"].as_array().into_iter().flatten() {
                let id = item["id"].as_i64().context("an item without an id")?;
                self.client.get(&format!("{path}/{id}")).await?;
                let more = match path {
                    "backup-runs" => "log",
                    "backups" => "files",
                    "remote-servers" => "host-key",
                    "backup-tasks" => "latest-log",
                    _ => continue,
                };
                self.client.raw(Method::GET, &format!("{path}/{id}/{more}"), None).await?;
            }
        }
        Ok(())
    }

    async fn task(&self, server: i64, more: Value) -> Result<i64> {
        let mut task = json!({
            "label": "canary", "type": "files", "frequency": "manual", "maximum_backups_to_keep": 0,
            "remote_server_id": server, "backup_destination_id": self.site.destination,
        });
        let fields = task.as_object_mut().context("an object")?;
        fields.extend(more.as_object().context("an object")?.clone());
        self.id("backup-tasks", &task).await
    }

    async fn id(&self, path: &str, body: &Value) -> Result<i64> {
        self.client.post(path, body).await?["data"]["id"].as_i64().context("no id")
    }

    async fn refused(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.client.raw(Method::POST, path, Some(body)).await?;
        ensure!(answer.status == 422, "{answer:?}");
        Ok(())
    }

    async fn run(&self, task: i64, status: &str) -> Result<Value> {
        let started = self.client.post(&format!("backup-tasks/{task}/run"), &json!({})).await?;
        let id = started["data"]["backup_run_id"].as_i64().context("no run")?;
        self.ended(&format!("backup-runs/{id}"), status).await
    }

    async fn ended(&self, path: &str, status: &str) -> Result<Value> {
        let (poll, limit) = (std::time::Duration::from_millis(50), std::time::Duration::from_secs(60));
        let ended = self.client.finished(path, poll, limit, |_| ()).await?;
        ensure!(ended["status"] == status, "{path} should end {status}: {ended:#}");
        Ok(ended)
    }
}
