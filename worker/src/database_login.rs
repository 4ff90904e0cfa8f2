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
    let password = match Given::of(task).reads_as(spec) {
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
    let given = Given::of(task);
    if let Some(spec) = given.serving(server.id, engine) {
        return of_task(context, server, task, spec);
    }
    let password = match given.without_its_own(server.id) {
        Whose::Server => secrets::server_database_password(context, server)?,
        _ => None,
    };
    Ok(DatabaseLogin { host: None, port: None, username: None, password })
}

/// What of a task decides.
struct Given {
    server: i64,
    // None: it reads no databases.
    spec: Option<DatabaseSpec>,
    has_password: bool,
    is_isolated: bool,
}

impl Given {
    fn of(task: &rows::backup_tasks::Model) -> Self {
        let spec = match serde_json::from_value(task.source.clone()) {
            Ok(SourceSpec::Database(spec)) => Some(spec),
            _ => None,
        };
        Self {
            server: task.remote_server_id,
            spec,
            has_password: task.sealed_source_password.is_some(),
            is_isolated: task.isolated_username.is_some(),
        }
    }

    /// A task that names its own address, user or password has a log-in of its own; and one that logs in to the server as
    /// another user is not given the server's.
    fn reads_as(&self, spec: &DatabaseSpec) -> Whose {
        let names_its_own = spec.host.is_some() || spec.port.is_some() || spec.username.is_some();
        match () {
            () if names_its_own || self.has_password => Whose::Task,
            () if self.is_isolated => Whose::Nobody,
            () => Whose::Server,
        }
    }

    /// The task's source, where its log-in may serve for a restore of `engine` to `server`.
    fn serving(&self, server: i64, engine: Engine) -> Option<&DatabaseSpec> {
        let fits = |chosen| (chosen == Engine::Postgresql) == (engine == Engine::Postgresql);
        let spec = self.spec.as_ref().filter(|spec| spec.engine.engine().is_none_or(fits));
        spec.filter(|_| self.server == server)
    }

    /// Without any log-in but the server's: not where the connection is the isolated user's of the task.
    fn without_its_own(&self, server: i64) -> Whose {
        if self.server == server && self.is_isolated { Whose::Nobody } else { Whose::Server }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(more: &[(&str, serde_json::Value)]) -> DatabaseSpec {
        let mut spec = json!({"engine": "auto", "databases": []});
        for (key, value) in more {
            spec[*key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn given(spec: Option<DatabaseSpec>) -> Given {
        Given { server: 7, spec, has_password: false, is_isolated: false }
    }

    #[test]
    fn the_servers_password_goes_to_nobody_it_was_not_given_for() {
        let plain = given(Some(spec(&[])));
        assert_eq!(plain.reads_as(&spec(&[])), Whose::Server);
        for named in [("host", json!("db.internal")), ("port", json!(3307)), ("username", json!("root"))] {
            assert_eq!(plain.reads_as(&spec(std::slice::from_ref(&named))), Whose::Task, "{named:?}");
        }
        let own = Given { has_password: true, ..given(None) };
        assert_eq!(own.reads_as(&spec(&[])), Whose::Task);
        let isolated = Given { is_isolated: true, ..given(None) };
        assert_eq!(isolated.reads_as(&spec(&[])), Whose::Nobody);
        assert_eq!((isolated.without_its_own(7), isolated.without_its_own(8)), (Whose::Nobody, Whose::Server));
    }

    #[test]
    fn a_tasks_log_in_serves_on_its_own_server_for_its_own_engine_alone() {
        let maria = given(Some(spec(&[("engine", json!("mariadb")), ("host", json!("db"))])));
        assert_eq!(maria.serving(7, Engine::Mariadb).and_then(|spec| spec.host.as_deref()), Some("db"));
        assert!(maria.serving(7, Engine::Mysql).is_some());
        assert!(maria.serving(7, Engine::Postgresql).is_none());
        assert!(maria.serving(8, Engine::Mariadb).is_none(), "another server must never see it");
        assert!(given(None).serving(7, Engine::Mariadb).is_none());
    }
}
