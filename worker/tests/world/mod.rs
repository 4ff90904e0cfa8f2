//! A team with keys, a local store and a worker's context, on a real database; and backups made as a run makes them,
//! from any tar, so that a test can also store what no source would send.

#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own part of this")]

pub mod target;

use bytes::Bytes;
use holdfast_config::Config;
use holdfast_destinations::{Destination, LocalDestination, LocalRoot};
use holdfast_domain::ids::{BackupDestinationId, BackupId, TeamId};
use holdfast_domain::manifest::{Digest, MANIFEST_VERSION, Manifest, ManifestObject, ManifestStream};
use holdfast_domain::source::{EncryptionMode, FilesSpec, SourceSpec};
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_pipeline::{EncodeOptions, Encryption, StreamFormat, encode};
use holdfast_store::{Access, Store};
use holdfast_testbed::postgres::Database;
use holdfast_vault::manifest::{MacKey, sign};
use holdfast_vault::team_keys::{self, NewTeamKey, StoredTeamKey, TeamKeyPurpose};
use holdfast_vault::{Kek, Opener, SealContext, SealedColumn, Sealer};
use holdfast_worker::WorkerContext;
use holdfast_worker::context::{SystemClock, SystemRandom, WorkerParts};
use holdfast_worker::faults::FaultPoints;
use sha2::Digest as _;
use sqlx::PgPool;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc;
use uuid::Uuid;

/// The password of backups in password mode.
pub const PASSWORD: &str = "correct horse battery staple";

/// One team and one worker.
pub struct World {
    /// The same database as the owner sees it.
    pub owner: PgPool,
    /// The worker.
    pub context: Arc<WorkerContext>,
    /// The team.
    pub team: Team,
    root: TempDir,
}

/// A team's ids and keys.
pub struct Team {
    /// `teams.id`.
    pub id: TeamId,
    /// `teams.uuid`.
    pub uuid: Uuid,
    /// Its owner.
    pub user_id: i64,
    /// The line for `authorized_keys`.
    pub ssh_public: String,
    age_public: String,
    mac: MacKey,
    task_seal: Uuid,
    /// The source server of its backups.
    pub server_id: i64,
    task_id: i64,
    destination_ids: Vec<i64>,
}

/// A stored backup.
pub struct Stored {
    /// `backups.id`.
    pub id: BackupId,
    /// What is in it.
    pub manifest: Manifest,
    /// The files of each copy's stream object.
    pub streams: Vec<PathBuf>,
    /// The files of each copy's manifest.
    pub manifests: Vec<PathBuf>,
    /// The stored bytes of the stream.
    pub bytes: Vec<u8>,
}

