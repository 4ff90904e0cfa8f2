//! Secrets: sealing them (api) and opening them (worker), the teams' keys, passwords, tokens, tickets, and the
//! manifest's authentication code.
//!
//! What must never happen here: a secret in a `Debug`, `Display` or error text; a secret compared with `==`; a secret
//! opened without the place it was sealed for ([`SealContext`]). Opening needs an [`Opener`], which only a process
//! that was given the key file can make; the api holds a [`Sealer`], made from the public half alone.

pub mod kek;
mod key_file;
pub mod login_key;
pub mod manifest;
pub mod one_time;
pub mod password;
pub mod private_key;
pub mod recovery_kit;
pub mod seal;
pub mod team_keys;
pub mod ticket;
pub mod token;
pub mod totp;
pub mod webhook;

pub use kek::{Kek, KekError, KekOrigin};
pub use login_key::LoginKey;
pub use seal::{KEY_VERSION, OpenError, Opener, SealContext, SealedColumn, Sealer};

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::marker::PhantomData;

    struct Probe<T>(PhantomData<T>);

    trait HasNoDebug {
        const HAS_DEBUG: bool = false;
    }

    impl<T> HasNoDebug for Probe<T> {}

    impl<T: Debug> Probe<T> {
        const HAS_DEBUG: bool = true;
    }

    /// A `#[derive(Debug)]` on one of these would sooner or later put it into a log.
    #[test]
    fn nothing_that_holds_a_secret_can_be_printed() {
        let found = [
            Probe::<crate::Kek>::HAS_DEBUG,
            Probe::<crate::Opener>::HAS_DEBUG,
            Probe::<crate::LoginKey>::HAS_DEBUG,
            Probe::<crate::totp::TotpSecret>::HAS_DEBUG,
            Probe::<crate::manifest::MacKey>::HAS_DEBUG,
            Probe::<crate::one_time::OneTimeSecret>::HAS_DEBUG,
            Probe::<crate::token::PlainToken>::HAS_DEBUG,
            Probe::<crate::webhook::WebhookSecret>::HAS_DEBUG,
            Probe::<crate::ticket::TicketSecret>::HAS_DEBUG,
            Probe::<crate::ticket::SetupSecret>::HAS_DEBUG,
            Probe::<crate::ticket::SessionSecret>::HAS_DEBUG,
            Probe::<crate::private_key::ImportedKey>::HAS_DEBUG,
            Probe::<crate::recovery_kit::RecoveryKit<'_>>::HAS_DEBUG,
        ];
        assert!(!found.contains(&true), "{found:?}");
        let control = Probe::<crate::SealContext>::HAS_DEBUG;
        assert!(control, "the probe itself works");
    }
}
