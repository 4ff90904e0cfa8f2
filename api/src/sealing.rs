//! Closing envelopes for one row. The api can close them and cannot open them.

use crate::problem::Problem;
use crate::state::ApiState;
use holdfast_domain::ids::TeamId;
use holdfast_vault::{SealContext, SealedColumn, Sealer};
use uuid::Uuid;

/// Seals the secrets of one row; asks for the workers' key only when there is something to seal.
pub(crate) struct RowSeal<'a> {
    state: &'a ApiState,
    sealer: Option<Sealer>,
    team_id: TeamId,
    seal_id: Uuid,
}

impl<'a> RowSeal<'a> {
    /// For the row with `seal_id`.
    pub fn new(state: &'a ApiState, team_id: TeamId, seal_id: Uuid) -> Self {
        Self { state, sealer: None, team_id, seal_id }
    }

    /// For a row to be made.
    pub fn fresh(state: &'a ApiState, team_id: TeamId) -> Self {
        let seal_id = state.with_rng(holdfast_vault::team_keys::random_uuid);
        Self::new(state, team_id, seal_id)
    }

    /// What the row's secrets are bound to.
    pub fn seal_id(&self) -> Uuid {
        self.seal_id
    }

    /// Seals `plain` for `column`; none stays none.
    ///
    /// # Errors
    /// 503 while no worker has recorded its key.
    pub async fn seal(&mut self, column: SealedColumn, plain: Option<&str>) -> Result<Option<Vec<u8>>, Problem> {
        let Some(plain) = plain else { return Ok(None) };
        let sealer = match &self.sealer {
            Some(sealer) => sealer.clone(),
            None => self.state.sealer().await?,
        };
        let place = SealContext::new(self.team_id, column, self.seal_id);
        let sealed = self.state.with_rng(|rng| sealer.seal(&place, plain.as_bytes(), rng));
        self.sealer = Some(sealer);
        Ok(Some(sealed))
    }
}
