//! Which log-in goes to which database server. A password is only ever sent to the address and user that it was given
//! for: never a server's to a host that a task or a request names, never a task's to another server.

use crate::context::WorkerContext;
use crate::secrets;
use holdfast_domain::Failure;
use holdfast_domain::restore::DatabaseTo;
use holdfast_domain::source::{DatabaseSpec, Engine, SourceSpec};
use holdfast_sources::database::DatabaseLogin;
use holdfast_store::rows;

/// Names under which a server reaches itself.
const ITSELF: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// An address and a user, as a task or a request names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Seen from the remote server.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Its user.
    pub username: Option<String>,
}

/// Whose password goes along, where the request brought none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The task's own; it may have none.
    Task,
    /// The server's; it may have none.
    Server,
    /// None at all.
    Nobody,
}

/// How a task's databases are logged in to.
///
/// # Errors
/// A secret does not open.
pub fn of_task(
    context: &WorkerContext,
    server: &rows::remote_servers::Model,
    task: &rows::backup_tasks::Model,
    spec: &DatabaseSpec,
) -> Result<DatabaseLogin, Failure> {
    let password = match tasks(task, spec) {
        Whose::Task => secrets::task_source_password(context, task)?,
        Whose::Server => secrets::server_database_password(context, server)?,
        Whose::Nobody => None,
    };
    Ok(DatabaseLogin { host: spec.host.clone(), port: spec.port, username: spec.username.clone(), password })
}

/// How a server's databases are looked at. Its password goes to a database on the server itself alone.
///
/// # Errors
/// A secret does not open.
pub fn of_server(
    context: &WorkerContext,
    server: &rows::remote_servers::Model,
    named: Named,
) -> Result<DatabaseLogin, Failure> {
    let is_there = named.host.as_deref().is_none_or(|host| ITSELF.contains(&host));
    let password = if is_there { secrets::server_database_password(context, server)? } else { None };
    Ok(DatabaseLogin { host: named.host, port: named.port, username: named.username, password })
}

/// How a restore's target is logged in to. `task` made the backup; its log-in serves on its own server alone, and only
/// while it still reads databases of `engine`.
///
/// # Errors
/// A secret does not open.
pub fn of_restore(
    context: &WorkerContext,
    (restore, to): (&rows::restores::Model, &DatabaseTo),
    (server, task): (&rows::remote_servers::Model, &rows::backup_tasks::Model),
    engine: Engine,
) -> Result<DatabaseLogin, Failure> {
    if to.own_login {
        let password = secrets::restore_database_password(context, restore)?;
        let DatabaseTo { host, port, username, .. } = to.clone();
        return Ok(DatabaseLogin { host, port, username, password });
    }
    if let Some(spec) = serving(task, server.id, engine) {
        return of_task(context, server, task, &spec);
    }
    let password = match strangers(task, server.id) {
        Whose::Server => secrets::server_database_password(context, server)?,
        _ => None,
    };
    Ok(DatabaseLogin { host: None, port: None, username: None, password })
}

/// A task that names its own address, user or password has a log-in of its own; and one that logs in to the server as
/// another user is not given the server's.
fn tasks(task: &rows::backup_tasks::Model, spec: &DatabaseSpec) -> Whose {
    let names_its_own = spec.host.is_some() || spec.port.is_some() || spec.username.is_some();
    match () {
        () if names_its_own || task.sealed_source_password.is_some() => Whose::Task,
        () if task.isolated_username.is_some() => Whose::Nobody,
        () => Whose::Server,
    }
}

/// The task's source, where its log-in may serve for a restore of `engine` to `server`.
fn serving(task: &rows::backup_tasks::Model, server: i64, engine: Engine) -> Option<DatabaseSpec> {
    match serde_json::from_value(task.source.clone()) {
        Ok(SourceSpec::Database(spec)) if task.remote_server_id == server => {
            let fits = |chosen| (chosen == Engine::Postgresql) == (engine == Engine::Postgresql);
            spec.engine.engine().is_none_or(fits).then_some(spec)
        }
        _ => None,
    }
}

/// Without any log-in but the server's: not where the connection is the isolated user's of the task.
fn strangers(task: &rows::backup_tasks::Model, server: i64) -> Whose {
    let is_isolated = task.remote_server_id == server && task.isolated_username.is_some();
    if is_isolated { Whose::Nobody } else { Whose::Server }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use serde_json::json;

    fn task(source: serde_json::Value) -> rows::backup_tasks::Model {
        rows::backup_tasks::Model {
            id: 1,
            team_id: 1,
            user_id: 1,
            remote_server_id: 7,
            label: String::new(),
            description: None,
            r#type: "database".into(),
            source,
            frequency: "manual".into(),
            time_to_run_at: None,
            custom_cron: None,
            timezone: None,
            weekday: None,
            next_run_at: None,
            max_backups: 0,
            appended_filename: None,
            store_path: None,
            encryption_mode: "managed".into(),
            encryption_recipients: vec![],
            seal_id: uuid::Uuid::nil(),
            sealed_encryption_password: None,
            isolated_username: None,
            sealed_isolated_password: None,
            sealed_source_password: None,
            paused_at: None,
            last_run_at: None,
            deleted_at: None,
            created_at: Utc::now(),
            updated_at: Utc::now(),
        }
    }

    fn source(more: &[(&str, serde_json::Value)]) -> serde_json::Value {
        let mut source = json!({"kind": "database", "engine": "auto", "databases": []});
        for (key, value) in more {
            source[*key] = value.clone();
        }
        source
    }

    fn spec(more: &[(&str, serde_json::Value)]) -> DatabaseSpec {
        serde_json::from_value(source(more)).unwrap()
    }

    #[test]
    fn the_servers_password_goes_to_nobody_it_was_not_given_for() {
        let plain = task(source(&[]));
        assert_eq!(tasks(&plain, &spec(&[])), Whose::Server);
        for named in [("host", json!("db.internal")), ("port", json!(3307)), ("username", json!("root"))] {
            assert_eq!(tasks(&plain, &spec(std::slice::from_ref(&named))), Whose::Task, "{named:?}");
        }
        let own = rows::backup_tasks::Model { sealed_source_password: Some(vec![1]), ..plain.clone() };
        assert_eq!(tasks(&own, &spec(&[])), Whose::Task);
        let isolated = rows::backup_tasks::Model { isolated_username: Some("app".into()), ..plain };
        assert_eq!(tasks(&isolated, &spec(&[])), Whose::Nobody);
        assert_eq!((strangers(&isolated, 7), strangers(&isolated, 8)), (Whose::Nobody, Whose::Server));
    }

    #[test]
    fn a_tasks_log_in_serves_on_its_own_server_for_its_own_engine_alone() {
        let maria = task(source(&[("engine", json!("mariadb")), ("host", json!("db"))]));
        assert_eq!(serving(&maria, 7, Engine::Mariadb).and_then(|spec| spec.host).as_deref(), Some("db"));
        assert!(serving(&maria, 7, Engine::Mysql).is_some());
        assert!(serving(&maria, 7, Engine::Postgresql).is_none());
        assert!(serving(&maria, 8, Engine::Mariadb).is_none(), "another server must never see it");
        let files = task(json!({"kind": "files", "paths": ["/etc"]}));
        assert!(serving(&files, 7, Engine::Mariadb).is_none());
    }
}
