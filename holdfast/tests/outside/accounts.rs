//! What people are promised: an account by mail, a session that a browser keeps to itself, a second factor that a restored
//! installation still knows.

use crate::support::options;
use anyhow::{Context, Result, ensure};
use holdfast_testbed::product::Product;
use holdfast_testbed::site::{passable_folder, product_options};
use holdfast_testbed::smtp::Smtp;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const BASE: &str = "https://backup.example.com";
const PASSWORD: &str = "correct horse battery";

/// A browser behind a proxy that speaks TLS.
struct Browser {
    http: reqwest::Client,
    url: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(product: &Product) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, url: product.url().to_owned(), cookies: BTreeMap::new() })
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, format!("{}/api/{path}", self.url)).header("origin", BASE);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        for cookie in response.headers().get_all("set-cookie") {
            let text = cookie.to_str()?;
            ensure!(text.starts_with("__Host-") && text.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{text}");
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).context("a cookie")?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok((response.status().as_u16(), response.json().await.unwrap_or(Value::Null)))
    }

    async fn post(&mut self, path: &str, body: Value, status: u16) -> Result<Value> {
        let (seen, answer) = self.ask(Method::POST, path, Some(body)).await?;
        ensure!(seen == status, "POST {path}: {seen} {answer}");
        Ok(answer)
    }

    async fn status(&mut self) -> Result<u16> {
        Ok(self.ask(Method::GET, "user", None).await?.0)
    }
}

