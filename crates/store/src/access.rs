//! The proof that an actor may act in a team. There is no other way to tenant rows.

use holdfast_domain::ids::TeamId;
use holdfast_domain::{Abilities, Ability, Actor};

/// An actor, the team it acts in, and what it may do there. Made by [`crate::system`] from a token, or by the
/// product itself with a reason.
#[derive(Clone, Debug)]
pub struct Access {
    actor: Actor,
    team_id: TeamId,
    abilities: Abilities,
}

impl Access {
    /// The product acting for a team; `reason` says why, so that every such place can be found by one search.
    #[must_use]
    pub fn system(team_id: TeamId, reason: &'static str) -> Self {
        Self { actor: Actor::System(reason), team_id, abilities: Abilities::All }
    }

    pub(crate) fn new(actor: Actor, team_id: TeamId, abilities: Abilities) -> Self {
        Self { actor, team_id, abilities }
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

    /// Whether the actor may do `ability`.
    #[must_use]
    pub fn allows(&self, ability: Ability) -> bool {
        self.abilities.allow(ability)
    }
}
