//! `GET /api/account/export`
//!
//! Everything that is kept about the caller and, if they own the team, what the team has defined. It is read page by page
//! while it is sent, each page in a transaction of its own: a slow reader must not hold a connection of the database. What
//! changes meanwhile may be in it or not. Views alone are written, which have no field for a secret; an answer that was
//! broken off is no JSON, so that half an export is never taken for a whole one.

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::routes::backup_tasks;
use crate::routes::ssh_key::show::authorized_keys_line;
use crate::state::ApiState;
use crate::views::audit_event::AuditEventView;
use crate::views::backup::BackupView;
use crate::views::backup_destination::BackupDestinationView;
use crate::views::backup_task::BackupTaskView;
use crate::views::export::{AccountExport, ExportHead, KnownDeviceView, MemberView, TeamExport, TwoFactorExport};
use crate::views::notification_stream::NotificationStreamView;
use crate::views::remote_server::RemoteServerView;
use crate::views::script::ScriptView;
use crate::views::script_secret::ScriptSecretView;
use crate::views::session::SessionView;
use crate::views::tag::TagView;
use crate::views::team_limits::TeamLimitsView;
use crate::views::time;
use crate::views::token::TokenView;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use holdfast_domain::ids::UserId;
use holdfast_store::repositories::PageRequest;
use holdfast_store::repositories::audit_events::AuditFilter;
use holdfast_store::repositories::backup_destinations::DestinationFilter;
use holdfast_store::repositories::backup_tasks::TaskFilter;
use holdfast_store::repositories::backups::BackupFilter;
use holdfast_store::repositories::remote_servers::ServerFilter;
use holdfast_store::{Access, TeamTx, rows};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows of one page.
const PAGE_ROWS: u64 = 200;

/// The lists of an export, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Tokens,
    AuditEvents,
    RemoteServers,
    BackupDestinations,
    BackupTasks,
    NotificationStreams,
    Tags,
    Scripts,
    ScriptSecrets,
    Backups,
    RecycledBackups,
}

impl List {
    const OF_PERSON: &'static [Self] = &[Self::Tokens, Self::AuditEvents];
    const OF_OWNER: &'static [Self] = &[
        Self::Tokens,
        Self::AuditEvents,
        Self::RemoteServers,
        Self::BackupDestinations,
        Self::BackupTasks,
        Self::NotificationStreams,
        Self::Tags,
        Self::Scripts,
        Self::ScriptSecrets,
        Self::Backups,
        Self::RecycledBackups,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::AuditEvents => "audit_events",
            Self::RemoteServers => "remote_servers",
            Self::BackupDestinations => "backup_destinations",
            Self::BackupTasks => "backup_tasks",
            Self::NotificationStreams => "notification_streams",
            Self::Tags => "tags",
            Self::Scripts => "scripts",
            Self::ScriptSecrets => "script_secrets",
            Self::Backups => "backups",
            Self::RecycledBackups => "recycled_backups",
        }
    }
}

/// Everything that is kept about you: profile, sessions, tokens, what the audit log says you did. If you own the team, also
/// what it defined: servers, destinations, tasks, streams, tags, scripts, and its list of backups. No secret is in it.
#[utoipa::path(get, path = "/api/account/export", tag = "account",
    responses((status = 200, description = "One JSON document, as an attachment", body = AccountExport)))]
