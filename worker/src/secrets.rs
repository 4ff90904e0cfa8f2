//! Opening one secret at a time, where it is used. Nothing here may log, keep or return more than was asked for, and no
//! error text may say more than which secret could not be opened.

use crate::context::WorkerContext;
use crate::server::Way;
use holdfast_config::FirstContact;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::ids::TeamId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::{Credential, HostKeyExpectation, Peer, Route, Transport};
use holdfast_store::{StoreError, TeamTx, rows};
use holdfast_vault::manifest::MacKey;
use holdfast_vault::team_keys::{StoredTeamKey, TeamKeyPurpose};
use holdfast_vault::{OpenError, SealContext, SealedColumn};
use secrecy::SecretString;

/// A team's key as stored, opened by the caller for one use.
pub use holdfast_store::rows::team_keys::Model as TeamKeyRow;

/// The way to a server, with the credential of each server of it and the host key that each must show. `task` brings
/// its own log-in to the last one where it has one.
///
/// # Errors
/// The database failed, a secret is missing or does not open, or a jump host was deleted.
pub async fn server_way(
    context: &WorkerContext,
    tx: &TeamTx,
    server: &rows::remote_servers::Model,
    task: Option<&rows::backup_tasks::Model>,
) -> Result<Way, Failure> {
    let mut jumps = Vec::with_capacity(server.jump_ids.len());
    for id in &server.jump_ids {
        let row = tx.server_contact(RemoteServerId(*id)).load().await;
        let row = row.map_err(|e| store_failure(Step::Prepare, &e))?;
        let row = row.ok_or_else(|| invalid("A jump host of the server was deleted."))?;
        jumps.push((peer(context, tx, &row, None).await?, row));
    }
    let peer = peer(context, tx, server, task).await?;
    let (jumps, jump_rows) = jumps.into_iter().unzip();
    let transport = match server.transport.as_str() {
        "openssh" => Transport::Openssh { include: context.config.ssh.openssh_config_file.clone() },
        _ => Transport::Russh,
    };
    Ok(Way { route: Route { transport, jumps, peer }, jump_rows })
}

async fn peer(
    context: &WorkerContext,
    tx: &TeamTx,
    server: &rows::remote_servers::Model,
    task: Option<&rows::backup_tasks::Model>,
) -> Result<Peer, Failure> {
    let isolated = task.and_then(|task| task.isolated_username.as_deref().map(|name| (task, name)));
    let (username, credential) = match isolated {
        Some((task, name)) => (name.to_owned(), isolated_credential(context, tx, server, task).await?),
        None => (server.username.clone(), server_credential(context, tx, server).await?),
    };
    let host_key = match &server.pinned_host_key {
        Some(line) => HostKeyExpectation::Pinned(line.clone()),
        None => HostKeyExpectation::Unknown { trust: context.config.ssh.first_contact == FirstContact::Trust },
    };
    let port = u16::try_from(server.port).map_err(|_| invalid("The server's port is no port."))?;
    Ok(Peer { host: server.host.clone(), port, username, credential, host_key })
}

/// A password of the task's own; without one the key that the server is reached with. The server's password is never
/// offered for another user.
async fn isolated_credential(
    context: &WorkerContext,
    tx: &TeamTx,
    server: &rows::remote_servers::Model,
    task: &rows::backup_tasks::Model,
) -> Result<Credential, Failure> {
    if let Some(sealed) = &task.sealed_isolated_password {
        let place = SealContext::new(tx.team_id(), SealedColumn::TaskIsolatedPassword, task.seal_id);
        return Ok(Credential::Password(open_text(context, &place, sealed, "the task's log-in password")?));
    }
    if server.auth_method == "password" {
        return team_ssh_key(context, tx).await;
    }
    server_credential(context, tx, server).await
}

async fn server_credential(
    context: &WorkerContext,
    tx: &TeamTx,
    server: &rows::remote_servers::Model,
) -> Result<Credential, Failure> {
    let place = |column| SealContext::new(tx.team_id(), column, server.seal_id);
    match server.auth_method.as_str() {
        "password" => {
            let sealed = server.sealed_password.as_deref().ok_or_else(|| missing("the server's password"))?;
            let place = place(SealedColumn::ServerPassword);
            Ok(Credential::Password(open_text(context, &place, sealed, "the server's password")?))
        }
        "private_key" => {
            let sealed = server.sealed_private_key.as_deref().ok_or_else(|| missing("the server's private key"))?;
            let place = place(SealedColumn::ServerPrivateKey);
            Ok(Credential::PrivateKey(open_text(context, &place, sealed, "the server's private key")?))
        }
        _ => team_ssh_key(context, tx).await,
    }
}

async fn team_ssh_key(context: &WorkerContext, tx: &TeamTx) -> Result<Credential, Failure> {
    let row = team_key_row(tx, TeamKeyPurpose::Ssh, None).await?;
    Ok(Credential::PrivateKey(team_key_text(context, tx.team_id(), &row)?))
}

/// The row of a team's key: that `version`, or the newest. Its public half is in `public`.
///
/// # Errors
/// The database failed, or there is no such key.
pub async fn team_key_row(tx: &TeamTx, purpose: TeamKeyPurpose, version: Option<i32>) -> Result<TeamKeyRow, Failure> {
    let row = tx.sealed().team_key(purpose, version).await.map_err(|e| store_failure(Step::Prepare, &e))?;
    row.ok_or_else(|| missing(&format!("the team's {} key", purpose.as_str())))
}

/// Opens an `ssh` key (OpenSSH PEM) or an `age` key (`AGE-SECRET-KEY-1…`).
///
/// # Errors
/// It does not open.
pub fn team_key_text(context: &WorkerContext, team_id: TeamId, row: &TeamKeyRow) -> Result<SecretString, Failure> {
    stored(team_id, row).open_text(&context.opener).map_err(|e| unopened("the team's key", &e))
}

