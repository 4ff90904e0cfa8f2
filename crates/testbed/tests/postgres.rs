//! The harness's own promises: databases that are fresh, rights that are the product's, nothing left behind.

use holdfast_testbed::postgres::{Cluster, Database};

#[tokio::test]
async fn a_fresh_database_has_the_schema_and_no_rows() {
    let (one, two) = (Database::fresh().await.expect("one"), Database::fresh().await.expect("two"));
    let pool = one.owner_pool().await.expect("connect");
    sqlx::query("INSERT INTO teams (uuid, name) VALUES (gen_random_uuid(), 'a')").execute(&pool).await.expect("insert");
    let pool = two.owner_pool().await.expect("connect");
    let teams: i64 = sqlx::query_scalar("SELECT count(*) FROM teams").fetch_one(&pool).await.expect("count");
    assert_eq!(teams, 0);
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM apalis.jobs").fetch_one(&pool).await.expect("count");
    assert_eq!(jobs, 0);
}

#[tokio::test]
async fn neither_login_passes_row_level_security_by() {
    let database = Database::fresh().await.expect("database");
    for options in [database.owner_options(), database.app_options()] {
        let pool = sqlx::PgPool::connect_with(options).await.expect("connect");
        let (superuser, bypass): (bool, bool) =
            sqlx::query_as("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
                .fetch_one(&pool)
                .await
                .expect("role");
        assert!(!superuser && !bypass);
    }
}

#[tokio::test]
async fn an_own_cluster_survives_a_crash_and_leaves_nothing() {
    let cluster = Cluster::start().await.expect("start");
    let database = cluster.database().await.expect("database");
    let pool = database.owner_pool().await.expect("connect");
    cluster.crash_and_restart().await.expect("restart");
    pool.close().await;
    let pool = database.owner_pool().await.expect("connect again");
    sqlx::query("SELECT 1 FROM teams").execute(&pool).await.expect("schema is there");
    let dir = cluster.socket_dir().to_owned();
    drop(cluster);
    assert!(!dir.exists());
}
