//! The end of an account: what lies at its destinations goes first, by record, then its rows. And a suspension's end.

use crate::harness::World;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::reconcile::closings;

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_goes_once_nothing_of_it_lies_anywhere() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    assert!(!world.stored_files().is_empty());
    let close = "SELECT close_account(NULL, $1)";
    let said: String = sqlx::query_scalar(close).bind(world.user_id).fetch_one(&world.pool).await.unwrap();
    assert_eq!(said, "done");
    let people = "SELECT count(*) FROM users WHERE id = $1";
    world.eventually("the account is gone", async || world.count(people, world.user_id).await == 0).await;
    assert_eq!(world.count("SELECT count(*) FROM teams WHERE id = $1", world.team_id).await, 0);
    assert_eq!(world.stored_files(), Vec::<std::path::PathBuf>::new(), "no object outlives its row");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspension_stops_a_run_under_way_and_its_end_lets_the_team_go_on() {
    let world = World::new().await;
    let endless = std::fs::File::create(world.tree.join("endless")).unwrap();
    endless.set_len(1 << 42).unwrap();
    world.login.give(&world.tree).unwrap();
    let operator = "SELECT user_id FROM create_account('op@example.org', 'O', 'x', 'UTC', gen_random_uuid(), true)";
    let operator: i64 = sqlx::query_scalar(operator).fetch_one(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    world.until(run, |row| row.status == "running").await;
    let suspend = "SELECT suspend_user($1, $2, 'abuse', NULL, now() + interval '1 hour')";
    let said: String =
        sqlx::query_scalar(suspend).bind(operator).bind(world.user_id).fetch_one(&world.pool).await.unwrap();
    assert_eq!(said, "done");
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.process_terminated), ("cancelled", Some(true)), "{row:#?}");
    worker.stop().await;
    world.assert_no_residue().await;

    std::fs::remove_file(world.tree.join("endless")).unwrap();
    let over = "UPDATE suspensions SET until = now() - interval '1 second'";
    sqlx::query(over).execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    closings::reconcile(&world.context(FaultPoints::none())).await.unwrap();
    let lifted = "SELECT count(*) FROM teams WHERE suspended_at IS NULL AND id = $1";
    world.eventually("the suspension is lifted", async || world.count(lifted, world.team_id).await == 1).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    worker.stop().await;
}
