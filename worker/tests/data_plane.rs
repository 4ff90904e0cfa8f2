//! The data plane against a real database and a real disk, as the api reaches it: over HTTP, with a ticket.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod world;

use holdfast_domain::ids::{BackupDestinationId, BackupId, NotificationStreamId, RemoteServerId};
use holdfast_domain::source::EncryptionMode;
use holdfast_domain::ticket::{DATA_PLANE_PATH, DownloadForm, SHA256_HEADER, TICKET_HEADER, TicketAction};
use holdfast_vault::ticket::TicketSecret;
use holdfast_vault::{SealContext, SealedColumn, Sealer};
use holdfast_worker::data_plane;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::{World, digest, flip, overwrite, tar_of};

struct Plane {
    world: World,
    url: String,
    client: reqwest::Client,
    soft: CancellationToken,
    serving: JoinHandle<()>,
}

impl Plane {
    async fn new() -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{DATA_PLANE_PATH}", listener.local_addr().unwrap());
        let soft = CancellationToken::new();
        let serving = tokio::spawn(data_plane::serve(
            Arc::clone(&world.context),
            listener,
            soft.clone(),
            CancellationToken::new(),
        ));
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { world, url, client, soft, serving }
    }

    async fn ticket(&self, action: &TicketAction, lives_secs: f64) -> String {
        let secret = TicketSecret::generate(&mut rand::rng());
        let tx = self.world.context.store.for_team(&self.world.access()).await.unwrap();
        tx.tickets().issue(&secret.hash(), action, lives_secs).await.unwrap();
        tx.commit().await.unwrap();
        secret.expose().to_owned()
    }

    async fn request(&self, action: &TicketAction) -> RequestBuilder {
        self.client.post(&self.url).header(TICKET_HEADER, self.ticket(action, 60.0).await)
    }

    async fn act(&self, action: TicketAction) -> Response {
        self.request(&action).await.send().await.unwrap()
    }
}

fn stored(id: BackupId) -> TicketAction {
    TicketAction::Download { id, stream: None, form: DownloadForm::Stored }
}

