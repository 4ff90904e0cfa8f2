//! The pages of the set-up. What a person typed is escaped.

use crate::html::{escaped, page};
use axum::http::StatusCode;
use axum::response::Response;

/// What a person typed, to be shown again. Never the password.
#[derive(Default)]
pub(super) struct Typed {
    pub name: String,
    pub email: String,
    pub timezone: String,
}

/// The form, with what was wrong with it.
pub(super) fn form(status: StatusCode, token: &str, typed: &Typed, errors: &[String]) -> Response {
    let items: String = errors.iter().map(|error| format!("<li>{}</li>", escaped(error))).collect();
    let errors =
        if items.is_empty() { String::new() } else { format!("<ul class=\"errors\" role=\"alert\">{items}</ul>") };
    let body = format!(
        "<h1>Set up Holdfast</h1><p>This makes the first person of this installation. The link works once.</p>{errors}\
         <form method=\"post\" action=\"/setup\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label for=\"name\">Name</label><input id=\"name\" name=\"name\" required maxlength=\"255\" autocomplete=\"name\" value=\"{name}\">\
         <label for=\"email\">E-mail</label><input id=\"email\" name=\"email\" type=\"email\" required maxlength=\"255\" autocomplete=\"email\" value=\"{email}\">\
         <label for=\"password\">Password (at least 8 characters)</label><input id=\"password\" name=\"password\" type=\"password\" required minlength=\"8\" autocomplete=\"new-password\">\
         <label for=\"timezone\">Time zone, as Europe/Berlin</label><input id=\"timezone\" name=\"timezone\" autocomplete=\"off\" value=\"{timezone}\">\
         <button type=\"submit\">Set up</button></form>",
        token = escaped(token),
        name = escaped(&typed.name),
        email = escaped(&typed.email),
        timezone = escaped(&typed.timezone),
    );
    page(status, "Set up Holdfast", &body)
}

/// The token, shown this once.
pub(super) fn done(token: &str) -> Response {
    let body = format!(
        "<h1>Holdfast is set up</h1><p>This is your API token. It may do everything in your team and is shown this once:</p>\
         <code>{}</code><p>Use it as <strong>Authorization: Bearer</strong> header. The calls are described at \
         <a href=\"/api/docs\">/api/docs</a>.</p>",
        escaped(token)
    );
    page(StatusCode::CREATED, "Holdfast is set up", &body)
}
