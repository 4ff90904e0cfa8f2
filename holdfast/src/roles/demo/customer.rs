//! The demo's customer: an SSH server, a MariaDB and a PostgreSQL server with a shop in each, and the S3 server that it
//! rents. All on loopback, all gone when this is dropped.

use super::screen::Screen;
use anyhow::Result;
use holdfast_testbed::customer_postgres::{self, CustomerPostgres};
use holdfast_testbed::garage::Garage;
use holdfast_testbed::mariadb::{self, MariaDb};
use holdfast_testbed::sample::{self, TableSums};
use holdfast_testbed::sshd::{Login, Sshd};
use serde_json::{Value, json};

/// The database of both engines.
pub(super) const SHOP: &str = "shop";
/// Rows of its largest table: some 50 MiB.
const ROWS: u32 = 100_000;

/// What is running.
pub(super) struct Customer {
    pub(super) sshd: Sshd,
    pub(super) mariadb: MariaDb,
    pub(super) postgresql: CustomerPostgres,
    pub(super) garage: Garage,
    /// Whom the product logs in as.
    pub(super) user: String,
}

/// One of the customer's database servers.
#[derive(Clone, Copy)]
pub(super) enum Engine {
    Mariadb,
    Postgresql,
}

impl Customer {
    /// Starts everything and fills the databases.
    pub(super) async fn start(screen: &Screen, is_root: bool) -> Result<Self> {
        screen.step("Starting the customer: an SSH server, MariaDB, PostgreSQL, and an S3 server (Garage)");
        let sshd = Sshd::start()?;
        // Only root may read every file and set owners.
        let user = if is_root { "root".to_owned() } else { Login::create()?.name().to_owned() };
        let (mariadb, postgresql, garage) =
            tokio::try_join!(MariaDb::start(), CustomerPostgres::start(), Garage::start())?;
        let customer = Self { sshd, mariadb, postgresql, garage, user };
        screen.done(&format!(
            "ports: SSH {}, MariaDB {}, PostgreSQL {}, S3 {}",
            customer.sshd.port(),
            customer.mariadb.port(),
            customer.postgresql.port(),
            customer.garage.port()
        ));
        screen.step("Filling a shop's database in both: foreign keys, views, triggers, partitions, binary, odd names");
        tokio::try_join!(
            sample::fill_mariadb(&customer.mariadb, SHOP, ROWS),
            sample::fill_postgresql(&customer.postgresql, SHOP, ROWS)
        )?;
        Ok(customer)
    }

    /// How a task reads the shop of `engine`: over TCP, with the password that is bound to it.
    pub(super) fn source(&self, engine: Engine) -> Value {
        let (name, port, user, password) = match engine {
            Engine::Mariadb => ("mariadb", self.mariadb.port(), mariadb::ADMIN, mariadb::PASSWORD),
            Engine::Postgresql => {
                ("postgresql", self.postgresql.port(), customer_postgres::SUPERUSER, customer_postgres::PASSWORD)
            }
        };
        json!({
            "engine": name, "host": "127.0.0.1", "port": port, "username": user, "password": password,
            "databases": [SHOP],
        })
    }

    /// The shop goes on: what a later backup must hold.
    pub(super) async fn sell(&self, engine: Engine) -> Result<()> {
        match engine {
            Engine::Mariadb => {
                let sql = "INSERT INTO `order \"line\" — é` (customer_id, amount) SELECT id, 1.5 FROM customer WHERE id < 500;
                           UPDATE customer SET name = CONCAT(name, '!') WHERE id % 7 = 0;";
                self.mariadb.query(SHOP, sql).await.map(drop)
            }
            Engine::Postgresql => {
                let sql = r#"INSERT INTO "second schema"."order ""line"" — 𝄞" (customer_id, amount) SELECT id, 1.5 FROM customer WHERE id < 500;
                             UPDATE customer SET name = name || '!' WHERE id % 7 = 0;"#;
                self.postgresql.query(SHOP, sql).await.map(drop)
            }
        }
    }

    /// Rows and checksum of every table of `database`.
    pub(super) async fn sums(&self, engine: Engine, database: &str) -> Result<TableSums> {
        match engine {
            Engine::Mariadb => sample::sums_of_mariadb(&self.mariadb, database).await,
            Engine::Postgresql => sample::sums_of_postgresql(&self.postgresql, database).await,
        }
    }
}

impl Engine {
    /// As people write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "MariaDB",
            Self::Postgresql => "PostgreSQL",
        }
    }
}
