//! Scripts of the world's team, and what they wrote.

use crate::harness::World;
use holdfast_domain::ids::{BackupRunId, TeamId};
use holdfast_vault::{Opener, SealContext, SealedColumn, Sealer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use uuid::Uuid;

/// A script at the world's task.
#[derive(Clone, Debug)]
pub struct Attached {
    script: i64,
    phase: &'static str,
    pub run_on: &'static str,
    on_failure: &'static str,
    parameters: Value,
}

impl Attached {
    pub fn before(script: i64) -> Self {
        Self { script, phase: "before", run_on: "always", on_failure: "abort", parameters: json!({}) }
    }

    pub fn after(script: i64, run_on: &'static str) -> Self {
        Self { script, phase: "after", run_on, on_failure: "warn", parameters: json!({}) }
    }

    pub fn on_failure(self, on_failure: &'static str) -> Self {
        Self { on_failure, ..self }
    }

    pub fn given(self, parameters: Value) -> Self {
        Self { parameters, ..self }
    }
}

/// What the scripts wrote into `~/trace`, line by line.
pub fn trace(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(world.login.home().join("trace")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

impl World {
    pub async fn script(&self, interpreter: &str, body: &str) -> i64 {
        self.script_with(interpreter, body, 20, json!([])).await
    }

    pub async fn script_with(&self, interpreter: &str, body: &str, timeout_secs: i32, parameters: Value) -> i64 {
        let sql = "INSERT INTO scripts (team_id, user_id, label, interpreter, body, timeout_secs, parameters)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
        sqlx::query_scalar(sql)
            .bind(self.team_id)
            .bind(self.user_id)
            .bind("a script: $(touch /tmp/holdfast-pwn) `id` 'x' \"y\"")
            .bind(interpreter)
            .bind(body)
            .bind(timeout_secs)
            .bind(parameters)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Replaces the scripts of the world's task.
    pub async fn attach(&self, list: &[Attached]) {
        sqlx::query("DELETE FROM backup_task_scripts").execute(&self.pool).await.unwrap();
        for (position, one) in (0i32..).zip(list) {
            let sql = "INSERT INTO backup_task_scripts (team_id, backup_task_id, position, script_id, phase, run_on,
                                                        on_failure, parameters)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            sqlx::query(sql)
                .bind(self.team_id)
                .bind(self.task_id)
                .bind(position)
                .bind(one.script)
                .bind(one.phase)
                .bind(one.run_on)
                .bind(one.on_failure)
                .bind(&one.parameters)
                .execute(&self.pool)
                .await
                .unwrap();
        }
    }

    pub async fn script_secret(&self, name: &str, value: &str) {
        let sealer = Sealer::from_public_key(Opener::from_kek(self.kek()).public_key()).unwrap();
        let seal_id = Uuid::new_v4();
        let place = SealContext::new(TeamId(self.team_id), SealedColumn::ScriptSecretValue, seal_id);
        let sealed = sealer.seal(&place, value.as_bytes(), &mut StdRng::from_os_rng());
        let sql =
            "INSERT INTO script_secrets (team_id, user_id, name, seal_id, sealed_value) VALUES ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(sql).bind(self.team_id).bind(self.user_id).bind(name).bind(seal_id).bind(sealed);
        insert.execute(&self.pool).await.unwrap();
    }

    /// Whether the run owes scripts: 1 or 0.
    pub async fn owed(&self, run: BackupRunId) -> i64 {
        self.count("SELECT count(*) FROM backup_runs WHERE id = $1 AND scripts_owed_at IS NOT NULL", run.0).await
    }

    pub async fn cancel(&self, run: BackupRunId) {
        let sql = "UPDATE backup_runs SET cancel_requested_at = now() WHERE id = $1";
        sqlx::query(sql).bind(run.0).execute(&self.pool).await.unwrap();
    }
}
