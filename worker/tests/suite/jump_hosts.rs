//! A server that only another server reaches.

use crate::harness::{Worker, World};
use holdfast_testbed::network::{Host, Network};
use holdfast_testbed::sshd::Sshd;
use holdfast_worker::faults::FaultPoints;
use sqlx::Row as _;
use uuid::Uuid;

/// The world's task is on a server of a network that nothing but the jump host is on.
struct Behind {
    world: World,
    jump_id: i64,
    jump_sshd: Sshd,
    sshd: Sshd,
    allowed: String,
    _machines: (Host, Host, Network, Network),
}

impl Behind {
    async fn new() -> Self {
        let world = World::new().await;
        let (near, far) = (Network::create_joined().unwrap(), Network::create().unwrap());
        let (mut jump, server) = (near.host().unwrap(), far.host().unwrap());
        far.join(&mut jump).unwrap();
        let (jump_sshd, sshd) = (Sshd::start_on(&jump, "").unwrap(), Sshd::start_on(&server, "").unwrap());
        let key = "SELECT public FROM team_keys WHERE team_id = $1 AND purpose = 'ssh'";
        let key: String = sqlx::query_scalar(key).bind(world.team_id).fetch_one(&world.pool).await.unwrap();
        jump_sshd.authorize(world.login.name(), &key).unwrap();
        sshd.authorize(world.login.name(), &key).unwrap();
        let jump_id = sqlx::query_scalar(
            "INSERT INTO remote_servers (team_id, user_id, label, host, port, username, seal_id)
             VALUES ($1, $2, 'bastion', $3, $4, $5, $6) RETURNING id",
        )
        .bind(world.team_id)
        .bind(world.user_id)
        .bind(jump.address().to_string())
        .bind(i32::from(jump_sshd.port()))
        .bind(world.login.name())
        .bind(Uuid::new_v4())
        .fetch_one(&world.pool)
        .await
        .unwrap();
        sqlx::query("UPDATE remote_servers SET host = $2, port = $3, jump_ids = ARRAY[$4::bigint] WHERE id = $1")
            .bind(world.server_id)
            .bind(server.address().to_string())
            .bind(i32::from(sshd.port()))
            .bind(jump_id)
            .execute(&world.pool)
            .await
            .unwrap();
        let allowed = format!("127.0.0.0/8,{}", near.range());
        Self { world, jump_id, jump_sshd, sshd, allowed, _machines: (jump, server, near, far) }
    }

    async fn worker(&self, first_contact: &str) -> Worker {
        let settings =
            [("HOLDFAST__EGRESS__ALLOW", self.allowed.as_str()), ("HOLDFAST__SSH__FIRST_CONTACT", first_contact)];
        Worker::start(self.world.context_with(FaultPoints::none(), &settings)).await
    }

    async fn code_of_a_run(&self) -> Option<String> {
        self.world.until_over(self.world.queue_run().await).await.error_code
    }

    /// Pinned and pending key, and connectivity.
    async fn keys(&self, id: i64) -> (Option<String>, Option<String>, String) {
        let sql = "SELECT pinned_host_key, pending_host_key, connectivity FROM remote_servers WHERE id = $1";
        let row = sqlx::query(sql).bind(id).fetch_one(&self.world.pool).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    }

    async fn accept(&self, id: i64) {
        let sql = "UPDATE remote_servers SET pinned_host_key = pending_host_key, pending_host_key = NULL WHERE id = $1";
        sqlx::query(sql).bind(id).execute(&self.world.pool).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_a_jump_host_reaches_is_backed_up() {
    backed_up_over("russh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_a_jump_host_reaches_is_backed_up_with_the_systems_ssh() {
    backed_up_over("openssh").await;
}

async fn backed_up_over(transport: &str) {
    let behind = Behind::new().await;
    sqlx::query("UPDATE remote_servers SET transport = $2 WHERE team_id = $1")
        .bind(behind.world.team_id)
        .bind(transport)
        .execute(&behind.world.pool)
        .await
        .unwrap();
    let worker = behind.worker("trust").await;
    let run = behind.world.queue_run().await;
    let row = behind.world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", behind.world.log(run).await);
    assert_eq!(behind.world.backups().await, 1);
    for (id, sshd) in [(behind.jump_id, &behind.jump_sshd), (behind.world.server_id, &behind.sshd)] {
        assert_eq!(behind.keys(id).await, (Some(sshd.host_key().unwrap()), None, "online".to_owned()));
    }
    assert!(behind.jump_sshd.log().contains("direct-tcpip"), "{}", behind.jump_sshd.log());
    worker.stop().await;
    behind.world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_servers_key_is_confirmed_by_itself_and_nothing_is_offered_before() {
    let mut behind = Behind::new().await;
    let worker = behind.worker("confirm").await;
    let (jump, server) = (behind.jump_id, behind.world.server_id);
    assert_eq!(behind.code_of_a_run().await.as_deref(), Some("host_key_unconfirmed"));
    let key = Some(behind.jump_sshd.host_key().unwrap());
    assert_eq!(behind.keys(jump).await, (None, key, "unknown".to_owned()));
    assert_eq!(behind.keys(server).await, (None, None, "offline".to_owned()));
    assert_eq!(behind.jump_sshd.auth_attempts(), 0);

    behind.accept(jump).await;
    let run = behind.world.queue_run().await;
    let row = behind.world.until_over(run).await;
    assert_eq!(row.error_code.as_deref(), Some("host_key_unconfirmed"), "{row:#?}");
    assert_eq!(behind.keys(jump).await.2, "online");
    assert_eq!(behind.keys(server).await, (None, Some(behind.sshd.host_key().unwrap()), "unknown".to_owned()));
    assert_eq!(behind.sshd.auth_attempts(), 0);

    behind.accept(server).await;
    assert_eq!(behind.code_of_a_run().await, None);

    behind.jump_sshd.swap_host_key().unwrap();
    let before = (behind.jump_sshd.auth_attempts(), behind.sshd.log().matches("Connection from").count());
    let run = behind.world.queue_run().await;
    let row = behind.world.until_over(run).await;
    assert_eq!(row.error_code.as_deref(), Some("host_key_changed"), "{row:#?}");
    assert!(row.error_message.as_ref().unwrap().contains("at the jump host"), "{row:#?}");
    let after = (behind.jump_sshd.auth_attempts(), behind.sshd.log().matches("Connection from").count());
    assert_eq!(after, before);
    worker.stop().await;
    behind.world.assert_no_residue().await;
}
