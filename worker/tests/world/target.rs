//! A world with a real sshd to restore to.

use super::{Stored, World, insert_server};
use holdfast_domain::ids::RestoreId;
use holdfast_testbed::fault_proxy::{FaultProxy, LinkPlan};
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_vault::{SealContext, SealedColumn, Sealer};
use holdfast_worker::jobs::execute_restore::execute_restore;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// A world with a server to restore to.
pub struct Target {
    pub world: World,
    pub sshd: Sshd,
    pub login: Login,
    pub server_id: i64,
    pub folder: TempDir,
}

/// How a restore ended.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub struct Row {
    pub status: String,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub warning_count: i64,
    pub progress: Value,
    pub process_terminated: Option<bool>,
    pub attempts: i32,
}

impl Target {
    /// Logs in as a user of its own, or as root.
    pub async fn new(as_root: bool) -> Self {
        let world = World::new().await;
        let sshd = Sshd::start().unwrap();
        let login = Login::create().unwrap();
        let name = if as_root { "root" } else { login.name() };
        sshd.authorize(name, &world.team.ssh_public).unwrap();
        let (team, user) = (world.team.id, world.team.user_id);
        let key = sshd.host_key().unwrap();
        let server_id = insert_server(&world.owner, team, user, ("127.0.0.1", sshd.port(), name), Some(&key)).await;
        let folder = tempfile::tempdir_in(login.home()).unwrap();
        login.give(folder.path()).unwrap();
        Self { world, sshd, login, server_id, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn is_empty(&self) -> bool {
        fs::read_dir(self.folder.path()).unwrap().next().is_none()
    }

    pub async fn queue(&self, stored: &Stored, spec: Value, password: Option<&str>) -> RestoreId {
        let seal_id = Uuid::new_v4();
        let sealer = Sealer::from_public_key(self.world.context.opener.public_key()).unwrap();
        let place = SealContext::new(self.world.team.id, SealedColumn::RestorePassword, seal_id);
        let sealed = password.map(|p| sealer.seal(&place, p.as_bytes(), &mut rand::rng()));
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO restores (team_id, backup_id, remote_server_id, spec, seal_id, sealed_password) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(self.world.team.id.0)
        .bind(stored.id.0)
        .bind(self.server_id)
        .bind(spec)
        .bind(seal_id)
        .bind(sealed)
        .fetch_one(&self.world.owner)
        .await
        .unwrap();
        RestoreId(id)
    }

    pub async fn row(&self, id: RestoreId) -> Row {
        sqlx::query_as("SELECT status, error_code, error_message, warning_count, progress, process_terminated, attempts FROM restores WHERE id = $1")
            .bind(id.0)
            .fetch_one(&self.world.owner)
            .await
            .unwrap()
    }

    /// One attempt.
    pub async fn restore(&self, stored: &Stored, spec: Value) -> Row {
        let id = self.queue(stored, spec, None).await;
        execute_restore(Arc::clone(&self.world.context), id).await;
        self.row(id).await
    }

    /// As [`Target::restore`], expected to end with that error and to leave the target's folder empty.
    pub async fn refused(&self, stored: &Stored, spec: Value, code: &str) -> Row {
        let row = self.restore(stored, spec).await;
        assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some(code)), "{row:?}");
        assert!(self.is_empty(), "something was left at the target");
        row
    }

    pub async fn through(&self, plan: LinkPlan) -> FaultProxy {
        let at: SocketAddr = ([127, 0, 0, 1], self.sshd.port()).into();
        let proxy = FaultProxy::start(at, plan).await.unwrap();
        sqlx::query("UPDATE remote_servers SET port = $2 WHERE id = $1")
            .bind(self.server_id)
            .bind(i32::from(proxy.port()))
            .execute(&self.world.owner)
            .await
            .unwrap();
        proxy
    }
}

/// A tar of `path` as a run reads it.
pub fn tar_tree(path: &Path) -> Vec<u8> {
    let out = Command::new("tar")
        .args(["--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"])
        .args([
            "--numeric-owner",
            "--sort=name",
            "--xattrs",
            "--acls",
            "--one-file-system",
            "-C",
            "/",
            "-c",
            "-f",
            "-",
            "--",
        ])
        .arg(path.strip_prefix("/").unwrap())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

pub fn noise(size: usize) -> Vec<u8> {
    (0..size as u32 / 4 + 1)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(7).to_le_bytes())
        .take(size)
        .collect()
}

pub async fn poll<F: Future<Output = bool>>(what: &str, mut until: impl FnMut() -> F) {
    for _ in 0..600 {
        if until().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}