/// The secret of the link in the next mail, which must go to `to`.
async fn link(mails: &mut Smtp, to: &str, page: &str) -> Result<String> {
    loop {
        let mail = mails.mail().await?.replace("=\n", "").replace("=3D", "=");
        if let Some((_, rest)) = mail.split_once(&format!("{BASE}/{page}?token=")) {
            ensure!(mail.contains(&format!("To: {to}")), "{mail}");
            return Ok(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
        }
    }
}

/// What an authenticator app shows, whose clock is `ahead_secs` ahead: RFC 6238, written by somebody else.
fn code(secret: &str, ahead_secs: u32) -> Result<String> {
    let program = "import base64,hashlib,hmac,struct,sys,time;k=base64.b32decode(sys.argv[1]);\
        d=hmac.new(k,struct.pack('>Q',int(time.time()+int(sys.argv[2]))//30),hashlib.sha1).digest();o=d[19]&15;\
        print('%06d'%((struct.unpack('>I',d[o:o+4])[0]&0x7fffffff)%1000000))";
    let output = Command::new("/usr/bin/python3").args(["-c", program, secret, &ahead_secs.to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The status of a reading with a token.
async fn by_token(product: &Product, token: &str, path: &str) -> Result<u16> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    Ok(http.get(format!("{}/api/{path}", product.url())).bearer_auth(token).send().await?.status().as_u16())
}

async fn start(folder: &Path, mails: &Smtp) -> Result<Product> {
    let mut options = product_options(&options(), folder.to_owned());
    for (key, value) in [
        ("HTTP__PUBLIC_URL", BASE.to_owned()),
        ("ACCOUNTS__REGISTRATION", "true".to_owned()),
        ("MAIL__HOST", "127.0.0.1".to_owned()),
        ("MAIL__PORT", mails.port().to_string()),
        ("MAIL__TLS", "none".to_owned()),
        ("MAIL__FROM", "Holdfast <backup@example.com>".to_owned()),
    ] {
        options.settings.push((format!("HOLDFAST__{key}"), value));
    }
    Product::start(options).await
}

#[tokio::test]
async fn an_account_by_mail_with_a_second_factor_that_a_reset_does_not_pass_by() -> Result<()> {
    let folder = passable_folder("hf-accounts-")?;
    let mut mails = Smtp::start().await?;
    let product = start(&folder.path().join("data"), &mails).await?;
    ensure!(fs::metadata(product.data_dir().join("login-key"))?.permissions().mode() & 0o777 == 0o600);
    let mut browser = Browser::new(&product)?;
    let account = json!({"name": "Carl Ray", "email": "carl@example.org", "password": PASSWORD});
    browser.post("auth/register", account, 202).await?;
    let token = link(&mut mails, "carl@example.org", "verify-email").await?;
    browser.post("auth/verify-email", json!({"token": token, "password": PASSWORD}), 201).await?;
    let log_in = json!({"email": "carl@example.org", "password": PASSWORD});
    browser.post("auth/login", log_in.clone(), 200).await?;
    ensure!(browser.status().await? == 200);
    let begun = browser.post("user/two-factor", json!({}), 201).await?;
    let secret = begun["data"]["secret"].as_str().context("a secret")?.to_owned();
    let on = browser.post("user/two-factor/confirm", json!({"code": code(&secret, 0)?}), 200).await?;
    let recovery = on["data"]["recovery_codes"].as_array().context("codes")?.clone();
    browser.post("auth/logout", json!({}), 200).await?;
    let asked = browser.post("auth/login", log_in.clone(), 200).await?;
    ensure!(asked["data"]["two_factor_required"] == true && browser.status().await? == 401, "{asked}");
    // The code of the confirmation is used; the app's next one is good half a minute early.
    browser.post("auth/two-factor", json!({"code": code(&secret, 30)?}), 200).await?;
    let made = json!({"name": "ci", "abilities": ["view-backup-tasks"]});
    let made = browser.post("tokens", made, 201).await?;
    let token = made["data"]["plain_text_token"].as_str().context("a token")?.to_owned();
    ensure!(by_token(&product, &token, "backup-tasks").await? == 200);
    ensure!(by_token(&product, &token, "remote-servers").await? == 403);

    let mut elsewhere = Browser::new(&product)?;
    elsewhere.post("auth/forgot-password", json!({"email": "carl@example.org"}), 202).await?;
    let reset = link(&mut mails, "carl@example.org", "reset-password").await?;
    let reset = json!({"token": reset, "password": "another horse battery"});
    let answer = elsewhere.post("auth/reset-password", reset, 200).await?;
    ensure!(answer["data"]["two_factor_required"] == true, "{answer}");
    ensure!(elsewhere.status().await? == 401 && browser.status().await? == 401);
    elsewhere.post("auth/two-factor", json!({"code": recovery[0]}), 200).await?;
    ensure!(elsewhere.status().await? == 200);
    ensure!(by_token(&product, &token, "backup-tasks").await? == 200, "a reset ends sessions");
    let revoke = format!("tokens/{}", made["data"]["id"]);
    ensure!(elsewhere.ask(Method::DELETE, &revoke, None).await?.0 == 200);
    ensure!(by_token(&product, &token, "backup-tasks").await? == 401);

    restored(product, folder.path(), &mails, &recovery[1]).await
}

/// A copy of the installation, restored elsewhere, still asks for the second factor and knows its codes.
async fn restored(product: Product, folder: &Path, mails: &Smtp, recovery: &Value) -> Result<()> {
    let key = product.data_dir().join("login-key");
    let (identity, recipient) = (folder.join("id"), folder.join("own.age"));
    let made = Command::new("age-keygen").arg("-o").arg(&identity).output()?;
    let public = String::from_utf8(made.stderr)?.trim().trim_start_matches("Public key: ").to_owned();
    let copy = recipient.to_str().context("a path")?.to_owned();
    product.admin(&["backup", "--to", &copy, "--recipient", &public]).await?;
    let old_key = fs::read(&key)?;
    product.stop().await?;
    let new = folder.join("new");
    let restored = Command::new(crate::support::BINARY)
        .args(["admin", "restore", "--from", &copy, "--identity", identity.to_str().context("a path")?, "--data-dir"])
        .arg(&new)
        .output()?;
    ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    ensure!(fs::read(new.join("login-key"))? == old_key, "the log-in key came back");
    let product = start(&new, mails).await?;
    let mut again = Browser::new(&product)?;
    let log_in = json!({"email": "carl@example.org", "password": "another horse battery"});
    again.post("auth/login", log_in, 200).await?;
    ensure!(again.status().await? == 401);
    again.post("auth/two-factor", json!({"code": recovery}), 200).await?;
    ensure!(again.status().await? == 200, "the second factor is known");
    product.stop().await
}
