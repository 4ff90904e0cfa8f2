//! The cookie of a session. It carries a random secret and nothing else; whatever else it could say would be believed by
//! somebody. Never readable by a script, never sent along by another site's form.

use crate::links::Origin;
use axum::http::{HeaderMap, HeaderValue, header};
use chrono::TimeDelta;
use holdfast_vault::ticket::SessionSecret;

/// One of our cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// A session's secret.
    Session,
    /// Tells a browser in which somebody logged in before from all others. Opens nothing.
    Device,
}

impl Cookie {
    /// Its name. `__Host-` makes a browser refuse one that came without TLS, from a subdomain or for a path; it cannot be
    /// had without TLS, so there the name is another.
    fn name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Self::Session, true) => "__Host-holdfast_session",
            (Self::Session, false) => "holdfast_session",
            (Self::Device, true) => "__Host-holdfast_device",
            (Self::Device, false) => "holdfast_device",
        }
    }

    /// Its value in a request; none where it is missing or came twice.
    #[must_use]
    pub fn of<'a>(self, headers: &'a HeaderMap, origin: &Origin) -> Option<&'a str> {
        let name = self.name(origin.is_secure());
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(given, _)| *given == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// `Set-Cookie` with `value`, which must be made of letters, digits and `_`.
    #[must_use]
    pub fn set(self, value: &str, lasts: TimeDelta, origin: &Origin) -> HeaderValue {
        let secure = if origin.is_secure() { "; Secure" } else { "" };
        let name = self.name(origin.is_secure());
        let text = format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", lasts.num_seconds());
        let mut header = HeaderValue::from_str(&text).expect("a cookie of ours is plain text");
        header.set_sensitive(true);
        header
    }

    /// `Set-Cookie` that makes the browser forget it.
    #[must_use]
    pub fn clear(self, origin: &Origin) -> HeaderValue {
        self.set("", TimeDelta::zero(), origin)
    }
}

/// The secret in the session's cookie.
#[must_use]
pub fn session_secret(headers: &HeaderMap, origin: &Origin) -> Option<SessionSecret> {
    Cookie::Session.of(headers, origin).and_then(SessionSecret::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin { public_url: Some(url.to_owned()), allowed_hosts: Vec::new() }
    }

    fn with(cookie: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookie))])
    }

    #[test]
    fn with_tls_it_is_bound_to_the_host() {
        let set = Cookie::Session.set("hfc_1", TimeDelta::hours(1), &origin("https://b.example"));
        let expected = "__Host-holdfast_session=hfc_1; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(set.to_str().ok(), Some(expected));
        let set = Cookie::Session.set("hfc_1", TimeDelta::hours(1), &origin("http://b.example"));
        assert_eq!(set.to_str().ok(), Some("holdfast_session=hfc_1; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"));
    }

    #[test]
    fn a_cookie_that_came_twice_or_under_the_weaker_name_is_none() {
        let tls = origin("https://b.example");
        assert_eq!(Cookie::Session.of(&with("a=b; __Host-holdfast_session=x"), &tls), Some("x"));
        assert_eq!(Cookie::Session.of(&with("holdfast_session=x"), &tls), None);
        assert_eq!(Cookie::Session.of(&with("__Host-holdfast_session=x; __Host-holdfast_session=y"), &tls), None);
    }
}
