//! Row-level security is the second wall: what it does when the first one is missing. Every query here is written
//! without naming a team, as a forgotten filter would be.

use holdfast_domain::Abilities;
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::repositories::remote_servers::NewRemoteServer;
use holdfast_store::repositories::tokens::NewToken;
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_store::{Access, Store, StoreError};
use holdfast_testbed::postgres::Database;
use sqlx::{Connection, Executor, PgConnection, Row};

async fn store() -> (Database, Store) {
    let database = Database::fresh().await.expect("a database");
    let store = Store::connect(database.app_options(), 4).await.expect("a store");
    (database, store)
}

async fn account(store: &Store, email: &str) -> (TeamId, UserId) {
    let new = NewAccount {
        email: email.to_owned(),
        name: "A".to_owned(),
        password_hash: "x".to_owned(),
        timezone: "UTC".to_owned(),
        team_uuid: uuid::Uuid::now_v7(),
        is_operator: false,
    };
    match store.create_account(new, None).await.expect("the database answers") {
        AccountOutcome::Created { tx, user_id } => {
            let team = tx.team_id();
            tx.commit().await.expect("a commit");
            (team, user_id)
        }
        _ => panic!("{email} is taken"),
    }
}

fn server(user_id: UserId) -> NewRemoteServer {
    NewRemoteServer {
        user_id,
        label: "s".to_owned(),
        host: "10.0.0.1".to_owned(),
        port: 22,
        username: "root".to_owned(),
        auth_method: "team_key".to_owned(),
        transport: "russh".to_owned(),
        jump_ids: Vec::new(),
        seal_id: uuid::Uuid::now_v7(),
        sealed_password: None,
        sealed_private_key: None,
        sealed_database_password: None,
        pinned_host_key: None,
        runs_at_once: 1,
    }
}

async fn add_server(store: &Store, who: (TeamId, UserId)) -> Result<i64, StoreError> {
    let tx = store.for_team(&Access::system(who.0, "test")).await?;
    let row = tx.remote_servers().create(server(who.1), chrono::DateTime::UNIX_EPOCH).await?;
    tx.commit().await?;
    Ok(row.id)
}

#[tokio::test]
async fn the_role_of_the_application_has_no_way_around() {
    let (database, _) = store().await;
    let mut conn = PgConnection::connect_with(&database.app_options()).await.expect("a connection");
    conn.execute("SET ROLE holdfast_app").await.expect("the role");
    let sql = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
    let is_mighty: bool = sqlx::query_scalar(sql).fetch_one(&mut conn).await.expect("the role's row");
    assert!(!is_mighty);
    // Every table with a team, and those that are one.
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
           AND (c.relname IN ('teams', 'users')
                OR EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'team_id'))",
    )
    .fetch_all(&mut conn)
    .await
    .expect("the catalogue");
    assert_eq!(open, Vec::<String>::new(), "tables of tenants without forced row-level security");
}

#[tokio::test]
async fn without_a_team_there_is_nothing_to_see_before_and_after_a_teams_transaction() {
    let (database, store) = store().await;
    let ann = account(&store, "ann@example.com").await;
    add_server(&store, ann).await.expect("a server");
    let mut conn = PgConnection::connect_with(&database.app_options()).await.expect("a connection");
    conn.execute("SET ROLE holdfast_app").await.expect("the role");
    let counts =
        "SELECT (SELECT count(*) FROM remote_servers) + (SELECT count(*) FROM users) + (SELECT count(*) FROM teams)
                       + (SELECT count(*) FROM backup_runs) + (SELECT count(*) FROM team_keys) AS n";
    let n: i64 = conn.fetch_one(counts).await.expect("no error, just nothing").get("n");
    assert_eq!(n, 0);
    let mut tx = conn.begin().await.expect("a transaction");
    sqlx::query("SELECT set_config('app.team_id', $1, true)")
        .bind(ann.0.to_string())
        .execute(&mut *tx)
        .await
        .expect("the setting");
    let n: i64 = tx.fetch_one(counts).await.expect("rows").get("n");
    assert_eq!(n, 3);
    tx.commit().await.expect("a commit");
    let n: i64 = conn.fetch_one(counts).await.expect("no error, just nothing").get("n");
    assert_eq!(n, 0, "the setting outlived its transaction");
}

