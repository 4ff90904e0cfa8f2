//! Who is at the other end, before anybody proved who they are.

use crate::extract::ClientAddress;
use crate::extract::session_cookie::Cookie;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use holdfast_vault::one_time::SecretHash;
use holdfast_vault::ticket::{DeviceSecret, SessionSecret};
use std::net::IpAddr;

/// What is kept of a browser's own description.
const USER_AGENT_CHARS: usize = 255;

/// The other end of a request.
#[derive(Clone)]
pub struct Visitor {
    /// Its address.
    pub address: IpAddr,
    /// What the browser says of itself; printable.
    pub user_agent: String,
    /// The hash in its device cookie, whether or not anybody knows it.
    pub device: Option<SecretHash>,
    /// The secret in its session cookie, whether or not it is one.
    pub session: Option<SessionSecret>,
}

impl FromRequestParts<ApiState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let cookie = |which: Cookie| which.of(&parts.headers, state.origin());
        Ok(Self {
            address,
            user_agent: holdfast_domain::failure::printable(agent, USER_AGENT_CHARS),
            device: cookie(Cookie::Device).and_then(DeviceSecret::parse).map(|secret| secret.hash()),
            session: cookie(Cookie::Session).and_then(SessionSecret::parse),
        })
    }
}
