//! Text is text: whatever a team types is refused with 422 or comes back as it was typed, and is run by nobody, not on
//! the customer's server, whatever its login shell, and not here.

use crate::support::{assert_equal, listing, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::site::{Site, SiteOptions, below};
use holdfast_testbed::sshd::Login;
use holdfast_testbed::tree::odd_names;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command would make that was run out of a text: looked for everywhere afterwards.
fn victim() -> String {
    format!("pwn-{}", hex::encode(rand::random::<[u8; 8]>()))
}

/// Texts that have broken programs.
fn corpus(victim: &str) -> Vec<String> {
    let touch = format!("touch {victim}");
    let mut texts: Vec<String> = [
        "it's \"quoted\"",
        "a\nb",
        "a\r\nb",
        "tab\there",
        "-rf",
        "-",
        "--",
        "\\",
        "'",
        "\"",
        "`",
        "$",
        "~",
        "#",
        "!",
        "*",
        "..",
        "../../etc/passwd",
        "/../..",
        "%s%n%00%2e",
        "<script>alert(1)</script>",
        "' OR '1'='1",
        "a\0b",
        "\0",
        "日本語 🗄️",
        "שלום",
        "invoice\u{202e}fdp.exe",
        "a\u{2028}b",
        "\u{feff}",
        "\u{1b}[31mred",
        "{{7*7}}",
        "host=x port=1",
        "a b",
        "0",
        "null",
        "[]",
        "localhost;id",
        "/a/\u{fffd}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch} #"),
        format!("| {touch}"),
        format!("&& {touch}"),
        format!("'; {touch}; '"),
        format!("\"; {touch}; \""),
        format!("\n{touch}\n"),
        format!("--checkpoint-action=exec={touch}"),
        format!("-oProxyCommand={touch}"),
        format!("--use-compress-program={touch}"),
        format!("(){{ :;}}; {touch}"),
        "x".repeat(256),
        "é".repeat(5_000),
        "/x".repeat(40_000),
    ]);
    texts
}

#[tokio::test]
async fn every_text_of_every_field_is_refused_or_kept() -> Result<()> {
    let (site, victim) = (Site::start(options()).await?, victim());
    let corpus = corpus(&victim);
    // Of every server: the same host, port and user are refused.
    let mut port = 1000;
    for (collection, field) in fields() {
        let secret = ["password", "key"].iter().any(|word| field.ends_with(word));
        // Of a path the same again where it passes as one.
        let is_path = ["path", "paths/0", "excludes/0"].iter().any(|end| field.ends_with(end));
        let absolute = corpus.iter().filter(|_| is_path).map(|text| format!("/{text}"));
        for text in corpus.iter().cloned().chain(absolute) {
            port += 1;
            let mut body = good_body(&site, collection, port);
            match field {
                // The other type does not show its region.
                "/custom_s3_region" => body["type"] = json!("s3"),
                // The long form would win.
                "/source_path" => body["source"] = json!({"excludes": ["e"]}),
                "/database_name" | "/excluded_database_tables" => {
                    body["type"] = json!("database");
                    body["source"] = json!({"engine": "postgresql"});
                    body["database_name"] = json!("db");
                }
                _ => {}
            }
            *body.pointer_mut(field).with_context(|| format!("{collection} has no {field}"))? = json!(text);
            let answer = site.client.raw(Method::POST, collection, Some(&body)).await?;
            let case = format!("{collection}{field} = {:?}", text.chars().take(60).collect::<String>());
            ensure!(matches!(answer.status, 201 | 422), "{case} answered {}: {}", answer.status, answer.body);
            if answer.status == 422 {
                continue;
            }
            let id = answer.body["data"]["id"].as_i64().context("no id")?;
            let shown = site.client.get(&format!("{collection}/{id}")).await?;
            let mut texts = BTreeSet::new();
            strings(&shown, &mut texts);
            let forms = [text.clone(), kept(&text), format!("https://{text}")];
            ensure!(forms.iter().any(|form| texts.contains(form.as_str())) || secret, "{case} came back as {shown:#}");
            ensure!(!secret || !texts.contains(text.as_str()) || text.len() < 2, "{case} is a secret and was shown");
            ensure!(!text.contains('\0'), "{case} was taken");
        }
    }
    nobody_ran(&victim)?;
    site.product.stop().await
}

