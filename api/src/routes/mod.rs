//! Every route on one screen: method and path, the ability it needs, and its handler. Deny by default: [`Table::row`]
//! is the only way in, and it puts the guard in front. `api/authorization.txt` is this table printed; a test compares.

use crate::extract::Need;
use crate::extract::authorized::{Rule, guard};
use crate::idempotency::{self, once};
use crate::problem::ProblemBody;
use crate::state::ApiState;
use axum::extract::Request;
use axum::middleware;
use holdfast_domain::Ability as Can;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

mod account;
mod at_once;
mod audit_events;
mod auth;
mod backup_copies;
mod backup_destinations;
mod backup_runs;
mod backup_task_logs;
mod backup_tasks;
mod backups;
mod cancelling;
mod cascade;
mod checks;
mod confirm_stream;
mod deliveries;
mod docs;
mod document;
mod event_streams;
pub(crate) mod listeners;
mod notification_settings;
mod notification_streams;
mod recycle_bin;
mod remote_servers;
mod restores;
mod sanctum;
mod script_secrets;
mod scripts;
mod setup;
mod ssh_key;
mod system;
mod tags;
mod teams;
mod tokens;
mod user;
mod webhooks;

fn table() -> Table {
    let mut t = Table::default();
    people(&mut t);
    definitions(&mut t);
    tasks(&mut t);
    results(&mut t);
    t
}

/// Who somebody is, and how they prove it.
#[rustfmt::skip]
fn people(t: &mut Table) {
    t.row("POST /api/auth/register", Need::SameOrigin, routes!(auth::register::register));
    t.row("POST /api/auth/verify-email", Need::SameOrigin, routes!(auth::verify_email::verify_email));
    t.row("POST /api/auth/verify-email/resend", Need::SameOrigin, routes!(auth::resend_verification::resend_verification));
    t.row("POST /api/auth/login", Need::SameOrigin, routes!(auth::login::log_in_by_password));
    t.row("POST /api/auth/two-factor", Need::SameOrigin, routes!(auth::two_factor::answer_challenge));
    t.row("POST /api/auth/forgot-password", Need::SameOrigin, routes!(auth::forgot_password::forgot_password));
    t.row("POST /api/auth/reset-password", Need::SameOrigin, routes!(auth::reset_password::reset_password));
    t.row("POST /api/auth/confirm-password", Need::Session, routes!(auth::confirm_password::confirm_password));
    t.row("POST /api/auth/logout", Need::Session, routes!(auth::logout::log_out));
    t.row("GET /api/auth/sessions", Need::Session, routes!(auth::list_sessions::list_sessions));
    t.row("DELETE /api/auth/sessions", Need::Session, routes!(auth::end_other_sessions::end_other_sessions));
    t.row("DELETE /api/auth/sessions/{id}", Need::Session, routes!(auth::end_session::end_session));
    t.row("GET /api/tokens", Need::Session, routes!(tokens::list::list_tokens));
    t.fresh("POST /api/tokens", Need::Session, routes!(tokens::create::create_token));
    t.row("DELETE /api/tokens/{id}", Need::Session, routes!(tokens::delete::delete_token));
    t.row("POST /api/sanctum/token", Need::Public, routes!(sanctum::token::create_device_token));
    t.row("GET /api/user", Need::AnyToken, routes!(user::show::show_user));
    t.row("PATCH /api/user", Need::AnyToken, routes!(user::update::update_user));
    t.fresh("POST /api/user/password", Need::Session, routes!(user::change_password::change_password));
    t.fresh("POST /api/user/email", Need::Session, routes!(user::change_email::change_email));
    t.row("POST /api/user/email/confirm", Need::SameOrigin, routes!(user::confirm_email::confirm_email));
    t.row("GET /api/user/two-factor", Need::Session, routes!(user::two_factor::show::show_two_factor));
    t.fresh("POST /api/user/two-factor", Need::Session, routes!(user::two_factor::begin::begin_two_factor));
    t.fresh("DELETE /api/user/two-factor", Need::Session, routes!(user::two_factor::remove::remove_two_factor));
    t.fresh("POST /api/user/two-factor/confirm", Need::Session, routes!(user::two_factor::confirm::confirm_two_factor));
    t.fresh("POST /api/user/two-factor/recovery-codes", Need::Session, routes!(user::two_factor::recovery_codes::renew_recovery_codes));
}

