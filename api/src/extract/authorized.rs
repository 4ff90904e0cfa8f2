//! Who asks, and whether they may. The route table says what a route needs, the guard in front of every route
//! enforces it before the handler runs, and the handler's argument repeats it as a type: where the two differ, every
//! call of the route fails, and so do the tests.
//!
//! A request is a token's or a session's: one that carries an `Authorization` header is judged by that alone, and its
//! cookies are not looked at.

use super::client_address::ClientAddress;
use super::same_origin::{Sender, is_json_or_nothing, is_write, sender};
use super::session_cookie::session_secret;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::Ability;
use holdfast_domain::ids::UserId;
use holdfast_store::Access;
use holdfast_vault::token::PlainToken;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::marker::PhantomData;
use std::net::IpAddr;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the route tells nothing of a tenant.
    Public,
    /// Nothing, but not from another site's page: what logs people in, or helps them to.
    SameOrigin,
    /// A valid token, or a session.
    AnyToken,
    /// A session: a person, now. No token does, whatever its abilities.
    Session,
    /// A valid token with this ability, or a session.
    Ability(Ability),
    /// As [`Need::Ability`], of a person who runs the installation. On the operator's listener alone.
    Operator(Ability),
    /// The token of `operator.metrics_token_file`, if there is one. On the operator's listener alone.
    Metrics,
}

impl Need {
    /// Whether it can be met without having logged in.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Public | Self::SameOrigin | Self::Metrics)
    }

    /// Whether the route is served on the operator's listener, and there alone.
    #[must_use]
    pub fn is_of_operator(self) -> bool {
        matches!(self, Self::Operator(_) | Self::Metrics)
    }
}

/// What stands in a row of the route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the route needs.
    pub need: Need,
    /// A session must have proved who its person is within the last ten minutes. A token is judged by its abilities alone.
    pub is_fresh: bool,
}

/// How long a proof of who somebody is counts as fresh.
pub const FRESH: TimeDelta = TimeDelta::minutes(10);

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Public => f.write_str("(public)"),
            Self::SameOrigin => f.write_str("(public, not cross-site)"),
            Self::AnyToken => f.write_str("(any token)"),
            Self::Session => f.write_str("(session)"),
            Self::Ability(ability) => f.write_str(ability.as_str()),
            Self::Operator(ability) => write!(f, "(operator) {}", ability.as_str()),
            Self::Metrics => f.write_str("(operator's listener, its metrics token if one is set)"),
        }
    }
}

/// A type that stands for a need.
pub trait Needed: Send + Sync + 'static {
    /// The need.
    const NEED: Need;
}

macro_rules! needs {
    ($($name:ident),+ $(,)?) => {
        /// One type an ability, for the argument of a handler.
        pub mod may {
            use super::{Ability, Need, Needed};

            /// Any valid token, or a session.
            pub struct AnyToken;
            impl Needed for AnyToken {
                const NEED: Need = Need::AnyToken;
            }

            /// A session.
            pub struct Session;
            impl Needed for Session {
                const NEED: Need = Need::Session;
            }

            /// [`Ability::ManageOwnBackups`], for operators.
            pub struct ManageOwnBackups;
            impl Needed for ManageOwnBackups {
                const NEED: Need = Need::Operator(Ability::ManageOwnBackups);
            }

            /// [`Ability::ManageUsers`], for operators.
            pub struct ManageUsers;
            impl Needed for ManageUsers {
                const NEED: Need = Need::Operator(Ability::ManageUsers);
            }

            /// [`Ability::ManageWorkers`], for operators.
            pub struct ManageWorkers;
            impl Needed for ManageWorkers {
                const NEED: Need = Need::Operator(Ability::ManageWorkers);
            }
            $(
                #[doc = concat!("[`Ability::", stringify!($name), "`]")]
                pub struct $name;
                impl Needed for $name {
                    const NEED: Need = Need::Ability(Ability::$name);
                }
            )+
        }
    };
}