async fn code(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let problem: Value = response.json().await.unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

fn sample() -> Vec<u8> {
    let noise: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    tar_of(&[("srv/a.txt", b"alpha"), ("srv/deep/b.bin", &noise), ("srv/deep/c", b"")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_once_in_its_time_and_nothing_opens_without_one() {
    let plane = Plane::new().await;
    let action = stored(BackupId(404));
    let ticket = plane.ticket(&action, 60.0).await;
    let with = |ticket: &str| plane.client.post(&plane.url).header(TICKET_HEADER, ticket).send();
    assert_eq!(with(&ticket).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(code(with(&ticket).await.unwrap()).await, (StatusCode::UNAUTHORIZED, "ticket_invalid".into()));
    let late = plane.ticket(&action, 0.0).await;
    assert_eq!(with(&late).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(with("hft_nonsense").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(plane.client.post(&plane.url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_with_one_ticket_are_one() {
    let plane = Plane::new().await;
    let ticket = plane.ticket(&stored(BackupId(404)), 60.0).await;
    let all = (0..20).map(|_| plane.client.post(&plane.url).header(TICKET_HEADER, &ticket).send());
    let answers = futures_util::future::join_all(all).await;
    let opened = answers.iter().filter(|a| a.as_ref().unwrap().status() == StatusCode::NOT_FOUND).count();
    assert_eq!(opened, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_teams_backup_is_not_there() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    let other: i64 =
        sqlx::query_scalar("SELECT team_id FROM create_account('b@example.org', 'B', 'x', 'UTC', $1, false)")
            .bind(uuid::Uuid::new_v4())
            .fetch_one(&plane.world.owner)
            .await
            .unwrap();
    let secret = TicketSecret::generate(&mut rand::rng());
    let access = holdfast_store::Access::system(holdfast_domain::ids::TeamId(other), "a test");
    let tx = plane.world.context.store.for_team(&access).await.unwrap();
    tx.tickets().issue(&secret.hash(), &stored(backup.id), 60.0).await.unwrap();
    tx.commit().await.unwrap();
    let answer = plane.client.post(&plane.url).header(TICKET_HEADER, secret.expose()).send().await.unwrap();
    assert_eq!(code(answer).await, (StatusCode::NOT_FOUND, "not_found".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_object_comes_exactly_and_in_ranges() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    let whole = plane.act(stored(backup.id)).await;
    assert_eq!(whole.status(), StatusCode::OK);
    let etag = whole.headers()[ETAG].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", digest(&backup.bytes).sha256));
    assert_eq!(whole.headers()["content-disposition"].to_str().unwrap().split(';').next(), Some("attachment"));
    assert_eq!(whole.headers()[SHA256_HEADER], digest(&backup.bytes).sha256);
    assert!(whole.headers().contains_key("repr-digest"));
    assert_eq!(whole.bytes().await.unwrap(), backup.bytes);

    let size = backup.bytes.len();
    let mut joined = Vec::new();
    for (first, last) in [(0, 9), (10, size / 2), (size / 2 + 1, size - 1)] {
        let request = plane.request(&stored(backup.id)).await;
        let part = request.header(RANGE, format!("bytes={first}-{last}")).header(IF_RANGE, &etag).send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes {first}-{last}/{size}"));
        joined.extend_from_slice(&part.bytes().await.unwrap());
    }
    assert_eq!(joined, backup.bytes);
    let beyond = plane.request(&stored(backup.id)).await.header(RANGE, format!("bytes={size}-")).send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_is_decrypted_and_still_compressed_in_every_mode_that_we_can_read() {
    let plane = Plane::new().await;
    let tar = sample();
    for mode in [EncryptionMode::Managed, EncryptionMode::Password, EncryptionMode::None] {
        let backup = plane.world.store(&tar, mode, "/srv").await;
        let action = TicketAction::Download { id: backup.id, stream: Some("tree".into()), form: DownloadForm::Archive };
        let answer = plane.act(action).await;
        assert_eq!(answer.status(), StatusCode::OK, "{mode:?}");
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), tar, "{mode:?}");
    }
    let sealed = plane.world.store(&tar, EncryptionMode::Recipients, "/srv").await;
    let action = TicketAction::Download { id: sealed.id, stream: None, form: DownloadForm::Archive };
    assert_eq!(code(plane.act(action).await).await, (StatusCode::CONFLICT, "recipients_only".into()));
    assert_eq!(plane.act(stored(sealed.id)).await.bytes().await.unwrap(), sealed.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_never_ends_as_a_complete_download() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    flip(&backup.streams[0]);
    let broken = plane.act(stored(backup.id)).await;
    assert!(broken.bytes().await.is_err(), "a flipped bit ended as a complete transfer");
    let archive = TicketAction::Download { id: backup.id, stream: None, form: DownloadForm::Archive };
    let complete = match plane.act(archive).await {
        answer if answer.status() == StatusCode::OK => answer.bytes().await.is_ok(),
        _ => false,
    };
    assert!(!complete, "a flipped bit ended as a complete archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_copy_is_passed_over_for_a_whole_one() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    let cut = &backup.bytes[..backup.bytes.len() - 100];
    overwrite(&backup.streams[0], cut);
    assert_eq!(plane.act(stored(backup.id)).await.bytes().await.unwrap(), backup.bytes);
    overwrite(&backup.streams[1], cut);
    assert_eq!(code(plane.act(stored(backup.id)).await).await, (StatusCode::BAD_GATEWAY, "copy_damaged".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_backups_own_manifest_is_believed() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    let other = plane.world.store(&tar_of(&[("srv/x", b"x")]), EncryptionMode::Managed, "/srv").await;
    let invalid = (StatusCode::BAD_GATEWAY, "manifest_invalid".to_owned());
    let whole = std::fs::read(&backup.manifests[0]).unwrap();
    let with_both = |bytes: Vec<u8>| {
        for path in &backup.manifests {
            overwrite(path, &bytes);
        }
    };

    with_both(String::from_utf8(whole.clone()).unwrap().replace("tree", "free").into_bytes());
    assert_eq!(code(plane.act(stored(backup.id)).await).await, invalid);
    // A true manifest of the same team, in the wrong place, with the database made to expect exactly its bytes.
    let foreign = std::fs::read(&other.manifests[0]).unwrap();
    with_both(foreign.clone());
    let expected = digest(&foreign);
    sqlx::query(
        "UPDATE backup_copy_objects SET size_bytes = $2, sha256 = $3
         WHERE kind = 'manifest' AND backup_copy_id IN (SELECT id FROM backup_copies WHERE backup_id = $1)",
    )
    .bind(backup.id.0)
    .bind(i64::try_from(expected.size_bytes).unwrap())
    .bind(&expected.sha256)
    .execute(&plane.world.owner)
    .await
    .unwrap();
    assert_eq!(code(plane.act(stored(backup.id)).await).await, invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_changed_together_with_the_database_fails_its_authentication() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    let text = std::fs::read_to_string(&backup.manifests[0]).unwrap();
    let changed = text.replace("user@host:22", "root@host:22");
    assert_ne!(text, changed);
    for path in &backup.manifests {
        overwrite(path, changed.as_bytes());
    }
    let expected = digest(changed.as_bytes());
    let mut row = backup.manifest.clone();
    row.origin = "root@host:22".into();
    sqlx::query("UPDATE backups SET manifest = $2 WHERE id = $1")
        .bind(backup.id.0)
        .bind(serde_json::to_value(&row).unwrap())
        .execute(&plane.world.owner)
        .await
        .unwrap();
    sqlx::query(
        "UPDATE backup_copy_objects SET size_bytes = $2, sha256 = $3
         WHERE kind = 'manifest' AND backup_copy_id IN (SELECT id FROM backup_copies WHERE backup_id = $1)",
    )
    .bind(backup.id.0)
    .bind(i64::try_from(expected.size_bytes).unwrap())
    .bind(&expected.sha256)
    .execute(&plane.world.owner)
    .await
    .unwrap();
    let refused = code(plane.act(stored(backup.id)).await).await;
    assert_eq!(refused, (StatusCode::BAD_GATEWAY, "manifest_invalid".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_says_something_else_than_the_manifest_is_not_believed_either() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    sqlx::query("UPDATE backups SET manifest = jsonb_set(manifest, '{origin}', '\"root@elsewhere:22\"') WHERE id = $1")
        .bind(backup.id.0)
        .execute(&plane.world.owner)
        .await
        .unwrap();
    let refused = code(plane.act(stored(backup.id)).await).await;
    assert_eq!(refused, (StatusCode::BAD_GATEWAY, "manifest_invalid".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_listed_folder_by_folder() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Password, "/srv").await;
    let list = |path: Option<&str>, offset, limit| {
        plane.act(TicketAction::ListFiles { id: backup.id, stream: None, path: path.map(Into::into), offset, limit })
    };
    let names = |listing: &Value| -> Vec<String> {
        listing["entries"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
    };
    let top: Value = list(None, 0, 100).await.json().await.unwrap();
    assert_eq!(names(&top), ["srv"]);
    let srv: Value = list(Some("/srv"), 0, 100).await.json().await.unwrap();
    assert_eq!((names(&srv), srv["total"].as_u64()), (vec!["a.txt".into(), "deep".into()], Some(2)));
    let second: Value = list(Some("/srv"), 1, 1).await.json().await.unwrap();
    assert_eq!((names(&second), second["total"].as_u64()), (vec!["deep".into()], Some(2)));
    let deep: Value = list(Some("/srv/deep"), 0, 100).await.json().await.unwrap();
    assert_eq!(deep["entries"][0]["size"], 12_000_000);
    assert!(deep["entries"][0].get("offset").is_none());
    let sealed = plane.world.store(&sample(), EncryptionMode::Recipients, "/srv").await;
    let action = TicketAction::ListFiles { id: sealed.id, stream: None, path: None, offset: 0, limit: 10 };
    assert_eq!(code(plane.act(action).await).await, (StatusCode::CONFLICT, "recipients_only".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_checked_by_writing_reading_and_deleting() {
    let plane = Plane::new().await;
    let id = BackupDestinationId(plane.world.team.destinations()[0]);
    let report: Value = plane.act(TicketAction::CheckBackupDestination { id }).await.json().await.unwrap();
    assert_eq!(report["ok"], true, "{report}");
    assert!(report["steps"].as_array().unwrap().len() >= 3, "{report}");
    sqlx::query("UPDATE backup_destinations SET store_id = $2 WHERE id = $1")
        .bind(id.0)
        .bind(uuid::Uuid::new_v4().to_string())
        .execute(&plane.world.owner)
        .await
        .unwrap();
    let report: Value = plane.act(TicketAction::CheckBackupDestination { id }).await.json().await.unwrap();
    assert_eq!(report["ok"], false);
    let unreached = "SELECT count(*) FROM unreached WHERE backup_destination_id = $1 AND failures = 1";
    let counted: i64 = sqlx::query_scalar(unreached).bind(id.0).fetch_one(&plane.world.owner).await.unwrap();
    assert_eq!(counted, 1);
    let absent = plane.act(TicketAction::CheckBackupDestination { id: BackupDestinationId(999_999) }).await;
    assert_eq!(absent.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_said_to_be_offline() {
    let plane = Plane::new().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let team = &plane.world.team;
    let id = world::insert_server(&plane.world.owner, team.id, team.user_id, ("127.0.0.1", free, "x"), None).await;
    let report: Value =
        plane.act(TicketAction::CheckRemoteServer { id: RemoteServerId(id) }).await.json().await.unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["steps"].as_array().unwrap().last().unwrap()["name"], "connect", "{report}");
    let connectivity: String = sqlx::query_scalar("SELECT connectivity FROM remote_servers WHERE id = $1")
        .bind(id)
        .fetch_one(&plane.world.owner)
        .await
        .unwrap();
    assert_eq!(connectivity, "offline");
    let unreached = "SELECT count(*) FROM unreached WHERE remote_server_id = $1 AND failures = 1";
    let counted: i64 = sqlx::query_scalar(unreached).bind(id).fetch_one(&plane.world.owner).await.unwrap();
    assert_eq!(counted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_download() {
    let plane = Plane::new().await;
    let backup = plane.world.store(&sample(), EncryptionMode::Managed, "/srv").await;
    let mut answer = plane.act(stored(backup.id)).await;
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    drop(plane.client);
    plane.soft.cancel();
    tokio::time::timeout(Duration::from_secs(10), plane.serving)
        .await
        .expect("a download outlived its client")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_address_whose_owner_did_not_agree() {
    let plane = Plane::new().await;
    let place = SealContext::new(plane.world.team.id, SealedColumn::StreamValue, uuid::Uuid::new_v4());
    let sealer = Sealer::from_public_key(plane.world.context.opener.public_key()).unwrap();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO notification_streams (team_id, user_id, label, type, seal_id, sealed_value)
         VALUES ($1, $2, 'ops', 'email', $3, $4) RETURNING id",
    )
    .bind(plane.world.team.id.0)
    .bind(plane.world.team.user_id)
    .bind(place.seal_id)
    .bind(sealer.seal(&place, b"ops@example.org", &mut rand::rng()))
    .fetch_one(&plane.world.owner)
    .await
    .unwrap();
    let action = || TicketAction::TestNotificationStream { id: NotificationStreamId(id) };
    let text = plane.act(action()).await.text().await.unwrap();
    assert!(text.contains("\"ok\":false") && text.contains("has not agreed yet"), "{text}");
    let agree = "UPDATE notification_streams SET confirmed_at = now() WHERE id = $1";
    sqlx::query(agree).bind(id).execute(&plane.world.owner).await.unwrap();
    let text = plane.act(action()).await.text().await.unwrap();
    assert!(text.contains("sends no mail"), "it would be sent, were there a mail server: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streams_test_reaches_its_receiver_with_the_secrets_opened() {
    let plane = Plane::new().await;
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let receiver = axum::Router::new().fallback(async move |headers: axum::http::HeaderMap, body: String| {
        say.send((headers["x-gotify-key"].clone(), body)).unwrap();
    });
    let serving = tokio::spawn(async move { axum::serve(listener, receiver).await.unwrap() });
    let place = SealContext::new(plane.world.team.id, SealedColumn::StreamValue, uuid::Uuid::new_v4());
    let sealer = Sealer::from_public_key(plane.world.context.opener.public_key()).unwrap();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO notification_streams (team_id, user_id, label, type, config, seal_id, sealed_value)
         VALUES ($1, $2, 'phone', 'gotify', $3, $4, $5) RETURNING id",
    )
    .bind(plane.world.team.id.0)
    .bind(plane.world.team.user_id)
    .bind(serde_json::json!({ "server_url": url }))
    .bind(place.seal_id)
    .bind(sealer.seal(&place, b"CANARYtoken", &mut rand::rng()))
    .fetch_one(&plane.world.owner)
    .await
    .unwrap();
    let action = TicketAction::TestNotificationStream { id: NotificationStreamId(id) };
    let text = plane.act(action).await.text().await.unwrap();
    assert!(text.starts_with("{\"ok\":true") && !text.contains("CANARY"), "{text}");
    let (token, body) = said.recv().await.unwrap();
    assert!(token == "CANARYtoken" && body.contains("The notification stream phone works."), "{body}");
    serving.abort();
}
