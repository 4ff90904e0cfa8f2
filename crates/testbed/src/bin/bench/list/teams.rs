//! Many teams, written into the product's database: each a copy of the first one's server, destination, tags and task.

use crate::session::Session;
use anyhow::{Context, Result};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use std::path::Path;

/// A team and a token of its person.
pub(crate) struct Team {
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// The owner's way into the product's database.
pub(crate) fn owner(socket: &Path) -> PgConnectOptions {
    PgConnectOptions::new().socket(socket).username("postgres").database("holdfast")
}

const STEPS: [&str; 7] = [
    // Whoever is added has a name that says which team it is.
    "INSERT INTO users (name, email, password_hash, timezone)
     SELECT 'Team ' || n, 'team' || n || '@example.org', 'none', 'UTC' FROM generate_series(2, $TEAMS) n",
    "INSERT INTO teams (uuid, name) SELECT gen_random_uuid(), email FROM users WHERE password_hash = 'none'",
    "INSERT INTO members (team_id, user_id, role)
     SELECT t.id, u.id, 'owner' FROM teams t JOIN users u ON u.email = t.name",
    "INSERT INTO tokens (team_id, user_id, name, secret_hash, abilities)
     SELECT m.team_id, m.user_id, 'bench', sha256(convert_to('hf_' || lpad(to_hex(m.team_id), 48, '0'), 'UTF8')),
            (SELECT abilities FROM tokens ORDER BY id LIMIT 1)
     FROM members m",
    "INSERT INTO remote_servers (team_id, user_id, label, host, port, username, seal_id)
     SELECT m.team_id, m.user_id, s.label, s.host, s.port, s.username, gen_random_uuid()
     FROM members m, remote_servers s WHERE s.team_id = $FIRST AND m.team_id <> $FIRST;
     INSERT INTO backup_destinations (team_id, user_id, label, type, config, seal_id)
     SELECT m.team_id, m.user_id, d.label, d.type, d.config, gen_random_uuid()
     FROM members m, backup_destinations d WHERE d.team_id = $FIRST AND m.team_id <> $FIRST;
     INSERT INTO tags (team_id, user_id, label)
     SELECT m.team_id, m.user_id, g.label FROM members m, tags g WHERE g.team_id = $FIRST AND m.team_id <> $FIRST",
    "INSERT INTO backup_tasks (team_id, user_id, remote_server_id, label, description, type, source, frequency,
                               time_to_run_at, weekday, next_run_at, max_backups, store_path, encryption_mode, seal_id)
     SELECT s.team_id, s.user_id, s.id, t.label || ' ' || n, t.description, t.type, t.source, t.frequency,
            t.time_to_run_at, t.weekday, now() + interval '3 days', t.max_backups, t.store_path, t.encryption_mode,
            gen_random_uuid()
     FROM backup_tasks t, remote_servers s, generate_series(1, $TASKS) n
     WHERE t.team_id = $FIRST AND (s.team_id <> $FIRST OR n > 1)
     ORDER BY s.team_id, n",
    "INSERT INTO backup_task_destinations (team_id, backup_task_id, backup_destination_id, position)
     SELECT t.team_id, t.id, d.id, 0 FROM backup_tasks t JOIN backup_destinations d ON d.team_id = t.team_id
     ON CONFLICT DO NOTHING;
     INSERT INTO backup_task_tags (team_id, backup_task_id, tag_id)
     SELECT t.team_id, t.id, g.id FROM backup_tasks t JOIN tags g ON g.team_id = t.team_id ON CONFLICT DO NOTHING;
     UPDATE backup_tasks SET next_run_at = now() + interval '3 days';
     ANALYZE",
];

/// Makes the installation that large; the first team's task is the pattern.
pub(crate) async fn fill(session: &Session, teams: u32, tasks: u32) -> Result<Vec<Team>> {
    for label in ["nightly", "web"] {
        session.client.post("tags", &json!({"label": label})).await?;
    }
    let more = json!({
        "description": "What the web servers hold", "frequency": "weekly", "time_to_run_at": "02:00", "weekday": 0,
        "maximum_backups_to_keep": 4, "store_path": "/backups/weekly",
    });
    session.task(Path::new("/srv/www"), more).await?;
    let mut conn = PgConnection::connect_with(&owner(&session.product.database_socket()?)).await?;
    let first: i64 = sqlx::query("SELECT min(id) FROM teams").fetch_one(&mut conn).await?.try_get(0)?;
    for step in STEPS {
        // The numbers are ours; such statements take no parameters.
        let sql = step.replace("$TEAMS", &teams.to_string()).replace("$TASKS", &tasks.to_string());
        let sql = sql.replace("$FIRST", &first.to_string());
        conn.execute(AssertSqlSafe(sql.clone())).await.with_context(|| sql)?;
    }
    let rows = sqlx::query("SELECT team_id FROM members ORDER BY team_id").fetch_all(&mut conn).await?;
    let team = |id: i64| Team { id, token: format!("hf_{id:048x}") };
    rows.iter().map(|row| Ok(team(row.try_get(0)?))).collect()
}
