//! A request with exactly the headers that its client sends, which no HTTP library allows. `connection: close` is ours: it
//! says where an answer ends.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(60);

/// Where the product listens.
pub struct Wire {
    authority: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Wire {
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { authority: url.strip_prefix("http://").context("no http address")?.to_owned() })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// `body`: none sends no length either.
    pub async fn send(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<Reply> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.authority);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        let exchange = async {
            let mut stream = TcpStream::connect(&self.authority).await?;
            stream.write_all(text.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            String::from_utf8(answer).context("an answer that is no text")
        };
        let answer = tokio::time::timeout(LIMIT, exchange).await.with_context(|| format!("{method} {path}"))??;
        Reply::read(&answer).with_context(|| format!("{method} {path}: {answer}"))
    }
}

impl Reply {
    fn read(text: &str) -> Result<Self> {
        let (head, body) = text.split_once("\r\n\r\n").context("no end of the headers")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        ensure!(!headers.contains_key("transfer-encoding"), "an answer in pieces");
        ensure!(!headers.contains_key("set-cookie"), "a cookie for a token's client");
        Ok(Self { status, headers, body: body.to_owned() })
    }

    /// The body, which must be JSON and say so.
    pub fn json(&self) -> Result<Value> {
        let kind = self.headers.get("content-type").map(String::as_str);
        ensure!(kind == Some("application/json"), "{kind:?}");
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }

    /// The body of an answer with this status.
    pub fn must(&self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "{} instead of {status}: {}", self.status, self.body);
        self.json()
    }
}

/// A whole number where a client's type allows nothing else.
pub fn whole(value: &Value, pointer: &str) -> Result<i64> {
    value.pointer(pointer).and_then(Value::as_i64).with_context(|| format!("{pointer} is no integer: {value}"))
}

/// A text where a client's type allows nothing else.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("{pointer} is no text: {value}"))
}

/// True or false where a client's type allows nothing else.
pub fn truth(value: &Value, pointer: &str) -> Result<bool> {
    value.pointer(pointer).and_then(Value::as_bool).with_context(|| format!("{pointer} is not true or false: {value}"))
}

/// A time that a client parses.
pub fn time(value: &Value, pointer: &str) -> Result<()> {
    let text = text(value, pointer)?;
    let is_time = text.len() == 20
        && text.ends_with('Z')
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            10 => b == b'T',
            13 | 16 => b == b':',
            19 => b == b'Z',
            _ => b.is_ascii_digit(),
        });
    ensure!(is_time, "{pointer} is no time: {text}");
    Ok(())
}

/// The items of a list.
pub fn items(value: &Value) -> Result<&Vec<Value>> {
    value["data"].as_array().with_context(|| format!("no list: {value}"))
}
