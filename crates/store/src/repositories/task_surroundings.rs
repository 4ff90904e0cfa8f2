//! What a list shows of tasks besides their rows: destinations, tags, streams, scripts, whether a run is unfinished, and the reader's
//! zone. One statement, however many tasks there are; a second one here would be paid by every list of every client.

use super::handle;
use super::task_scripts::TaskScript;
use crate::StoreError;
use holdfast_domain::ids::UserId;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use std::collections::BTreeMap;

handle! {
    /// What surrounds the team's tasks.
    TaskSurroundings, task_surroundings
}

/// A tag on a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedTag {
    /// Which.
    pub id: i64,
    /// Its word.
    pub label: String,
}

/// What surrounds one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surrounding {
    /// In order; the first is page 003's one destination.
    pub destination_ids: Vec<i64>,
    /// By id.
    pub tags: Vec<AttachedTag>,
    /// Ascending.
    pub stream_ids: Vec<i64>,
    /// In order, each with its script's label.
    pub scripts: Vec<(String, TaskScript)>,
    /// Whether a run is unfinished.
    pub is_running: bool,
}

/// What surrounds some tasks.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// IANA name of the reader's zone; none where there is no task, or no such reader in the team.
    pub reader_timezone: Option<String>,
    /// By the task's id; one that nothing surrounds is missing.
    pub of: BTreeMap<i64, Surrounding>,
}

/// One thing beside a task; the reader's zone stands beside task 0.
#[derive(FromQueryResult)]
struct Row {
    kind: i32,
    task_id: i64,
    id: i64,
    text: Option<String>,
}

const DESTINATION: i32 = 1;
const TAG: i32 = 2;
const STREAM: i32 = 3;
const READER: i32 = 5;
const SCRIPT: i32 = 6;

// One scan a table, whatever the number of tasks; a subquery for each task took half as long again. The states are written
// out, as in the index `backup_runs_active`, which is not used for a parameter.
const SURROUNDINGS: &str = "
SELECT 1 AS kind, d.backup_task_id AS task_id, d.backup_destination_id AS id, NULL::text AS text, d.position AS place
FROM backup_task_destinations d WHERE d.team_id = $1 AND d.backup_task_id = ANY ($2)
UNION ALL
SELECT 2, x.backup_task_id, g.id, g.label, 0
FROM backup_task_tags x JOIN tags g ON g.id = x.tag_id
WHERE x.team_id = $1 AND g.team_id = $1 AND x.backup_task_id = ANY ($2)
UNION ALL
SELECT 3, s.backup_task_id, s.notification_stream_id, NULL, 0
FROM backup_task_notification_streams s WHERE s.team_id = $1 AND s.backup_task_id = ANY ($2)
UNION ALL
SELECT 4, r.backup_task_id, r.id, NULL, 0
FROM backup_runs r WHERE r.team_id = $1 AND r.backup_task_id = ANY ($2)
                     AND r.status IN ('queued', 'running', 'verifying')
UNION ALL
SELECT 6, x.backup_task_id, x.script_id,
       jsonb_build_array(s.label, to_jsonb(x) - 'team_id' - 'backup_task_id' - 'position')::text, x.position
FROM backup_task_scripts x JOIN scripts s ON s.id = x.script_id
WHERE x.team_id = $1 AND s.team_id = $1 AND x.backup_task_id = ANY ($2)
UNION ALL
SELECT 5, 0, u.id, u.timezone, 0 FROM users u WHERE u.id = $3
ORDER BY kind, task_id, place, id";

impl TaskSurroundings<'_> {
    /// What surrounds each of `tasks`, for this reader.
    ///
    /// # Errors
    /// The database failed.
    pub async fn of(&self, tasks: &[i64], reader: UserId) -> Result<Surroundings, StoreError> {
        let mut found = Surroundings::default();
        if tasks.is_empty() {
            return Ok(found);
        }
        let values = [self.0.team_id().0.into(), tasks.to_vec().into(), reader.0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, SURROUNDINGS, values);
        for row in self.0.conn().query_all_raw(statement).await? {
            let Row { kind, task_id, id, text } = Row::from_query_result(&row, "")?;
            if kind == READER {
                found.reader_timezone = text;
                continue;
            }
            let beside = found.of.entry(task_id).or_default();
            match kind {
                DESTINATION => beside.destination_ids.push(id),
                TAG => beside.tags.push(AttachedTag { id, label: text.unwrap_or_default() }),
                STREAM => beside.stream_ids.push(id),
                SCRIPT => beside.scripts.push(script(task_id, &text.unwrap_or_default())?),
                _ => beside.is_running = true,
            }
        }
        Ok(found)
    }
}

fn script(task_id: i64, text: &str) -> Result<(String, TaskScript), StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Inconsistent {
        table: "backup_task_scripts",
        id: task_id.to_string(),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::backup_runs::UNFINISHED;
    use super::SURROUNDINGS;

    #[test]
    fn the_states_written_out_are_those_of_an_unfinished_run() {
        let list = UNFINISHED.map(|state| format!("'{state}'")).join(", ");
        assert!(SURROUNDINGS.contains(&format!("r.status IN ({list})")));
    }
}