needs! {
    ManageTags,
    ViewBackupDestinations, CreateBackupDestinations, UpdateBackupDestinations, DeleteBackupDestinations,
    ViewRemoteServers, CreateRemoteServers, UpdateRemoteServers, DeleteRemoteServers,
    ViewNotificationStreams, CreateNotificationStreams, UpdateNotificationStreams, DeleteNotificationStreams,
    ViewScripts, ManageScripts,
    ViewBackupTasks, CreateBackupTasks, UpdateBackupTasks, DeleteBackupTasks, RunBackupTasks,
    ViewBackups, UpdateBackups, DeleteBackups, DownloadBackups, RestoreBackups, ViewAuditEvents,
}

/// What the guard found out.
#[derive(Clone)]
pub(crate) struct Granted {
    need: Need,
    /// Opens the team's rows.
    pub(crate) access: Access,
    /// Who asks.
    pub(crate) user_id: UserId,
    page_size: Option<i32>,
}

/// How long a page of a list is for whoever asks by session, if they chose; a token's client is told by page 003.
pub(super) fn page_size(parts: &Parts) -> Option<u64> {
    parts.extensions.get::<Granted>()?.page_size.and_then(|size| u64::try_from(size).ok())
}

/// Who asks, as the request's credentials say.
struct Caller {
    access: Access,
    user_id: UserId,
    /// Of a session: when its person last proved who they are.
    authenticated_at: Option<DateTime<Utc>>,
    /// Of a session.
    page_size: Option<i32>,
}

/// Stands in front of every route: token or session → rate → ability → freshness, in this order, before anything of the
/// request is read.
pub(crate) async fn guard(rule: Rule, mut request: Request, next: Next) -> Response {
    if rule.need == Need::Public {
        return next.run(request).await;
    }
    let Some(state) = request.extensions().get::<ApiState>().cloned() else {
        return Problem::internal_text("no state at the guard").into_response();
    };
    if rule.need == Need::Metrics {
        return if reads_metrics(&state, request.headers()) {
            next.run(request).await
        } else {
            Problem::unauthenticated().into_response()
        };
    }
    if rule.need == Need::SameOrigin {
        return match sender(request.headers(), state.listener_origin()) {
            Sender::Foreign => cross_site().into_response(),
            Sender::Ours | Sender::Unknown => next.run(request).await,
        };
    }
    let address = request.extensions().get::<ClientAddress>().map(|ClientAddress(address)| *address);
    let caller = match authenticate(&state, request.method().clone(), request.headers()).await {
        Ok(caller) => Caller { access: caller.access.seen_from(address), ..caller },
        Err(problem) => return unknown(&state, &request, address, problem).into_response(),
    };
    let bucket = if caller.authenticated_at.is_some() { state.session_requests() } else { state.requests() };
    let allowance = match bucket.take(caller.user_id, state.now()) {
        Ok(allowance) => allowance,
        Err(refused) => return Problem::throttled(&refused, "Too Many Attempts.").into_response(),
    };
    let mut response = match refused(&state, rule, &caller).await {
        Some(problem) => {
            let subject = crate::audit::route(&request);
            crate::audit::note_refusal(&state, &caller.access, subject, &problem).await;
            problem.into_response()
        }
        None => {
            let Caller { access, user_id, page_size, .. } = caller;
            request.extensions_mut().insert(Granted { need: rule.need, access, user_id, page_size });
            next.run(request).await
        }
    };
    if let Some(allowance) = allowance {
        for (name, value) in &allowance.headers() {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    response
}

/// Digests are compared: how long that takes tells nothing of the token.
fn reads_metrics(state: &ApiState, headers: &HeaderMap) -> bool {
    let Some(token) = state.metrics_token() else { return true };
    let given = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    Sha256::digest(given) == Sha256::digest(format!("Bearer {}", token.expose_secret()))
}

/// The answer to credentials that are none: guessing tokens is slowed down as guessing anything else.
fn unknown(state: &ApiState, request: &Request, address: Option<IpAddr>, problem: Problem) -> Problem {
    let is_guess =
        problem.status() == StatusCode::UNAUTHORIZED && request.headers().contains_key(header::AUTHORIZATION);
    match address.filter(|_| is_guess).map(|address| state.guessing().wrong_bearer(address, state.now())) {
        Some(Err(throttled)) => throttled,
        Some(Ok(())) | None => problem,
    }
}

/// Why this caller does not meet `rule`.
async fn refused(state: &ApiState, rule: Rule, caller: &Caller) -> Option<Problem> {
    let Caller { access, user_id, authenticated_at, .. } = caller;
    let by_need = match rule.need {
        Need::Public | Need::SameOrigin | Need::Metrics | Need::AnyToken => None,
        Need::Session if authenticated_at.is_none() => {
            let message = "This needs a person who is logged in. A token cannot do it, whatever its abilities.";
            Some(Problem::new(StatusCode::FORBIDDEN, "session_required", message))
        }
        Need::Session => None,
        Need::Ability(ability) | Need::Operator(ability) if !access.allows(ability) => {
            Some(Problem::missing_ability(ability))
        }
        Need::Ability(_) => None,
        Need::Operator(_) => match is_operator(state, access, *user_id).await {
            Ok(true) => None,
            Ok(false) => {
                let message = "This is for those who run the installation.";
                Some(Problem::new(StatusCode::FORBIDDEN, "operators_only", message))
            }
            Err(problem) => Some(problem),
        },
    };
    let is_stale = rule.is_fresh && authenticated_at.is_some_and(|at| state.now() - at > FRESH);
    by_need.or_else(|| is_stale.then(reauth_required))
}

fn reauth_required() -> Problem {
    let message = "Confirm your password first: POST /api/auth/confirm-password.";
    Problem::new(StatusCode::FORBIDDEN, "reauth_required", message)
}

fn cross_site() -> Problem {
    let message = "This request was not sent by a page of this installation.";
    Problem::new(StatusCode::FORBIDDEN, "cross_site", message)
}

/// As it is now, not as it was when the token was made.
async fn is_operator(state: &ApiState, access: &Access, user_id: UserId) -> Result<bool, Problem> {
    let tx = state.store().for_team(access).await?;
    let user = tx.users().find(user_id).await?;
    Ok(user.is_some_and(|user| user.is_operator))
}

/// A request with an `Authorization` header is that token's, or nobody's.
async fn authenticate(state: &ApiState, method: Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    if headers.contains_key(header::AUTHORIZATION) {
        by_token(state, headers).await
    } else {
        by_session(state, &method, headers).await
    }
}

/// `Authorization: Bearer …`, once; the scheme in any case. Nothing else is looked at.
async fn by_token(state: &ApiState, headers: &HeaderMap) -> Result<Caller, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Problem::unauthenticated()) };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, bearer)| PlainToken::parse(bearer))
        .ok_or_else(Problem::unauthenticated)?;
    let access = state.store().find_token(token.hash().as_bytes()).await?.ok_or_else(Problem::unauthenticated)?;
    let user_id = access.actor().user_id().ok_or_else(Problem::unauthenticated)?;
    Ok(Caller { access, user_id, authenticated_at: None, page_size: None })
}

