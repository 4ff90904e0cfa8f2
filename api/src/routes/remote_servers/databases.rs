//! `GET /api/remote-servers/{id}/databases`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::{FieldErrors, Problem};
use crate::routes::backups::query_text;
use crate::routes::checks::ask;
use crate::state::ApiState;
use crate::validation::{rules, texts};
use crate::views::database::DatabasesView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::source::EngineChoice;
use holdfast_domain::text::TextRule;
use holdfast_domain::ticket::TicketAction;

/// A database user.
const USERNAME: TextRule = TextRule::line(128);

/// What can be backed up there: the databases that the server's database password opens, with their tables and sizes. The
/// password goes to a database on the server itself; with another `host` none is sent.
#[utoipa::path(get, path = "/api/remote-servers/{id}/databases", tag = "remote-servers",
    params(("id" = u64, Path),
        ("engine" = Option<String>, Query, description = "auto (default), mysql, mariadb, postgresql"),
        ("host" = Option<String>, Query, description = "Where they are, seen from the server"),
        ("port" = Option<u16>, Query),
        ("username" = Option<String>, Query, description = "By default the user of the connection")),
    responses((status = 200, body = Data<DatabasesView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody), (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn list_databases(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateRemoteServers>,
    Id(id): Id<RemoteServerId>,
    uri: Uri,
) -> Result<Json<Data<DatabasesView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<RemoteServerId, _>(tx.remote_servers().find(id).await?)?;
    drop(tx);
    let action = asked(id, &uri)?;
    Ok(data(ask(&state, &auth.access, action).await?))
}

fn asked(id: RemoteServerId, uri: &Uri) -> Result<TicketAction, Problem> {
    let mut errors = FieldErrors::default();
    let mut read = |name: &str, parse: &dyn Fn(&str) -> Result<String, String>| {
        let text = query_text(uri, name)?;
        parse(&text).map_err(|problem| errors.push(name, texts::invalid(name, &problem))).ok()
    };
    let engine = read("engine", &|text| text.parse::<EngineChoice>().map(|engine| engine.as_str().to_owned()));
    let host = read("host", &rules::host);
    let port = read("port", &|text| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port.to_string()),
        _ => Err("it must be from 1 to 65535".to_owned()),
    });
    let username = read("username", &|text| USERNAME.canonical(text).map_err(|problem| problem.to_string()));
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    Ok(TicketAction::ListDatabases {
        id,
        engine: engine.and_then(|engine| engine.parse().ok()).unwrap_or_default(),
        host,
        port: port.and_then(|port| port.parse().ok()),
        username,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(query: &str) -> Result<TicketAction, Problem> {
        asked(RemoteServerId(7), &format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn what_is_asked_stands_in_the_ticket() {
        let wanted = TicketAction::ListDatabases {
            id: RemoteServerId(7),
            engine: EngineChoice::Mariadb,
            host: Some("db.internal".into()),
            port: Some(3307),
            username: Some("café".into()),
        };
        let asked = action("engine=mariadb&host=DB.internal&port=3307&username=caf%C3%A9");
        assert_eq!(asked.ok(), Some(wanted));
        assert!(matches!(
            action(""),
            Ok(TicketAction::ListDatabases { engine: EngineChoice::Auto, host: None, port: None, username: None, .. })
        ));
    }

    #[test]
    fn nothing_that_is_more_than_an_address_passes() {
        for bad in [
            "engine=oracle",
            "host=a%20b",
            "host=h%20port%3D5999",
            "host=-oProxyCommand",
            "host=%2Fvar%2Frun",
            "port=0",
            "port=65536",
            "port=x",
            "username=a%0Ab",
        ] {
            assert!(action(bad).is_err(), "{bad}");
        }
    }
}