impl World {
    /// A fresh one.
    pub async fn new() -> Self {
        let database = Database::fresh().await.unwrap();
        let owner = database.owner_pool().await.unwrap();
        let store = Store::connect(database.app_options(), 8).await.unwrap();
        let opener = Opener::from_kek(&Kek::generate(&mut rand::rng()));
        let sealer = Sealer::from_public_key(opener.public_key()).unwrap();
        let root = tempfile::tempdir().unwrap();
        let local_root = LocalRoot::open(root.path(), Uuid::new_v4()).unwrap();
        let team = Team::new(&owner, &opener, &sealer, local_root.store_id()).await;
        let env = [
            ("HOLDFAST__WORKER__LEASE_SECS", "3"),
            ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5"),
            ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0"),
        ];
        let config = Config::load(None, env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).unwrap();
        let parts = WorkerParts {
            store,
            opener,
            egress: EgressGuard::new(EgressDefault::PrivateToo, vec!["127.0.0.0/8".parse().unwrap()]),
            config,
            local_root: Some(local_root),
            name: "test-worker".to_owned(),
            data_plane_url: String::new(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            faults: FaultPoints::none(),
            own_database: None,
        };
        let context = Arc::new(WorkerContext::new(parts).unwrap());
        Self { owner, context, team, root }
    }

    /// The product acting for the team.
    pub fn access(&self) -> Access {
        Access::system(self.team.id, "a test")
    }

    /// Stores `tar` with one copy at each of the team's two destinations.
    pub async fn store(&self, tar: &[u8], mode: EncryptionMode, top: &str) -> Stored {
        let (body, index, mut stream) = self.encoded(tar, mode).await;
        let base = format!("backup_{}", Uuid::new_v4().simple());
        let (run_id, ulid) = self.run().await;
        let mut copies = Vec::new();
        for id in &self.team.destination_ids {
            let destination = self.destination(*id);
            let object = put(&destination, &format!("{base}.tar.zst"), &body).await;
            let index = put(&destination, &format!("{base}.index.zst"), &index).await;
            stream.objects = vec![object];
            stream.index = Some(index);
            copies.push((*id, destination));
        }
        let manifest = self.manifest(stream, mode, (run_id, ulid), top);
        let text = serde_json::to_vec(&sign(&self.team.mac, &manifest).unwrap()).unwrap();
        let name = format!("{base}.manifest.json");
        let id = self.backup_row(&manifest).await;
        let mut stored = Stored { id, manifest, streams: vec![], manifests: vec![], bytes: body };
        for (destination_id, destination) in copies {
            let object = put(&destination, &name, &text).await;
            self.copy_rows(&stored, destination_id, &object).await;
            let folder = self.folder(destination_id);
            stored.streams.push(folder.join(format!("{base}.tar.zst")));
            stored.manifests.push(folder.join(&name));
        }
        stored
    }

    fn folder(&self, destination_id: i64) -> PathBuf {
        self.root.path().join(self.team.uuid.to_string()).join(destination_id.to_string())
    }

    fn destination(&self, id: i64) -> LocalDestination {
        let root = self.context.local_root.clone().unwrap();
        LocalDestination::new(root, self.team.uuid, BackupDestinationId(id))
    }

    async fn encoded(&self, tar: &[u8], mode: EncryptionMode) -> (Vec<u8>, Vec<u8>, ManifestStream) {
        let encryption = match mode {
            EncryptionMode::None => Encryption::None,
            EncryptionMode::Password => Encryption::Password(PASSWORD.into()),
            // In recipients mode the key would be one that we do not have; what counts is that we do not even try.
            _ => Encryption::Recipients(vec![self.team.age_public.clone()]),
        };
        let mut encoder = encode(EncodeOptions::new(StreamFormat::Tar, encryption)).unwrap();
        let feed = async {
            for chunk in tar.chunks(256 * 1024) {
                encoder.input.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            encoder.input.finish().await.unwrap();
        };
        let ((), body, index) = tokio::join!(feed, drained(encoder.body), drained(encoder.index.unwrap()));
        let encoded = encoder.outcome.wait().await.unwrap();
        let stream = ManifestStream {
            name: "tree".into(),
            format: "tar".into(),
            exit_status: 0,
            original: encoded.original,
            stored: encoded.stored,
            nfiles: encoded.nfiles,
            objects: vec![],
            index: None,
            database: None,
        };
        (body, index, stream)
    }

    fn manifest(&self, stream: ManifestStream, mode: EncryptionMode, run: (i64, String), top: &str) -> Manifest {
        let spec = FilesSpec { paths: vec![top.to_owned()], excludes: vec![], one_file_system: true, sparse: false };
        Manifest {
            version: MANIFEST_VERSION,
            team_uuid: self.team.uuid,
            backup_task_id: self.team.task_id,
            task_label: "tree".into(),
            backup_run_id: run.0,
            run_ulid: run.1,
            epoch: 1,
            started_at: chrono::DateTime::UNIX_EPOCH,
            finished_at: chrono::DateTime::UNIX_EPOCH,
            origin: "user@host:22".into(),
            source: SourceSpec::Files(spec),
            encryption: mode,
            recipients: vec![],
            tools: Default::default(),
            streams: vec![stream],
            warnings: Default::default(),
            holdfast: "0.1.0".into(),
        }
    }

    async fn run(&self) -> (i64, String) {
        let ulid = Uuid::new_v4().simple().to_string();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, status, epoch) VALUES ($1, $2, $3, 'manual', 'succeeded', 1) RETURNING id",
        )
        .bind(self.team.id.0)
        .bind(self.team.task_id)
        .bind(&ulid)
        .fetch_one(&self.owner)
        .await
        .unwrap();
        (id, ulid)
    }

