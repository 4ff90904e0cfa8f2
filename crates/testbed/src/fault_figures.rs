//! What a fault did, in figures (security.md 3.4): read from the product's own tables once it is over, and printed as one
//! line that `./dev faults` collects. A figure here is a count of what must never be, or a measure; it is no proof, which
//! is the test that prints it.

use anyhow::Result;
use sqlx::PgPool;
use std::fmt;
use std::io::Write;

/// Begins the line.
pub const MARK: &str = "fault figures:";

/// Counts over one database, whose teams are all of one test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultFigures {
    /// Runs that succeeded, and made no backup.
    pub false_successes: i64,
    /// Backups that are listed, and have no whole copy.
    pub backups_lost: i64,
    /// Runs that more than one attempt calls its success.
    pub double_commits: i64,
    /// Runs that nobody executes although somebody should: begun, and their lease is over.
    pub stuck_runs: i64,
    /// Unfinished objects on record, and leases of what has ended.
    pub residue: i64,
    /// From asking for a run to its end, of the slowest.
    pub slowest_run_secs: f64,
    /// Of the worker that took most, where it is a process of its own.
    pub peak_memory_kib: Option<u64>,
}

const FIGURES: &str = "
SELECT
  (SELECT count(*) FROM backup_runs r WHERE r.status IN ('succeeded', 'succeeded_with_warnings')
     AND NOT EXISTS (SELECT FROM backups b WHERE b.backup_run_id = r.id)),
  (SELECT count(*) FROM backups b WHERE b.deleted_at IS NULL AND b.recycled_at IS NULL
     AND NOT EXISTS (SELECT FROM backup_copies c WHERE c.backup_id = b.id AND c.state = 'committed')),
  (SELECT count(*) FROM (SELECT FROM backup_run_attempts WHERE outcome = 'succeeded'
                         GROUP BY backup_run_id HAVING count(*) > 1) AS twice),
  (SELECT count(*) FROM backup_runs WHERE status IN ('running', 'verifying') AND lease_until < now()),
  (SELECT count(*) FROM backup_run_objects WHERE state = 'writing')
    + (SELECT count(*) FROM backup_runs WHERE lease_until IS NOT NULL AND completed_at IS NOT NULL),
  (SELECT coalesce(max(extract(epoch FROM completed_at - created_at)), 0)::double precision FROM backup_runs)";

impl FaultFigures {
    /// As the database is now; the memory is the caller's to say.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read(pool: &PgPool, peak_memory_kib: Option<u64>) -> Result<Self> {
        let row: (i64, i64, i64, i64, i64, f64) = sqlx::query_as(FIGURES).fetch_one(pool).await?;
        let (false_successes, backups_lost, double_commits, stuck_runs, residue, slowest_run_secs) = row;
        Ok(Self {
            false_successes,
            backups_lost,
            double_commits,
            stuck_runs,
            residue,
            slowest_run_secs,
            peak_memory_kib,
        })
    }

    /// Whether nothing is there that must never be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.false_successes + self.backups_lost + self.double_commits + self.stuck_runs + self.residue == 0
    }

    /// Prints the line.
    pub fn print(&self) {
        let _ = writeln!(std::io::stdout(), "{MARK} {self}");
    }
}

impl fmt::Display for FaultFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "false_success={} backups_lost={} double_commits={} stuck={} residue={} slowest_run_secs={:.1}",
            self.false_successes,
            self.backups_lost,
            self.double_commits,
            self.stuck_runs,
            self.residue,
            self.slowest_run_secs
        )?;
        match self.peak_memory_kib {
            Some(kib) => write!(f, " peak_memory_mib={:.0}", kib as f64 / 1024.0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Database;

    #[tokio::test]
    async fn an_empty_database_has_nothing_wrong() {
        let pool = Database::fresh().await.unwrap().owner_pool().await.unwrap();
        let figures = FaultFigures::read(&pool, Some(2048)).await.unwrap();
        assert!(figures.is_clean(), "{figures}");
        assert!(figures.to_string().ends_with("slowest_run_secs=0.0 peak_memory_mib=2"), "{figures}");
    }
}