/// Collections, and the place of a text in a good body.
fn fields() -> Vec<(&'static str, &'static str)> {
    let servers =
        ["/label", "/ip_address", "/username", "/password", "/database_password", "/private_key", "/host_key"];
    let destinations =
        ["/label", "/s3_access_key", "/s3_secret_key", "/s3_bucket_name", "/custom_s3_region", "/custom_s3_endpoint"];
    let tasks = [
        "/label",
        "/description",
        "/source_path",
        "/source/paths/0",
        "/source/excludes/0",
        "/store_path",
        "/appended_file_name",
        "/isolated_username",
        "/isolated_password",
        "/encryption_password",
        "/timezone",
        "/custom_cron_expression",
        "/time_to_run_at",
        "/database_name",
        "/excluded_database_tables",
    ];
    let of =
        |name: &'static str, fields: &[&'static str]| fields.iter().map(|field| (name, *field)).collect::<Vec<_>>();
    [of("remote-servers", &servers), of("backup-destinations", &destinations), of("backup-tasks", &tasks)].concat()
}

fn good_body(site: &Site, collection: &str, port: u16) -> Value {
    match collection {
        "remote-servers" => json!({
            "label": "l", "ip_address": "192.0.2.1", "username": "u", "port": port, "auth_method": "password",
            "password": "p", "database_password": "p", "private_key": null, "host_key": null,
        }),
        "backup-destinations" => json!({
            "label": "l", "type": "custom_s3", "s3_access_key": "a", "s3_secret_key": "s", "s3_bucket_name": "bucket",
            "custom_s3_region": "eu", "custom_s3_endpoint": "https://s3.example.org", "path_style_endpoint": true,
        }),
        _ => json!({
            "label": "l", "description": "d", "type": "files", "frequency": "daily", "time_to_run_at": "03:00",
            "custom_cron_expression": null, "timezone": "UTC", "maximum_backups_to_keep": 0, "remote_server_id": site.server,
            "backup_destination_id": site.destination, "source_path": null, "source": {"paths": ["/p"], "excludes": ["e"]},
            "store_path": "s", "appended_file_name": "a", "isolated_username": "u", "isolated_password": "p",
            "encryption": {"mode": "password"}, "encryption_password": "twelve letters", "database_name": null,
            "excluded_database_tables": null,
        }),
    }
}

/// What may become of a text that is kept: outer spaces go, line ends and slashes get their one form. (A bare host of an
/// endpoint gets its scheme besides.)
fn kept(text: &str) -> String {
    let mut text = text.trim().replace("\r\n", "\n");
    while text.contains("//") {
        text = text.replace("//", "/");
    }
    text
}

fn strings<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => drop(found.insert(text)),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}

#[tokio::test]
async fn hostile_names_come_back_through_every_login_shell() -> Result<()> {
    let mut options: SiteOptions = options();
    options.sshd_settings = "PasswordAuthentication yes".to_owned();
    let (site, victim) = (Site::start(options).await?, victim());
    for (shell, password) in [
        ("/bin/dash", format!("it's $(touch {victim})")),
        ("/bin/bash", format!(" \"`touch {victim}`\\")),
        ("/usr/bin/fish", format!("'; touch {victim}; '\\'é%#!")),
        ("/usr/bin/tcsh", format!("-oProxyCommand=touch {victim} !!")),
    ] {
        let user = Login::create_with(shell, Some(&password))?;
        let server = json!({
            "label": shell, "ip_address": "127.0.0.1", "port": site.sshd.port(), "username": user.name(),
            "password": password, "host_key": site.sshd.host_key()?,
        });
        let server = site.client.post("remote-servers", &server).await?["data"]["id"].as_i64().context("no id")?;
        round_trip(&site, server, &user, &victim).await.with_context(|| format!("with the login shell {shell}"))?;
        nobody_ran(&victim)?;
    }
    site.product.stop().await
}

