//! The databases on a server, as a log-in sees them. Names and sizes alone: no row of any table is read.

use super::check_remote_server::quick;
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::database_login::{self, Named};
use crate::{secrets, server};
use axum::Json;
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::source::{Engine, EngineChoice};
use holdfast_sources::database::{self, DatabaseInfo};
use holdfast_store::Access;
use serde_json::{Value, json};

/// Bytes of names in one answer, about; tables beyond are left out and the answer says so.
const NAMES_MAX_BYTES: usize = 1024 * 1024;

/// Around a table's name in the answer.
const ENTRY_BYTES: usize = 64;

/// `{"engine":"mariadb","is_complete":true,"databases":[{"name","size_bytes","table_count","tables":[{"schema","name",
/// "size_bytes"}]}]}`.
///
/// # Errors
/// Unknown server, no session with it, or what the database server refuses.
pub async fn list_databases(
    context: &WorkerContext,
    access: &Access,
    id: RemoteServerId,
    (engine, named): (EngineChoice, Named),
) -> Result<Response, Refusal> {
    let tx = context.store.for_team(access).await?;
    let row = tx.server_contact(id).load().await?.ok_or_else(Refusal::not_found)?;
    let way = secrets::server_way(context, &tx, &row, None).await?;
    drop(tx);
    let login = database_login::of_server(context, &row, named)?;
    let mut session = server::connect_with(context, access, &row, &way, quick(context)).await?;
    let (engine, found) = database::list(&mut session, engine, &login).await?;
    Ok(Json(view(engine, &found)).into_response())
}

fn view(engine: Engine, found: &[DatabaseInfo]) -> Value {
    let mut left = NAMES_MAX_BYTES;
    let mut is_complete = true;
    let mut databases = Vec::with_capacity(found.len());
    for database in found {
        let mut tables = Vec::new();
        for table in &database.tables {
            let bytes = table.name.len() + table.schema.as_ref().map_or(0, String::len) + ENTRY_BYTES;
            if bytes > left {
                is_complete = false;
                break;
            }
            left -= bytes;
            tables.push(json!({"schema": table.schema, "name": table.name, "size_bytes": table.size_bytes}));
        }
        databases.push(json!({
            "name": database.name, "size_bytes": database.size_bytes, "table_count": database.tables.len(),
            "tables": tables,
        }));
    }
    json!({"engine": engine.as_str(), "is_complete": is_complete, "databases": databases})
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_sources::database::TableInfo;

    #[test]
    fn a_server_with_endless_tables_is_cut_and_says_so() {
        let tables = |count: usize| {
            (0..count).map(|n| TableInfo { schema: None, name: format!("t{n}"), size_bytes: 1 }).collect::<Vec<_>>()
        };
        let small = DatabaseInfo { name: "small".into(), size_bytes: 2, tables: tables(2) };
        let shown = view(Engine::Mariadb, std::slice::from_ref(&small));
        assert_eq!((&shown["engine"], &shown["is_complete"]), (&json!("mariadb"), &json!(true)));
        assert_eq!(shown["databases"][0]["tables"].as_array().map(Vec::len), Some(2));
        let large = DatabaseInfo { name: "large".into(), size_bytes: 2, tables: tables(100_000) };
        let shown = view(Engine::Mariadb, &[large, small]);
        assert_eq!(shown["is_complete"], json!(false));
        assert_eq!(shown["databases"][0]["table_count"], json!(100_000));
        assert!(shown.to_string().len() < 4 * 1024 * 1024);
    }
}
