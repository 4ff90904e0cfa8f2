//! The audit log: only added to, and what somebody edits past the application is found.

use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_store::{Access, Changes, Store};
use holdfast_testbed::postgres::Database;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

async fn store() -> (Database, Store) {
    let database = Database::fresh().await.expect("a database");
    let store = Store::connect(database.app_options(), 10).await.expect("a store");
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
    let AccountOutcome::Created { tx, user_id } = store.create_account(new, None).await.expect("an answer") else {
        panic!("{email} is taken")
    };
    let team = tx.team_id();
    tx.commit().await.expect("a commit");
    (team, user_id)
}

async fn act(store: &Store, team: TeamId, n: i32) {
    let access = Access::system(team, "test").seen_from(Some("192.0.2.7".parse().expect("an address")));
    let tx = store.for_team(&access).await.expect("a transaction");
    let changes = Changes::default().field("n", n - 1, n);
    tx.audit_events().record_change("thing.update", &format!("things:{n}"), changes, json!({})).await.expect("a row");
    tx.commit().await.expect("a commit");
}

async fn faults(store: &Store, team: TeamId) -> Vec<(i64, String)> {
    let tx = store.for_team(&Access::system(team, "test")).await.expect("a transaction");
    let verdict = tx.audit_events().verify().await.expect("a verdict");
    verdict.faults.into_iter().map(|fault| (fault.audit_event_id, fault.problem)).collect()
}

#[tokio::test]
async fn acts_at_once_make_one_chain_and_an_edited_row_is_named() {
    let (database, store) = store().await;
    let (ann, _) = account(&store, "ann@example.com").await;
    let (bob, _) = account(&store, "bob@example.com").await;
    let acts = (1..=20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { act(&store, if n % 2 == 0 { ann } else { bob }, n).await })
    });
    for done in acts.collect::<Vec<_>>() {
        done.await.expect("an act");
    }
    let tx = store.for_team(&Access::system(ann, "test")).await.expect("a transaction");
    let verdict = tx.audit_events().verify().await.expect("a verdict");
    assert_eq!((verdict.links, verdict.faults.len()), (10, 0), "{verdict:?}");
    assert_eq!(verdict.head.as_deref().map(str::len), Some(64));
    drop(tx);

    let owner = database.owner_pool().await.expect("the owner");
    let id = |place: i64| format!("(SELECT audit_event_id FROM audit_chain WHERE team_id = {ann} AND seq = {place})");
    let third: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT {}", id(3)))).fetch_one(&owner).await.expect("id");
    for (sql, problem) in [
        (format!("UPDATE audit_events SET subject = 'things:0' WHERE id = {third}"), "changed"),
        (format!("UPDATE audit_events SET ip_address = NULL WHERE id = {third}"), "changed"),
        (format!("UPDATE audit_events SET created_at = created_at - interval '1 s' WHERE id = {third}"), "changed"),
        (format!("DELETE FROM audit_events WHERE id = {third}"), "missing"),
        (format!("DELETE FROM audit_chain WHERE audit_event_id = {third}"), "not_in_chain"),
    ] {
        let before =
            "CREATE TABLE kept AS SELECT * FROM audit_events; CREATE TABLE kept_chain AS SELECT * FROM audit_chain";
        sqlx::raw_sql(before).execute(&owner).await.expect("kept");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&owner).await.expect("an edit");
        let found = faults(&store, ann).await;
        assert!(found.contains(&(third, problem.to_owned())), "{sql}: {found:?}");
        assert_eq!(faults(&store, bob).await, []);
        let back = "ALTER TABLE audit_events DISABLE TRIGGER USER; DELETE FROM audit_events; DELETE FROM audit_chain;
            INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT * FROM kept; INSERT INTO audit_chain SELECT * FROM kept_chain;
            ALTER TABLE audit_events ENABLE TRIGGER USER; DROP TABLE kept; DROP TABLE kept_chain";
        sqlx::raw_sql(back).execute(&owner).await.expect("as it was");
        assert_eq!(faults(&store, ann).await, []);
    }
}

#[tokio::test]
async fn the_application_can_neither_edit_nor_remove_nor_forge_a_link() {
    let (database, store) = store().await;
    let (ann, _) = account(&store, "ann@example.com").await;
    act(&store, ann, 1).await;
    let mut conn = PgConnection::connect_with(&database.app_options()).await.expect("a connection");
    conn.execute("SET ROLE holdfast_app").await.expect("the role");
    for sql in [
        "UPDATE audit_events SET action = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_chain SET hash = ''",
        "DELETE FROM audit_chain",
        "INSERT INTO audit_chain VALUES (1, 99, 99, '')",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "UPDATE teams SET suspended_at = NULL",
        "UPDATE team_limits SET limits = '{}'",
    ] {
        let error = conn.execute(sql).await.expect_err("refused").to_string();
        assert!(error.contains("permission denied") || error.contains("must be owner"), "{sql}: {error}");
    }
}