/// The way in, and what people define.
#[rustfmt::skip]
fn definitions(t: &mut Table) {
    let need = Need::Ability;
    t.row("GET /up", Need::Public, routes!(system::up::up));
    t.row("GET /readyz", Need::Public, routes!(system::readyz::readyz));
    t.row("GET /setup", Need::Public, routes!(setup::show::show_setup));
    t.row("POST /setup", Need::Public, routes!(setup::submit::submit_setup));
    t.row("GET /confirm-stream", Need::Public, routes!(confirm_stream::show::show_stream_confirmation));
    t.row("POST /confirm-stream", Need::Public, routes!(confirm_stream::submit::confirm_stream));
    t.row("GET /api/docs", Need::Public, routes!(docs::show::show_docs));
    t.row("GET /api/openapi.json", Need::Public, routes!(system::openapi::openapi_document));
    t.row("POST /api/auth/setup", Need::Public, routes!(auth::setup::setup_installation));
    t.row("GET /api/ssh-key", need(Can::CreateRemoteServers), routes!(ssh_key::show::show_ssh_key));
    t.row("GET /api/remote-servers", need(Can::ViewRemoteServers), routes!(remote_servers::list::list_remote_servers));
    t.fresh("POST /api/remote-servers", need(Can::CreateRemoteServers), routes!(remote_servers::create::create_remote_server));
    t.row("GET /api/remote-servers/{id}", need(Can::ViewRemoteServers), routes!(remote_servers::show::show_remote_server));
    t.fresh("PUT /api/remote-servers/{id}", need(Can::UpdateRemoteServers), routes!(remote_servers::update::update_remote_server));
    t.fresh("DELETE /api/remote-servers/{id}", need(Can::DeleteRemoteServers), routes!(remote_servers::delete::delete_remote_server));
    t.row("POST /api/remote-servers/{id}/check", need(Can::UpdateRemoteServers), routes!(remote_servers::check::check_remote_server));
    t.row("GET /api/remote-servers/{id}/host-key", need(Can::ViewRemoteServers), routes!(remote_servers::host_key::show_host_key));
    t.fresh("POST /api/remote-servers/{id}/host-key/accept", need(Can::UpdateRemoteServers), routes!(remote_servers::accept_host_key::accept_host_key));
    t.row("GET /api/remote-servers/{id}/databases", need(Can::UpdateRemoteServers), routes!(remote_servers::databases::list_databases));
    t.row("GET /api/backup-destinations", need(Can::ViewBackupDestinations), routes!(backup_destinations::list::list_backup_destinations));
    t.fresh("POST /api/backup-destinations", need(Can::CreateBackupDestinations), routes!(backup_destinations::create::create_backup_destination));
    t.row("GET /api/backup-destinations/{id}", need(Can::ViewBackupDestinations), routes!(backup_destinations::show::show_backup_destination));
    t.fresh("PUT /api/backup-destinations/{id}", need(Can::UpdateBackupDestinations), routes!(backup_destinations::update::update_backup_destination));
    t.fresh("DELETE /api/backup-destinations/{id}", need(Can::DeleteBackupDestinations), routes!(backup_destinations::delete::delete_backup_destination));
    t.row("POST /api/backup-destinations/{id}/check", need(Can::UpdateBackupDestinations), routes!(backup_destinations::check::check_backup_destination));
    t.row("GET /api/backup-destinations/{id}/usage", need(Can::ViewBackupDestinations), routes!(backup_destinations::usage::show_backup_destination_usage));
    t.row("GET /api/notification-streams", need(Can::ViewNotificationStreams), routes!(notification_streams::list::list_notification_streams));
    t.fresh("POST /api/notification-streams", need(Can::CreateNotificationStreams), routes!(notification_streams::create::create_notification_stream));
    t.row("GET /api/notification-streams/{id}", need(Can::ViewNotificationStreams), routes!(notification_streams::show::show_notification_stream));
    t.fresh("PUT /api/notification-streams/{id}", need(Can::UpdateNotificationStreams), routes!(notification_streams::update::update_notification_stream));
    t.row("DELETE /api/notification-streams/{id}", need(Can::DeleteNotificationStreams), routes!(notification_streams::delete::delete_notification_stream));
    t.fresh("POST /api/notification-streams/{id}/rotate-secret", need(Can::UpdateNotificationStreams), routes!(notification_streams::rotate_secret::rotate_stream_secret));
    t.row("POST /api/notification-streams/{id}/test", need(Can::UpdateNotificationStreams), routes!(notification_streams::test::test_notification_stream));
    t.row("POST /api/notification-streams/{id}/confirmation", need(Can::UpdateNotificationStreams), routes!(notification_streams::ask_address::ask_stream_address));
    t.row("GET /api/notification-settings", need(Can::ViewNotificationStreams), routes!(notification_settings::show::show_notification_settings));
    t.row("PUT /api/notification-settings", need(Can::UpdateNotificationStreams), routes!(notification_settings::update::update_notification_settings));
    t.row("GET /api/tags", need(Can::ManageTags), routes!(tags::list::list_tags));
    t.row("POST /api/tags", need(Can::ManageTags), routes!(tags::create::create_tag));
    t.row("GET /api/tags/{id}", need(Can::ManageTags), routes!(tags::show::show_tag));
    t.row("PUT /api/tags/{id}", need(Can::ManageTags), routes!(tags::update::update_tag));
    t.row("DELETE /api/tags/{id}", need(Can::ManageTags), routes!(tags::delete::delete_tag));
    scripts(t);
}

