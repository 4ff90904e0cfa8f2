//! Mails to people about their account: which there are, and what the api hands to the worker that writes them. The body
//! is sealed on its way, because a link's secret is in it; it has no `Debug`.

use crate::ids::TeamId;
use serde::{Deserialize, Serialize};

/// What such a body is sealed for: these mails belong to an address, not to a team.
pub const NO_TEAM: TeamId = TeamId(0);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Which mail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AccountMailKind {
            $($(#[$doc])* $name),+
        }

        impl AccountMailKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it is stored.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// The stored form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// A link that makes an account.
    Register = "register",
    /// A link to a new password.
    Reset = "reset",
    /// A link that makes this address the account's.
    Email = "email",
    /// A link by which the owner of an address agrees to a notification stream.
    Stream = "stream",
    /// To the old address: it is not the account's any more.
    EmailChanged = "email_changed",
    /// The password is another.
    PasswordChanged = "password_changed",
    /// A log-in with a browser that was not seen before.
    NewLogIn = "new_login",
    /// Two-factor log-in was turned on.
    TwoFactorOn = "two_factor_on",
    /// Two-factor log-in was turned off.
    TwoFactorOff = "two_factor_off",
    /// A recovery code was used.
    RecoveryCodeUsed = "recovery_code_used",
    /// What the person's teams did within a week.
    Digest = "digest",
}

/// What a mail is written from.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct AccountMailBody {
    /// `http.public_url`: what its link starts with.
    pub base: Option<String>,
    /// The link's secret.
    pub secret: Option<String>,
    /// Where the act came from.
    pub address: Option<String>,
    /// What its browser said of itself.
    pub user_agent: Option<String>,
    /// When it happened, for people.
    pub at: Option<String>,
    /// Recovery codes that are left.
    pub codes_left: Option<i64>,
    /// The address that took this one's place.
    pub new_email: Option<String>,
    /// The address of the person who asks.
    pub asked_by: Option<String>,
    /// Of a digest: what it says.
    #[serde(default)]
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_parses_back() {
        for kind in AccountMailKind::ALL {
            assert_eq!(AccountMailKind::parse(kind.as_str()), Some(*kind));
        }
    }
}
