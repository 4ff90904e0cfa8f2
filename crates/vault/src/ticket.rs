//! Secrets of tickets (api → data plane), of sessions and of the one-time links. As with tokens the database holds hashes only.

use crate::one_time::{OneTimeSecret, SecretHash};
use rand::CryptoRng;

macro_rules! one_time {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(OneTimeSecret);

        impl $name {
            /// A new one.
            #[must_use]
            pub fn generate(rng: &mut impl CryptoRng) -> Self {
                Self(OneTimeSecret::generate($prefix, rng))
            }

            /// Reads one; none where the text cannot be one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                OneTimeSecret::parse($prefix, text).map(Self)
            }

            /// What the database holds.
            #[must_use]
            pub fn hash(&self) -> SecretHash {
                self.0.hash()
            }

            /// The text, to be sent once.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }
    )+};
}

one_time! {
    /// Lets the api ask one thing of a worker's data plane, once.
    TicketSecret = "hft_",
    /// Lets whoever sees the console make the first user, once.
    SetupSecret = "hfs_",
    /// A session's cookie. No token: it is worth nothing behind `Bearer`.
    SessionSecret = "hfc_",
    /// Tells a browser in which somebody logged in before from all others.
    DeviceSecret = "hfd_",
    /// The secret in a mailed link.
    LinkSecret = "hfl_",
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn a_ticket_is_no_setup_link() {
        let ticket = TicketSecret::generate(&mut StdRng::seed_from_u64(1));
        assert_eq!(TicketSecret::parse(ticket.expose()).unwrap().hash(), ticket.hash());
        assert!(SetupSecret::parse(ticket.expose()).is_none());
        assert!(TicketSecret::parse(&ticket.expose()[..20]).is_none());
    }
}