    async fn backup_row(&self, manifest: &Manifest) -> BackupId {
        let stream = &manifest.streams[0];
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO backups (team_id, backup_task_id, backup_run_id, remote_server_id, task_label, encryption_mode,
                                  has_warnings, original_size, stored_size, nfiles, manifest)
             VALUES ($1, $2, $3, $4, 'tree', $5, false, $6, $7, $8, $9) RETURNING id",
        )
        .bind(self.team.id.0)
        .bind(self.team.task_id)
        .bind(manifest.backup_run_id)
        .bind(self.team.server_id)
        .bind(manifest.encryption.as_str())
        .bind(i64::try_from(stream.original.size_bytes).unwrap())
        .bind(i64::try_from(stream.stored.size_bytes).unwrap())
        .bind(i64::try_from(stream.nfiles).unwrap())
        .bind(serde_json::to_value(manifest).unwrap())
        .fetch_one(&self.owner)
        .await
        .unwrap();
        BackupId(id)
    }

    async fn copy_rows(&self, stored: &Stored, destination_id: i64, manifest_object: &ManifestObject) {
        let copy_id: i64 = sqlx::query_scalar(
            "INSERT INTO backup_copies (team_id, backup_id, backup_destination_id, state) VALUES ($1, $2, $3, 'committed') RETURNING id",
        )
        .bind(self.team.id.0)
        .bind(stored.id.0)
        .bind(destination_id)
        .fetch_one(&self.owner)
        .await
        .unwrap();
        let stream = &stored.manifest.streams[0];
        let objects =
            [("stream", &stream.objects[0]), ("index", stream.index.as_ref().unwrap()), ("manifest", manifest_object)];
        for (kind, object) in objects {
            sqlx::query(
                "INSERT INTO backup_copy_objects (team_id, backup_copy_id, kind, name, size_bytes, sha256) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(self.team.id.0)
            .bind(copy_id)
            .bind(kind)
            .bind(&object.name)
            .bind(i64::try_from(object.digest.size_bytes).unwrap())
            .bind(&object.digest.sha256)
            .execute(&self.owner)
            .await
            .unwrap();
        }
    }
}

impl Team {
    async fn new(owner: &PgPool, opener: &Opener, sealer: &Sealer, store_id: Uuid) -> Self {
        let uuid = Uuid::new_v4();
        let email = format!("{}@example.org", uuid.simple());
        let (user_id, id): (i64, i64) =
            sqlx::query_as("SELECT user_id, team_id FROM create_account($1, 'Ada', 'x', 'UTC', $2, false)")
                .bind(email)
                .bind(uuid)
                .fetch_one(owner)
                .await
                .unwrap();
        let id = TeamId(id);
        let keys = team_keys::generate(&mut rand::rng(), sealer, id);
        for key in &keys {
            insert_key(owner, id, key).await;
        }
        let of = |purpose| keys.iter().find(|k| k.purpose == purpose).unwrap();
        let mac = of(TeamKeyPurpose::Mac);
        let mac = StoredTeamKey { team_id: id, version: mac.version, seal_id: mac.seal_id, sealed: &mac.sealed };
        let mac = mac.open_mac(opener).unwrap();
        let server_id = insert_server(owner, id, user_id, ("source.example.org", 22, "root"), None).await;
        let (task_id, task_seal) = insert_task(owner, sealer, (id, user_id, server_id)).await;
        let mut destination_ids = Vec::new();
        for label in ["one", "two"] {
            destination_ids.push(insert_destination(owner, (id, user_id), label, store_id).await);
        }
        Self {
            id,
            uuid,
            user_id,
            ssh_public: of(TeamKeyPurpose::Ssh).public.clone(),
            age_public: of(TeamKeyPurpose::Age).public.clone(),
            mac,
            task_seal,
            server_id,
            task_id,
            destination_ids,
        }
    }

