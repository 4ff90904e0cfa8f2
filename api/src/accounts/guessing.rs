//! What makes guessing hopeless: every try of a secret takes from buckets, before the secret is looked at. They are this
//! process's own; with several api processes an attacker has as many times the tries, which changes nothing of it. Codes
//! of the second factor, of which there are only a million, are counted in the database besides.
//!
//! Nobody can keep somebody else out for good: from a browser in which a person logged in before, only that browser's
//! tries count.

use super::Visitor;
use crate::problem::Problem;
use crate::throttle::{Refused, Throttle};
use chrono::{DateTime, Utc};
use holdfast_vault::one_time::SecretHash;
use std::net::{IpAddr, Ipv6Addr};

/// One address may stand for an office.
const ACCOUNTS_AN_ADDRESS: u32 = 6;
/// All addresses together: as much as hashing can do in any case.
const ALL: u32 = 120;

/// Where a try comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Address(IpAddr),
    Device(SecretHash),
}

/// The buckets.
pub struct Guessing {
    pairs: Throttle<(String, Place)>,
    accounts: Throttle<String>,
    addresses: Throttle<IpAddr>,
    all: Throttle<()>,
    links: Throttle<IpAddr>,
    bearers: Throttle<IpAddr>,
}

impl Guessing {
    /// `per_minute` tries for one account from one place; 0 = no limits.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self {
            pairs: Throttle::new(per_minute),
            // Two places are slowed down before the third begins: the tenth try is refused where the default of five is.
            accounts: Throttle::new((per_minute * 2).saturating_sub(1)),
            addresses: Throttle::new(per_minute * ACCOUNTS_AN_ADDRESS),
            all: Throttle::new(per_minute * ALL),
            links: Throttle::new(per_minute),
            bearers: Throttle::new(per_minute * ACCOUNTS_AN_ADDRESS),
        }
    }

    /// A try of a password for `account` (an address as it was typed, whoever has it).
    ///
    /// # Errors
    /// 429.
    pub fn password(
        &self,
        account: &str,
        visitor: &Visitor,
        is_known_device: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let account = account.to_lowercase();
        if let Some(device) = visitor.device.filter(|_| is_known_device) {
            return allowed(self.pairs.take((account, Place::Device(device)), now));
        }
        let address = network(visitor.address);
        allowed(self.addresses.take(address, now))?;
        allowed(self.pairs.take((account.clone(), Place::Address(address)), now))?;
        allowed(self.accounts.take(account, now))?;
        allowed(self.all.take((), now))
    }

    /// A try of a link's secret, or a wish to be sent one.
    ///
    /// # Errors
    /// 429.
    pub fn link(&self, visitor: &Visitor, now: DateTime<Utc>) -> Result<(), Problem> {
        allowed(self.links.take(network(visitor.address), now))?;
        allowed(self.all.take((), now))
    }

    /// A token that was none.
    ///
    /// # Errors
    /// 429.
    pub fn wrong_bearer(&self, address: IpAddr, now: DateTime<Utc>) -> Result<(), Problem> {
        allowed(self.bearers.take(network(address), now))
    }
}

fn allowed<T>(taken: Result<T, Refused>) -> Result<(), Problem> {
    taken.map(|_| ()).map_err(|refused| Problem::throttled(&refused, "Too Many Attempts."))
}

/// Whoever has one IPv6 address has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(address: &str, device: Option<u8>) -> Visitor {
        let device = device.map(|n| SecretHash([n; 32]));
        Visitor { address: address.parse().unwrap(), user_agent: String::new(), device, session: None }
    }

    #[test]
    fn a_crowd_of_guessers_is_slowed_down_and_a_known_browser_is_not() {
        let (guessing, now) = (Guessing::new(5), DateTime::UNIX_EPOCH);
        let from = |address: &str| guessing.password("ann@example.com", &visitor(address, None), false, now).is_ok();
        assert_eq!((0..100).filter(|_| from("198.51.100.1")).count(), 5);
        assert_eq!((0..100).filter(|n| from(&format!("198.51.100.{}", n + 2))).count(), 4);
        let known = visitor("198.51.100.1", Some(1));
        assert!(guessing.password("Ann@Example.com", &known, true, now).is_ok(), "the owner gets in");
        assert!(guessing.password("ann@example.com", &known, false, now).is_err(), "a made-up cookie does not help");
        assert!(guessing.password("bob@example.com", &visitor("198.51.100.200", None), false, now).is_ok());
    }

    #[test]
    fn one_address_cannot_try_everybody_and_ipv6_is_one_network() {
        let (guessing, now) = (Guessing::new(5), DateTime::UNIX_EPOCH);
        let tried = (0..100).filter(|n| {
            let from = visitor(&format!("2001:db8::{n}"), None);
            guessing.password(&format!("{n}@example.com"), &from, false, now).is_ok()
        });
        assert_eq!(tried.count(), 30);
    }
}
