//! Who acts.

use crate::ids::{SessionId, TokenId, UserId};

/// The one on whose behalf something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A request that carried an API token.
    Token {
        /// The token.
        token_id: TokenId,
        /// Its owner.
        user_id: UserId,
    },
    /// A request that carried the cookie of a session.
    Session {
        /// The session.
        session_id: SessionId,
        /// Whose.
        user_id: UserId,
    },
    /// The product itself; the reason is searchable in the code and in the audit log.
    System(&'static str),
}

impl Actor {
    /// The person behind the actor, if there is one.
    #[must_use]
    pub fn user_id(self) -> Option<UserId> {
        match self {
            Self::Token { user_id, .. } | Self::Session { user_id, .. } => Some(user_id),
            Self::System(_) => None,
        }
    }

    /// The session behind the actor, if there is one.
    #[must_use]
    pub fn session_id(self) -> Option<SessionId> {
        match self {
            Self::Session { session_id, .. } => Some(session_id),
            Self::Token { .. } | Self::System(_) => None,
        }
    }
}
