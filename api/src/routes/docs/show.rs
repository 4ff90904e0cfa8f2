//! `GET /api/docs`

use super::page;
use crate::html;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::OnceLock;

/// This document for people: every call with its fields, answers and examples. HTML, without a script.
#[utoipa::path(get, path = "/api/docs", tag = "system",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)))]
pub async fn show_docs() -> Response {
    // The document is the program's: it does not change while the process lives.
    static BODY: OnceLock<String> = OnceLock::new();
    let body = BODY.get_or_init(|| page::body(&serde_json::to_value(crate::openapi()).unwrap_or_default()));
    let mut response = html::styled(StatusCode::OK, "Holdfast API", page::STYLE, body);
    // Nothing in it is anybody's.
    let for_a_while = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, for_a_while);
    response
}

#[cfg(test)]
mod tests {
    use crate::routes::rows;
    use crate::testing::App;
    use serde_json::Value;

    #[tokio::test]
    async fn the_page_shows_every_call_and_loads_nothing() {
        let app = App::start().await;
        let answer = app.call("", "GET", "/api/docs", Value::Null).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        let text = String::from_utf8(answer.bytes).unwrap();
        for row in rows() {
            let line =
                format!("<b class=\"{}\">{}</b> <code>{}</code>", row.method.to_lowercase(), row.method, row.path);
            assert!(text.contains(&line), "{line}");
        }
        let outside = ["<script", "<img", "<link", "src=", "@import", "url(", " style=", " onclick"];
        for word in outside {
            assert!(!text.contains(word), "{word}");
        }
        let linked = text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for target in linked {
            assert!(target == "/api/openapi.json" || target.starts_with('#'), "{target}");
            if let Some(id) = target.strip_prefix('#') {
                assert!(text.contains(&format!("id=\"{id}\"")), "{target} leads nowhere");
            }
        }
    }
}