/// What is run on servers before and after a backup.
#[rustfmt::skip]
fn scripts(t: &mut Table) {
    let need = Need::Ability;
    t.row("GET /api/scripts", need(Can::ViewScripts), routes!(scripts::list::list_scripts));
    t.fresh("POST /api/scripts", need(Can::ManageScripts), routes!(scripts::create::create_script));
    t.row("GET /api/scripts/{id}", need(Can::ViewScripts), routes!(scripts::show::show_script));
    t.fresh("PUT /api/scripts/{id}", need(Can::ManageScripts), routes!(scripts::update::update_script));
    t.fresh("DELETE /api/scripts/{id}", need(Can::ManageScripts), routes!(scripts::delete::delete_script));
    t.fresh("POST /api/scripts/{id}/test", need(Can::ManageScripts), routes!(scripts::test::test_script));
    t.row("GET /api/script-secrets", need(Can::ViewScripts), routes!(script_secrets::list::list_script_secrets));
    t.fresh("POST /api/script-secrets", need(Can::ManageScripts), routes!(script_secrets::create::create_script_secret));
    t.row("GET /api/script-secrets/{id}", need(Can::ViewScripts), routes!(script_secrets::show::show_script_secret));
    t.fresh("PUT /api/script-secrets/{id}", need(Can::ManageScripts), routes!(script_secrets::update::update_script_secret));
    t.fresh("DELETE /api/script-secrets/{id}", need(Can::ManageScripts), routes!(script_secrets::delete::delete_script_secret));
}

