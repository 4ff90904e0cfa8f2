//! The proof that an actor may act in a team. There is no other way to tenant rows.

use holdfast_domain::ids::TeamId;
use holdfast_domain::{Abilities, Ability, Actor};
use std::net::IpAddr;

/// An actor, the team it acts in, and what it may do there. Made by [`crate::system`] from a token, or by the
/// product itself with a reason.
#[derive(Clone, Debug)]
pub struct Access {
    actor: Actor,
    team_id: TeamId,
    abilities: Abilities,
    client_address: Option<IpAddr>,
    is_operator_elsewhere: bool,
}

impl Access {
    /// The product acting for a team; `reason` says why, so that every such place can be found by one search.
    #[must_use]
    pub fn system(team_id: TeamId, reason: &'static str) -> Self {
        Self::new(Actor::System(reason), team_id, Abilities::All)
    }

    pub(crate) fn new(actor: Actor, team_id: TeamId, abilities: Abilities) -> Self {
        Self { actor, team_id, abilities, client_address: None, is_operator_elsewhere: false }
    }

    /// The same right, of somebody at `address`: what the audit log says of where an act came from.
    #[must_use]
    pub fn seen_from(mut self, address: Option<IpAddr>) -> Self {
        self.client_address = address;
        self
    }

    /// The same actor in another team, which is told that an operator did it.
    pub(crate) fn elsewhere(self, team_id: TeamId) -> Self {
        Self { team_id, is_operator_elsewhere: team_id != self.team_id, ..self }
    }

    /// The team.
    #[must_use]
    pub fn team_id(&self) -> TeamId {
        self.team_id
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Where the request came from, as far as the proxies in front of us can be believed.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }

    /// Whether it is somebody who runs the installation, acting on a team that is not theirs.
    #[must_use]
    pub fn is_operator_elsewhere(&self) -> bool {
        self.is_operator_elsewhere
    }

    /// Whether the actor may do `ability`.
    #[must_use]
    pub fn allows(&self, ability: Ability) -> bool {
        self.abilities.allow(ability)
    }
}