    /// Its destinations.
    pub fn destinations(&self) -> &[i64] {
        &self.destination_ids
    }
}

/// Adds a server, with that pinned host key.
pub async fn insert_server(
    owner: &PgPool,
    team: TeamId,
    user_id: i64,
    (host, port, username): (&str, u16, &str),
    pinned: Option<&str>,
) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO remote_servers (team_id, user_id, label, host, port, username, seal_id, pinned_host_key) VALUES ($1, $2, 'server', $3, $4, $5, $6, $7) RETURNING id",
    )
    .bind(team.0)
    .bind(user_id)
    .bind(host)
    .bind(i32::from(port))
    .bind(username)
    .bind(Uuid::new_v4())
    .bind(pinned)
    .fetch_one(owner)
    .await
    .unwrap()
}

async fn insert_key(owner: &PgPool, team: TeamId, key: &NewTeamKey) {
    sqlx::query(
        "INSERT INTO team_keys (team_id, purpose, version, public, seal_id, sealed) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(team.0)
    .bind(key.purpose.as_str())
    .bind(key.version)
    .bind(&key.public)
    .bind(key.seal_id)
    .bind(&key.sealed)
    .execute(owner)
    .await
    .unwrap();
}

async fn insert_task(owner: &PgPool, sealer: &Sealer, (team, user_id, server_id): (TeamId, i64, i64)) -> (i64, Uuid) {
    let seal_id = Uuid::new_v4();
    let place = SealContext::new(team, SealedColumn::TaskEncryptionPassword, seal_id);
    let sealed = sealer.seal(&place, PASSWORD.as_bytes(), &mut rand::rng());
    let id = sqlx::query_scalar(
        "INSERT INTO backup_tasks (team_id, user_id, remote_server_id, label, type, source, frequency, max_backups, seal_id, sealed_encryption_password)
         VALUES ($1, $2, $3, 'tree', 'files', '{}', 'manual', 0, $4, $5) RETURNING id",
    )
    .bind(team.0)
    .bind(user_id)
    .bind(server_id)
    .bind(seal_id)
    .bind(sealed)
    .fetch_one(owner)
    .await
    .unwrap();
    (id, seal_id)
}

async fn insert_destination(owner: &PgPool, (team, user_id): (TeamId, i64), label: &str, store_id: Uuid) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO backup_destinations (team_id, user_id, label, type, seal_id, store_id) VALUES ($1, $2, $3, 'local', $4, $5) RETURNING id",
    )
    .bind(team.0)
    .bind(user_id)
    .bind(label)
    .bind(Uuid::new_v4())
    .bind(store_id.to_string())
    .fetch_one(owner)
    .await
    .unwrap()
}

async fn put(destination: &LocalDestination, name: &str, bytes: &[u8]) -> ManifestObject {
    let mut sink = destination.put(name).await.unwrap();
    for chunk in bytes.chunks(256 * 1024) {
        sink.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    sink.commit().await.unwrap()
}

async fn drained(mut channel: mpsc::Receiver<Bytes>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = channel.recv().await {
        all.extend_from_slice(&bytes);
    }
    all
}

/// Size and SHA-256.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest { size_bytes: bytes.len() as u64, sha256: hex::encode(sha2::Sha256::digest(bytes)) }
}

/// A tar of these files (name without a leading `/`, content), with its end mark.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Flips one bit in the middle of a file.
pub fn flip(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    overwrite(path, &bytes);
}

/// Replaces a file's content, whatever its mode.
pub fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}