/// What is backed up, and what starts it.
#[rustfmt::skip]
fn tasks(t: &mut Table) {
    let need = Need::Ability;
    t.row("GET /api/backup-tasks", need(Can::ViewBackupTasks), routes!(backup_tasks::list::list_backup_tasks));
    t.row("GET /api/backup-tasks/upcoming", need(Can::ViewBackupTasks), routes!(backup_tasks::upcoming::list_upcoming_backup_tasks));
    t.row("POST /api/backup-tasks/schedule-preview", need(Can::ViewBackupTasks), routes!(backup_tasks::schedule_preview_draft::preview_schedule_draft));
    t.row("POST /api/backup-tasks", need(Can::CreateBackupTasks), routes!(backup_tasks::create::create_backup_task));
    t.row("GET /api/backup-tasks/{id}", need(Can::ViewBackupTasks), routes!(backup_tasks::show::show_backup_task));
    t.fresh("PUT /api/backup-tasks/{id}", need(Can::UpdateBackupTasks), routes!(backup_tasks::update::update_backup_task));
    t.fresh("DELETE /api/backup-tasks/{id}", need(Can::DeleteBackupTasks), routes!(backup_tasks::delete::delete_backup_task));
    t.row("GET /api/backup-tasks/{id}/status", need(Can::ViewBackupTasks), routes!(backup_tasks::status::show_backup_task_status));
    t.row("GET /api/backup-tasks/{id}/latest-log", need(Can::ViewBackupTasks), routes!(backup_tasks::latest_log::show_latest_log));
    t.row("POST /api/backup-tasks/{id}/run", need(Can::RunBackupTasks), routes!(backup_tasks::run::run_backup_task));
    t.row("GET /api/backup-tasks/{id}/schedule-preview", need(Can::ViewBackupTasks), routes!(backup_tasks::schedule_preview::preview_schedule));
    t.row("GET /api/backup-tasks/{id}/retention-preview", need(Can::ViewBackups), routes!(backup_tasks::retention_preview::preview_retention));
    t.fresh("POST /api/backup-tasks/{id}/prune", need(Can::DeleteBackups), routes!(backup_tasks::prune::prune_backup_task));
    t.row("POST /api/backup-tasks/{id}/pause", need(Can::UpdateBackupTasks), routes!(backup_tasks::pause::pause_backup_task));
    t.row("POST /api/backup-tasks/{id}/resume", need(Can::UpdateBackupTasks), routes!(backup_tasks::resume::resume_backup_task));
    t.row("POST /api/backup-tasks/{id}/duplicate", need(Can::CreateBackupTasks), routes!(backup_tasks::duplicate::duplicate_backup_task));
    t.row("GET /api/backup-tasks/{id}/webhook", need(Can::ViewBackupTasks), routes!(backup_tasks::webhook::show::show_webhook));
    t.fresh("POST /api/backup-tasks/{id}/webhook", need(Can::UpdateBackupTasks), routes!(backup_tasks::webhook::create::create_webhook));
    t.row("DELETE /api/backup-tasks/{id}/webhook", need(Can::UpdateBackupTasks), routes!(backup_tasks::webhook::delete::delete_webhook));
    t.row("POST /webhooks/backup-tasks/{id}/run", Need::Public, routes!(webhooks::run::run_by_webhook));
}