/// The session's cookie; for a write, only from a page of ours and with a body that no other page could send unasked.
async fn by_session(state: &ApiState, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    let secret = session_secret(headers, state.origin()).ok_or_else(Problem::unauthenticated)?;
    let (now, idle) = (state.now(), state.accounts().session_idle);
    let found = state.store().find_session(secret.hash().as_bytes(), now, idle).await?;
    let found = found.ok_or_else(Problem::unauthenticated)?;
    let user_id = found.access.actor().user_id().ok_or_else(Problem::unauthenticated)?;
    if is_write(method) {
        if !is_json_or_nothing(headers) {
            return Err(super::body::unsupported());
        }
        if sender(headers, state.listener_origin()) != Sender::Ours {
            return Err(cross_site());
        }
    }
    let authenticated_at = Some(found.authenticated_at);
    Ok(Caller { access: found.access, user_id, authenticated_at, page_size: found.page_size })
}

/// The proof that the caller may do `N`.
pub struct Authorized<N> {
    /// Opens the team's rows.
    pub access: Access,
    /// Who asks.
    pub user_id: UserId,
    need: PhantomData<N>,
}

impl<N: Needed> FromRequestParts<ApiState> for Authorized<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        match parts.extensions.get::<Granted>() {
            Some(granted) if granted.need == N::NEED => {
                Ok(Self { access: granted.access.clone(), user_id: granted.user_id, need: PhantomData })
            }
            _ => Err(Problem::internal_text("the route table and the handler's type differ")),
        }
    }
}