async fn round_trip(site: &Site, server: i64, user: &Login, victim: &str) -> Result<()> {
    let folder = user.home().join(format!("$(touch {victim})\n-C"));
    let paths = plant(&folder, victim)?;
    let excluded = ["zz$(touch pwn)", "--zz=exec=touch pwn", "zz\nzz", "zz'\"`;&|", "-zz", "zz\u{202e}zz"];
    for name in excluded {
        fs::write(paths[0].join(name), "not wanted")?;
    }
    user.give(&folder)?;
    let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let more = json!({
        "remote_server_id": server, "source": {"excludes": excluded}, "label": "'$(reboot)'", "appended_file_name": "a-b_c.d",
        "store_path": "/a b/--c".replace("--", "c-"),
    });
    let task = site.task(&all, more).await?;
    let backup = site.back_up(task).await?;
    let target = json!({"target": {"remote_server_id": server}, "restore_owners": false});

    let to = user.home().join(format!("to `touch {victim}`\n'\"\\"));
    site.restore_well(&backup, &to, target.clone()).await?;
    assert_eq!(listing(&below(&to, &paths[0]))?.len(), 2, "what is excluded is not there, the rest is");
    for path in &paths[1..] {
        assert_equal(path, &below(&to, path))?;
    }
    let to = user.home().join("--checkpoint-action=exec=touch pwn");
    let mut some = target;
    some["paths"] = json!([paths[1], paths[2]]);
    site.restore_well(&backup, &to, some).await?;
    for path in &paths[1..3] {
        assert_equal(path, &below(&to, path))?;
    }
    names_are_listed(site, &backup, &folder, &paths).await
}

/// Folders with the names of the corpus and of all odd trees, each with two files: one of that name, one whose name is
/// no text at all.
fn plant(folder: &Path, victim: &str) -> Result<Vec<PathBuf>> {
    let odd = odd_names().into_iter().filter_map(|name| String::from_utf8(name).ok());
    let is_name =
        |text: &String| !text.contains(['/', '\0']) && text.len() < 256 && !matches!(text.as_str(), "." | "..");
    let names: BTreeSet<String> = odd.chain(corpus(victim)).filter(is_name).collect();
    fs::create_dir(folder)?;
    let mut paths = Vec::new();
    for name in names {
        let path = folder.join(&name);
        fs::create_dir(&path)?;
        fs::write(path.join(&name), &name)?;
        fs::write(path.join(std::ffi::OsStr::from_bytes(b"\xff\xfe\n")), "bytes")?;
        paths.push(path);
    }
    ensure!((60..=100).contains(&paths.len()), "{} paths", paths.len());
    Ok(paths)
}

/// The index shows every name as it is.
async fn names_are_listed(site: &Site, backup: &Value, folder: &Path, paths: &[PathBuf]) -> Result<()> {
    let path: String = folder.to_str().context("text")?.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let listed = site.client.get(&format!("backups/{}/files?limit=1000&path={path}", backup["id"])).await?;
    let entries = listed["data"]["entries"].as_array().context("no entries")?;
    let shown: BTreeSet<&str> = entries.iter().filter_map(|entry| entry["path"].as_str()).collect();
    let wanted: BTreeSet<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
    let some = |set: Vec<&&str>| set.into_iter().take(5).map(|text| format!("{text:?}")).collect::<Vec<_>>();
    let (missing, strange) = (some(wanted.difference(&shown).collect()), some(shown.difference(&wanted).collect()));
    ensure!(shown == wanted, "not listed: {missing:?}; instead: {strange:?}");
    Ok(())
}

/// No command that was hidden in a text made its file, wherever it would have run.
fn nobody_ran(victim: &str) -> Result<()> {
    let roots = ["/", "/tmp", "/run", "/dev/shm"];
    let found = Command::new("find").args(roots).args(["-xdev", "-name", victim, "-print"]).output()?;
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    ensure!(found.is_empty(), "a text was run: {found}");
    // The search itself sees such a file.
    let control = tempfile::tempdir()?;
    fs::write(control.path().join(victim), "")?;
    let seen = output(Command::new("find").arg(control.path()).args(["-xdev", "-name", victim]))?;
    ensure!(!seen.is_empty(), "the search is blind");
    Ok(())
}