/// What came of it.
#[rustfmt::skip]
fn results(t: &mut Table) {
    let (need, operator) = (Need::Ability, Need::Operator);
    t.row("GET /api/audit-events", need(Can::ViewAuditEvents), routes!(audit_events::list::list_audit_events));
    t.row("GET /api/audit-events/verify", need(Can::ViewAuditEvents), routes!(audit_events::verify::verify_audit_events));
    t.row("GET /api/teams/current/limits", Need::AnyToken, routes!(teams::limits::show_team_limits));
    t.row("GET /api/deliveries", need(Can::ViewNotificationStreams), routes!(deliveries::list::list_deliveries));
    t.row("GET /api/deliveries/{id}", need(Can::ViewNotificationStreams), routes!(deliveries::show::show_delivery));
    t.row("POST /api/deliveries/{id}/resend", need(Can::UpdateNotificationStreams), routes!(deliveries::resend::resend_delivery));
    t.row("GET /api/backup-task-logs", need(Can::ViewBackupTasks), routes!(backup_task_logs::list::list_backup_task_logs));
    t.row("GET /api/backup-task-logs/{id}", need(Can::ViewBackupTasks), routes!(backup_task_logs::show::show_backup_task_log));
    t.row("DELETE /api/backup-task-logs/{id}", need(Can::DeleteBackupTasks), routes!(backup_task_logs::delete::delete_backup_task_log));
    t.row("GET /api/backup-runs", need(Can::ViewBackupTasks), routes!(backup_runs::list::list_backup_runs));
    t.row("GET /api/backup-runs/{id}", need(Can::ViewBackupTasks), routes!(backup_runs::show::show_backup_run));
    t.row("GET /api/backup-runs/{id}/log", need(Can::ViewBackupTasks), routes!(backup_runs::log::show_backup_run_log));
    t.row("GET /api/backup-runs/{id}/log/download", need(Can::ViewBackupTasks), routes!(backup_runs::log_download::download_backup_run_log));
    t.row("GET /api/backup-runs/{id}/events", need(Can::ViewBackupTasks), routes!(backup_runs::events::show_backup_run_events));
    t.row("POST /api/backup-runs/{id}/retry", need(Can::RunBackupTasks), routes!(backup_runs::retry::retry_backup_run));
    t.row("POST /api/backup-runs/{id}/cancel", need(Can::RunBackupTasks), routes!(backup_runs::cancel::cancel_backup_run));
    t.row("GET /api/backups", need(Can::ViewBackups), routes!(backups::list::list_backups));
    t.row("GET /api/backups/{id}", need(Can::ViewBackups), routes!(backups::show::show_backup));
    t.fresh("PATCH /api/backups/{id}", need(Can::UpdateBackups), routes!(backups::update::update_backup));
    t.fresh("DELETE /api/backups/{id}", need(Can::DeleteBackups), routes!(backups::delete::delete_backup));
    t.row("GET /api/backups/{id}/files", need(Can::ViewBackups), routes!(backups::files::list_backup_files));
    t.row("GET /api/backups/{id}/download", need(Can::DownloadBackups), routes!(backups::download::download_backup));
    t.row("POST /api/backups/{id}/copies", need(Can::RunBackupTasks), routes!(backups::copies::copy_backup));
    t.row("GET /api/backup-copies/{id}/events", need(Can::ViewBackups), routes!(backup_copies::events::show_backup_copy_events));
    t.row("POST /api/backup-copies/{id}/cancel", need(Can::RunBackupTasks), routes!(backup_copies::cancel::cancel_backup_copy));
    t.fresh("POST /api/backups/{id}/restore", need(Can::RestoreBackups), routes!(backups::restore::restore_backup));
    t.row("GET /api/recycle-bin", need(Can::ViewBackups), routes!(recycle_bin::list::list_recycle_bin));
    t.fresh("DELETE /api/recycle-bin", need(Can::DeleteBackups), routes!(recycle_bin::empty::empty_recycle_bin));
    t.row("GET /api/restores", need(Can::RestoreBackups), routes!(restores::list::list_restores));
    t.row("GET /api/restores/{id}", need(Can::RestoreBackups), routes!(restores::show::show_restore));
    t.row("GET /api/restores/{id}/events", need(Can::RestoreBackups), routes!(restores::events::show_restore_events));
    t.row("POST /api/restores/{id}/cancel", need(Can::RestoreBackups), routes!(restores::cancel::cancel_restore));
    t.fresh("GET /api/account/export", Need::Session, routes!(account::export::export_account));
    t.fresh("DELETE /api/account", Need::Session, routes!(account::delete::delete_account));
    t.row("GET /metrics", Need::Metrics, routes!(system::metrics::show_metrics));
    t.row("GET /api/system/workers", operator(Can::ManageWorkers), routes!(system::workers::list_workers));
    t.row("GET /api/system/jobs", operator(Can::ManageWorkers), routes!(system::jobs::list::list_jobs));
    t.row("POST /api/system/jobs/run", operator(Can::ManageWorkers), routes!(system::jobs::run::run_job));
    t.row("GET /api/system/users", operator(Can::ManageUsers), routes!(system::users::list::list_users));
    t.fresh("POST /api/system/users", operator(Can::ManageUsers), routes!(system::users::create::create_user));
    t.row("GET /api/system/users/{id}", operator(Can::ManageUsers), routes!(system::users::show::show_other_user));
    t.fresh("DELETE /api/system/users/{id}", operator(Can::ManageUsers), routes!(system::users::delete::delete_user));
    t.fresh("POST /api/system/users/{id}/suspend", operator(Can::ManageUsers), routes!(system::users::suspend::suspend_user));
    t.fresh("POST /api/system/users/{id}/unsuspend", operator(Can::ManageUsers), routes!(system::users::unsuspend::unsuspend_user));
    t.row("GET /api/system/teams", operator(Can::ManageUsers), routes!(system::teams::list::list_teams));
    t.fresh("PUT /api/system/teams/{id}/limits", operator(Can::ManageUsers), routes!(system::teams::set_limits::set_team_limits));
    t.row("GET /api/system/backups", operator(Can::ManageOwnBackups), routes!(system::backups::list::list_own_backups));
    t.fresh("POST /api/system/backups", operator(Can::ManageOwnBackups), routes!(system::backups::create::create_own_backup));
    t.row("GET /api/system/backups/{id}", operator(Can::ManageOwnBackups), routes!(system::backups::show::show_own_backup));
    t.fresh("GET /api/system/backups/{id}/download", operator(Can::ManageOwnBackups), routes!(system::backups::download::download_own_backup));
    t.fresh("POST /api/system/backups/{id}/restore", operator(Can::ManageOwnBackups), routes!(system::backups::restore::restore_own_backup));
    t.fresh("DELETE /api/system/backups/{id}", operator(Can::ManageOwnBackups), routes!(system::backups::delete::delete_own_backup));
}

