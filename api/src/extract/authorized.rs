//! Who asks, and whether they may. The route table says what a route needs, the guard in front of every route
//! enforces it before the handler runs, and the handler's argument repeats it as a type: where the two differ, every
//! call of the route fails, and so do the tests.

use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use holdfast_domain::Ability;
use holdfast_domain::ids::UserId;
use holdfast_store::Access;
use holdfast_vault::token::PlainToken;
use std::marker::PhantomData;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the route tells nothing of a tenant.
    Public,
    /// A valid token.
    AnyToken,
    /// A valid token with this ability.
    Ability(Ability),
    /// A valid token with this ability, of a person who runs the installation.
    Operator(Ability),
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Public => f.write_str("(public)"),
            Self::AnyToken => f.write_str("(any token)"),
            Self::Ability(ability) => f.write_str(ability.as_str()),
            Self::Operator(ability) => write!(f, "(operator) {}", ability.as_str()),
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

            /// Any valid token.
            pub struct AnyToken;
            impl Needed for AnyToken {
                const NEED: Need = Need::AnyToken;
            }

            /// [`Ability::ManageOwnBackups`], for operators.
            pub struct ManageOwnBackups;
            impl Needed for ManageOwnBackups {
                const NEED: Need = Need::Operator(Ability::ManageOwnBackups);
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
    ViewBackupDestinations, CreateBackupDestinations, UpdateBackupDestinations, DeleteBackupDestinations,
    ViewRemoteServers, CreateRemoteServers, UpdateRemoteServers, DeleteRemoteServers,
    ViewBackupTasks, CreateBackupTasks, UpdateBackupTasks, DeleteBackupTasks, RunBackupTasks,
    ViewBackups, UpdateBackups, DeleteBackups, DownloadBackups, RestoreBackups,
}

/// What the guard found out.
#[derive(Clone)]
struct Granted {
    need: Need,
    access: Access,
    user_id: UserId,
}

/// Stands in front of every route: token → rate → ability, in this order, before anything of the request is read.
pub(crate) async fn guard(need: Need, mut request: Request, next: Next) -> Response {
    if need == Need::Public {
        return next.run(request).await;
    }
    let Some(state) = request.extensions().get::<ApiState>().cloned() else {
        return Problem::internal_text("no state at the guard").into_response();
    };
    let (access, user_id) = match authenticate(&state, request.headers()).await {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    let allowance = match state.requests().take(user_id, state.now()) {
        Ok(allowance) => allowance,
        Err(refused) => return Problem::throttled(&refused, "Too Many Attempts.").into_response(),
    };
    let mut response = match refused(&state, need, &access, user_id).await {
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(Granted { need, access, user_id });
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

/// Why this token does not meet `need`.
async fn refused(state: &ApiState, need: Need, access: &Access, user_id: UserId) -> Option<Problem> {
    match need {
        Need::Public | Need::AnyToken => None,
        Need::Ability(ability) | Need::Operator(ability) if !access.allows(ability) => {
            Some(Problem::missing_ability(ability))
        }
        Need::Ability(_) => None,
        Need::Operator(_) => match is_operator(state, access, user_id).await {
            Ok(true) => None,
            Ok(false) => {
                let message = "This is for those who run the installation.";
                Some(Problem::new(StatusCode::FORBIDDEN, "operators_only", message))
            }
            Err(problem) => Some(problem),
        },
    }
}

/// As it is now, not as it was when the token was made.
async fn is_operator(state: &ApiState, access: &Access, user_id: UserId) -> Result<bool, Problem> {
    let tx = state.store().for_team(access).await?;
    let user = tx.users().find(user_id).await?;
    Ok(user.is_some_and(|user| user.is_operator))
}

/// `Authorization: Bearer …`, once; the scheme in any case. Nothing else is looked at.
async fn authenticate(state: &ApiState, headers: &HeaderMap) -> Result<(Access, UserId), Problem> {
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
    Ok((access, user_id))
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
