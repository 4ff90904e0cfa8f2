//! The sample databases are what the demo compares: equal when copied, different when one row differs.

use holdfast_testbed::customer_postgres::CustomerPostgres;
use holdfast_testbed::mariadb::MariaDb;
use holdfast_testbed::sample;

const ROWS: u32 = 500;

#[tokio::test]
async fn a_changed_row_changes_the_sums_of_mariadb() {
    let server = MariaDb::start().await.unwrap();
    for name in ["one", "two"] {
        sample::fill_mariadb(&server, name, ROWS).await.unwrap();
    }
    let (one, two) = (
        sample::sums_of_mariadb(&server, "one").await.unwrap(),
        sample::sums_of_mariadb(&server, "two").await.unwrap(),
    );
    assert_eq!((one.tables(), one.difference(&two)), (4, None), "{one}");
    server.query("two", "UPDATE event SET message = CONCAT(message, ' ') WHERE id = 7").await.unwrap();
    let changed = sample::sums_of_mariadb(&server, "two").await.unwrap();
    assert!(one.difference(&changed).unwrap().starts_with("event: 500 rows"), "{changed}");
}

#[tokio::test]
async fn a_changed_row_changes_the_sums_of_postgresql() {
    let server = CustomerPostgres::start().await.unwrap();
    for name in ["one", "two"] {
        sample::fill_postgresql(&server, name, ROWS).await.unwrap();
    }
    let (one, two) = (
        sample::sums_of_postgresql(&server, "one").await.unwrap(),
        sample::sums_of_postgresql(&server, "two").await.unwrap(),
    );
    assert_eq!((one.tables(), one.difference(&two)), (7, None), "{one}");
    server.query("two", "UPDATE event SET message = message || ' ' WHERE id = 7").await.unwrap();
    let changed = sample::sums_of_postgresql(&server, "two").await.unwrap();
    assert!(one.difference(&changed).unwrap().starts_with("event: 500 rows"), "{changed}");
}