/// One printed line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `GET`.
    pub method: String,
    /// `/api/backup-tasks/{id}`.
    pub path: String,
    /// What it needs.
    pub need: Need,
    /// Whether a session must have proved who its person is within the last ten minutes.
    pub is_fresh: bool,
}

#[derive(Default)]
struct Table {
    public: OpenApiRouter<ApiState>,
    operator: OpenApiRouter<ApiState>,
    rows: Vec<Row>,
}

impl Table {
    /// One handler: what stands here must be what the handler says of itself, and the guard asks for `need`.
    fn row(&mut self, method_and_path: &str, need: Need, routes: UtoipaMethodRouter<ApiState>) {
        self.add(method_and_path, Rule { need, is_fresh: false }, routes);
    }

    /// As [`Table::row`], for what a stolen session must not be enough for: the person must have proved who they are
    /// within the last ten minutes.
    fn fresh(&mut self, method_and_path: &str, need: Need, routes: UtoipaMethodRouter<ApiState>) {
        self.add(method_and_path, Rule { need, is_fresh: true }, routes);
    }

    fn add(&mut self, method_and_path: &str, rule: Rule, mut routes: UtoipaMethodRouter<ApiState>) {
        let (method, path) = method_and_path.split_once(' ').expect("a row names method and path");
        document::describe(&mut routes.1, method, path, rule);
        let is_kept = !idempotency::SHOWS_SECRET.contains(&path);
        let repeats = idempotency::is_repeatable(method, path, rule.need);
        let guarded = routes.map(|handler| {
            let handler = match repeats {
                true => handler.route_layer(middleware::from_fn(move |request, next| once(is_kept, request, next))),
                false => handler,
            };
            handler.route_layer(middleware::from_fn(move |request: Request, next| guard(rule, request, next)))
        });
        let Rule { need, is_fresh } = rule;
        let router = if need.is_of_operator() { &mut self.operator } else { &mut self.public };
        *router = std::mem::take(router).routes(guarded);
        self.rows.push(Row { method: method.to_owned(), path: path.to_owned(), need, is_fresh });
    }
}

/// The table, row by row.
#[must_use]
pub fn rows() -> Vec<Row> {
    table().rows
}

/// The OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> OpenApi {
    let Table { public, operator, .. } = table();
    document::finish(public.merge(operator).into_openapi())
}

/// The shared error answers of the document.
type ErrorBody = ProblemBody;