pub async fn export_account(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let (head, is_owner) = head(&state, &tx, auth.user_id).await?;
    tx.audit_events().record("account.export", &format!("users:{}", auth.user_id), json!({})).await?;
    tx.commit().await?;
    let begun = Begun {
        export: Export { state, access: auth.access, user_id: auth.user_id },
        lists: if is_owner { List::OF_OWNER } else { List::OF_PERSON },
        offset: 0,
    };
    let body = stream::try_unfold(Step::Head(head, begun), next);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let name = HeaderValue::from_static("attachment; filename=\"holdfast-account.json\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// What comes before the lists, without its closing brace; and whether the person owns the team.
async fn head(state: &ApiState, tx: &TeamTx, user_id: UserId) -> Result<(String, bool), Problem> {
    let user = crate::routes::user::show::view(tx, user_id, state.now()).await?;
    let two_factor = tx.two_factors().find(user_id).await?.and_then(|row| row.confirmed_at);
    let members = tx.users().members().await?;
    let role = members.iter().find(|member| member.user_id == user_id.0).map(|member| member.role.clone());
    let is_owner = role.as_deref() == Some("owner");
    let devices = tx.known_devices().list(user_id).await?;
    let sessions = tx.sessions().list(user_id, state.now(), state.accounts().session_idle).await?;
    let head = ExportHead {
        format: "holdfast-account-export/1",
        exported_at: time::utc(state.now()),
        user,
        role,
        two_factor: TwoFactorExport {
            on_since: time::utc_or_null(two_factor),
            recovery_codes_left: tx.two_factors().codes_left(user_id).await?,
        },
        known_devices: devices.into_iter().map(KnownDeviceView::of).collect(),
        sessions: sessions.iter().map(|row| SessionView::of(row, None)).collect(),
        records: tx.users().records(user_id).await?,
        team: if is_owner { Some(team(state, tx, members).await?) } else { None },
    };
    let text = serde_json::to_string(&head).map_err(|error| Problem::internal(&error))?;
    let open = text.strip_suffix('}').ok_or_else(|| Problem::internal_text("an export is an object"))?;
    Ok((open.to_owned(), is_owner))
}

async fn team(state: &ApiState, tx: &TeamTx, members: Vec<rows::members::Model>) -> Result<TeamExport, Problem> {
    let team = tx.users().team().await?.ok_or_else(|| Problem::internal_text("a session without a team"))?;
    let allowed = tx.team_limits().allowed(state.team_limits()).await?;
    let used = tx.team_limits().all_used().await?;
    let key = tx.team_keys().newest("ssh").await?;
    Ok(TeamExport {
        id: team.id,
        uuid: team.uuid.to_string(),
        name: team.name,
        created_at: time::utc(team.created_at),
        members: members.into_iter().map(MemberView::of).collect(),
        ssh_key: key.map(|key| authorized_keys_line(&key.public)),
        limits: TeamLimitsView::of(&allowed, &used),
    })
}

/// Who exports what.
struct Export {
    state: ApiState,
    access: Access,
    user_id: UserId,
}

/// Lists that are to come, and how far the first of them was read.
struct Begun {
    export: Export,
    lists: &'static [List],
    offset: u64,
}

enum Step {
    Head(String, Begun),
    Lists(Begun),
    Over,
}

/// The next piece of the document.
async fn next(step: Step) -> Result<Option<(Bytes, Step)>, std::io::Error> {
    let begun = match step {
        Step::Head(text, begun) => return Ok(Some((text.into(), Step::Lists(begun)))),
        Step::Lists(begun) => begun,
        Step::Over => return Ok(None),
    };
    let Begun { export, lists, offset } = begun;
    let Some((list, rest)) = lists.split_first() else { return Ok(Some((Bytes::from_static(b"}\n"), Step::Over))) };
    let rows = export.page(*list, offset).await.map_err(|problem| {
        tracing::error!(code = problem.code(), list = list.name(), "an account's export was broken off");
        std::io::Error::other("the export was broken off")
    })?;
    let mut text = if offset == 0 { format!(",\"{}\":[", list.name()) } else { String::new() };
    for (at, row) in rows.iter().enumerate() {
        if offset > 0 || at > 0 {
            text.push(',');
        }
        text.push_str(&row.to_string());
    }
    let is_last = (rows.len() as u64) < PAGE_ROWS;
    if is_last {
        text.push(']');
    }
    let (lists, offset) = if is_last { (rest, 0) } else { (lists, offset + PAGE_ROWS) };
    Ok(Some((text.into(), Step::Lists(Begun { export, lists, offset }))))
}

impl Export {
    async fn page(&self, list: List, offset: u64) -> Result<Vec<Value>, Problem> {
        let tx = self.state.store().for_team(&self.access).await?;
        let page = PageRequest { offset, limit: PAGE_ROWS, newest_first: false, by_label: false };
        match list {
            List::Tokens => {
                let rows = tx.tokens().list(self.user_id, page).await?.rows;
                values(rows.iter().map(TokenView::of))
            }
            List::AuditEvents => {
                let filter = AuditFilter { about_user_id: Some(self.user_id.0), ..AuditFilter::default() };
                values(tx.audit_events().list(page, &filter).await?.rows.into_iter().map(AuditEventView::of))
            }
            List::RemoteServers => {
                let rows = tx.remote_servers().list(page, &ServerFilter::default()).await?.rows;
                values(rows.into_iter().map(RemoteServerView::of))
            }
            List::BackupDestinations => {
                let rows = tx.backup_destinations().list(page, &DestinationFilter::default()).await?.rows;
                values(rows.into_iter().map(BackupDestinationView::of))
            }
            List::BackupTasks => {
                let rows = tx.backup_tasks().list(page, &TaskFilter::default()).await?.rows;
                let views: Vec<BackupTaskView> = backup_tasks::views(&tx, rows, self.user_id, self.state.now()).await?;
                values(views.into_iter())
            }
            List::NotificationStreams => {
                let rows = tx.notification_streams().list(page, None, None).await?.rows;
                values(rows.into_iter().map(NotificationStreamView::of))
            }
            List::Tags => values(tx.tags().list(page, None, None).await?.rows.into_iter().map(TagView::of)),
            List::Scripts => values(tx.scripts().list(page, None).await?.rows.into_iter().map(ScriptView::of)),
            List::ScriptSecrets => {
                values(tx.script_secrets().list(page, None).await?.rows.into_iter().map(ScriptSecretView::of))
            }
            List::Backups => backups(&tx, page, false).await,
            List::RecycledBackups => backups(&tx, page, true).await,
        }
    }
}

async fn backups(tx: &TeamTx, page: PageRequest, is_recycled: bool) -> Result<Vec<Value>, Problem> {
    let filter = BackupFilter { is_recycled, ..BackupFilter::default() };
    let rows = tx.backups().list(page, &filter).await?.rows;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut copies: BTreeMap<i64, Vec<rows::backup_copies::Model>> = BTreeMap::new();
    for copy in tx.backups().copies_of(&ids).await? {
        copies.entry(copy.backup_id).or_default().push(copy);
    }
    values(rows.into_iter().map(|row| {
        let copies = copies.remove(&row.id).unwrap_or_default();
        BackupView::of(row, copies)
    }))
}

fn values<T: Serialize>(views: impl Iterator<Item = T>) -> Result<Vec<Value>, Problem> {
    views.map(|view| serde_json::to_value(view).map_err(|error| Problem::internal(&error))).collect()
}