/// Opens the key that authenticates the team's manifests: that `version`, or the newest.
///
/// # Errors
/// The database failed, or it is missing or does not open.
pub async fn mac_key(context: &WorkerContext, tx: &TeamTx, version: Option<i32>) -> Result<MacKey, Failure> {
    let row = team_key_row(tx, TeamKeyPurpose::Mac, version).await?;
    stored(tx.team_id(), &row).open_mac(&context.opener).map_err(|e| unopened("the team's manifest key", &e))
}

/// Opens the encryption password of a task.
///
/// # Errors
/// It is missing or does not open.
pub fn task_encryption_password(
    context: &WorkerContext,
    task: &rows::backup_tasks::Model,
) -> Result<SecretString, Failure> {
    let sealed = task.sealed_encryption_password.as_deref().ok_or_else(|| missing("the task's encryption password"))?;
    let place = SealContext::new(TeamId(task.team_id), SealedColumn::TaskEncryptionPassword, task.seal_id);
    open_text(context, &place, sealed, "the task's encryption password")
}

/// Opens both keys of a destination in a bucket: access key, secret key.
///
/// # Errors
/// One is missing or does not open.
pub fn destination_keys(
    context: &WorkerContext,
    row: &rows::backup_destinations::Model,
) -> Result<(SecretString, SecretString), Failure> {
    let open = |column, sealed: &Option<Vec<u8>>, what: &str| {
        let sealed = sealed.as_deref().ok_or_else(|| missing(what))?;
        open_text(context, &SealContext::new(TeamId(row.team_id), column, row.seal_id), sealed, what)
    };
    let access = open(SealedColumn::DestinationAccessKey, &row.sealed_access_key, "the destination's access key")?;
    let secret = open(SealedColumn::DestinationSecretKey, &row.sealed_secret_key, "the destination's secret key")?;
    Ok((access, secret))
}

/// Opens the encryption password that came with a restore.
///
/// # Errors
/// It is missing or does not open.
pub fn restore_password(context: &WorkerContext, restore: &rows::restores::Model) -> Result<SecretString, Failure> {
    let sealed = restore.sealed_password.as_deref().ok_or_else(|| missing("the restore's password"))?;
    let place = SealContext::new(TeamId(restore.team_id), SealedColumn::RestorePassword, restore.seal_id);
    open_text(context, &place, sealed, "the restore's password")
}

/// Opens the password of the database that a restore goes to; none where none was given.
///
/// # Errors
/// It does not open.
pub fn restore_database_password(
    context: &WorkerContext,
    restore: &rows::restores::Model,
) -> Result<Option<SecretString>, Failure> {
    let place = SealContext::new(TeamId(restore.team_id), SealedColumn::RestoreDatabasePassword, restore.seal_id);
    open_optional(context, &place, restore.sealed_database_password.as_deref(), "the target database's password")
}

/// Opens the password of a task's database; none where the task has none.
///
/// # Errors
/// It does not open.
pub fn task_source_password(
    context: &WorkerContext,
    task: &rows::backup_tasks::Model,
) -> Result<Option<SecretString>, Failure> {
    let place = SealContext::new(TeamId(task.team_id), SealedColumn::TaskSourcePassword, task.seal_id);
    open_optional(context, &place, task.sealed_source_password.as_deref(), "the task's database password")
}

/// Opens the database password of a server; none where it has none.
///
/// # Errors
/// It does not open.
pub fn server_database_password(
    context: &WorkerContext,
    server: &rows::remote_servers::Model,
) -> Result<Option<SecretString>, Failure> {
    let place = SealContext::new(TeamId(server.team_id), SealedColumn::ServerDatabasePassword, server.seal_id);
    open_optional(context, &place, server.sealed_database_password.as_deref(), "the server's database password")
}

/// Opens the value of a secret that scripts are given.
///
/// # Errors
/// It does not open.
pub fn script_secret(context: &WorkerContext, row: &rows::script_secrets::Model) -> Result<SecretString, Failure> {
    let place = SealContext::new(TeamId(row.team_id), SealedColumn::ScriptSecretValue, row.seal_id);
    open_text(context, &place, &row.sealed_value, &format!("the script secret {:?}", row.name))
}

/// What the user reads when the database failed; the operator's log has the reason.
#[must_use]
pub fn store_failure(step: Step, error: &StoreError) -> Failure {
    tracing::error!(?error, "database");
    Failure::new(step, FailureCode::Internal, "The database could not be used.")
}

fn stored(team_id: TeamId, row: &TeamKeyRow) -> StoredTeamKey<'_> {
    StoredTeamKey { team_id, version: row.version, seal_id: row.seal_id, sealed: &row.sealed }
}

fn open_text(context: &WorkerContext, place: &SealContext, sealed: &[u8], what: &str) -> Result<SecretString, Failure> {
    context.opener.open_text(place, sealed).map_err(|e| unopened(what, &e))
}

fn open_optional(
    context: &WorkerContext,
    place: &SealContext,
    sealed: Option<&[u8]>,
    what: &str,
) -> Result<Option<SecretString>, Failure> {
    sealed.map(|sealed| open_text(context, place, sealed, what)).transpose()
}

fn unopened(what: &str, error: &OpenError) -> Failure {
    tracing::error!(%error, what, "a secret does not open");
    Failure::new(Step::Prepare, FailureCode::SecretUnavailable, format!("Could not open {what}."))
}

fn missing(what: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::SecretUnavailable, format!("There is no {what}."))
}

fn invalid(detail: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
}