#[tokio::test]
async fn a_row_of_another_team_can_be_neither_read_nor_written() {
    let (database, store) = store().await;
    let ann = account(&store, "ann@example.com").await;
    let bob = account(&store, "bob@example.com").await;
    let anns = add_server(&store, ann).await.expect("a server");
    add_server(&store, bob).await.expect("the same address in another team");
    let mut conn = PgConnection::connect_with(&database.app_options()).await.expect("a connection");
    conn.execute("SET ROLE holdfast_app").await.expect("the role");
    let mut tx = conn.begin().await.expect("a transaction");
    sqlx::query("SELECT set_config('app.team_id', $1, true)")
        .bind(bob.0.to_string())
        .execute(&mut *tx)
        .await
        .expect("set");
    let changed = sqlx::query("UPDATE remote_servers SET label = 'x' WHERE id = $1").bind(anns).execute(&mut *tx).await;
    assert_eq!(changed.expect("no error").rows_affected(), 0);
    let stolen = sqlx::query("UPDATE remote_servers SET team_id = $1").bind(ann.0.0).execute(&mut *tx).await;
    assert!(stolen.is_err(), "a row was given to another team");
    drop(tx);
    let tx = store.for_team(&Access::system(bob.0, "test")).await.expect("a transaction");
    let id = holdfast_domain::ids::RemoteServerId(anns);
    assert!(tx.remote_servers().find(id).await.expect("no error").is_none());
    assert!(tx.remote_servers().find_any(id).await.expect("no error").is_none());
}

#[tokio::test]
async fn the_audit_log_can_be_added_to_and_nothing_else() {
    let (database, store) = store().await;
    let ann = account(&store, "ann@example.com").await;
    let tx = store.for_team(&Access::system(ann.0, "test")).await.expect("a transaction");
    tx.audit_events().record("a.b", "a:1", serde_json::json!({})).await.expect("a row");
    tx.commit().await.expect("a commit");
    let mut conn = PgConnection::connect_with(&database.app_options()).await.expect("a connection");
    conn.execute("SET ROLE holdfast_app").await.expect("the role");
    for sql in ["UPDATE audit_events SET action = 'x'", "DELETE FROM audit_events"] {
        let error = conn.execute(sql).await.expect_err("refused");
        assert!(error.to_string().contains("permission denied"), "{error}");
    }
}

#[tokio::test]
async fn a_token_leads_to_its_team_until_it_is_revoked() {
    let (_database, store) = store().await;
    let (team, user_id) = account(&store, "ann@example.com").await;
    let hash = vec![7; 32];
    let tx = store.for_team(&Access::system(team, "test")).await.expect("a transaction");
    let new = NewToken {
        user_id,
        name: "t".to_owned(),
        secret_hash: hash.clone(),
        abilities: Abilities::All,
        expires_at: None,
    };
    let id = tx.tokens().insert(new).await.expect("a token");
    tx.commit().await.expect("a commit");
    let access = store.find_token(&hash).await.expect("no error").expect("the token");
    assert_eq!((access.team_id(), access.actor().user_id()), (team, Some(user_id)));
    assert!(store.find_token(&[8; 32]).await.expect("no error").is_none());
    let tx = store.for_team(&access).await.expect("a transaction");
    assert!(tx.tokens().revoke(id, chrono::DateTime::UNIX_EPOCH).await.expect("no error"));
    tx.commit().await.expect("a commit");
    assert!(store.find_token(&hash).await.expect("no error").is_none());
}

#[tokio::test]
async fn an_account_without_a_commit_never_was_and_its_link_still_works() {
    let (_database, store) = store().await;
    let secret = [9; 32];
    assert!(store.issue_setup_link(&secret).await.expect("no error"));
    let new = || NewAccount {
        email: "ann@example.com".to_owned(),
        name: "A".to_owned(),
        password_hash: "x".to_owned(),
        timezone: "UTC".to_owned(),
        team_uuid: uuid::Uuid::now_v7(),
        is_operator: true,
    };
    let wrong = store.create_account(new(), Some(&[1; 32])).await.expect("no error");
    assert!(matches!(wrong, AccountOutcome::LinkClosed));
    let AccountOutcome::Created { tx, .. } = store.create_account(new(), Some(&secret)).await.expect("no error") else {
        panic!("the link is open")
    };
    drop(tx);
    let AccountOutcome::Created { tx, .. } = store.create_account(new(), Some(&secret)).await.expect("no error") else {
        panic!("a rolled-back account used the link up")
    };
    tx.commit().await.expect("a commit");
    let again = store.create_account(new(), Some(&secret)).await.expect("no error");
    assert!(matches!(again, AccountOutcome::LinkClosed));
    assert!(!store.issue_setup_link(&secret).await.expect("no error"), "somebody exists");
}
