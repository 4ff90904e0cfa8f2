//! Live events: what a reader gets, and that none of it is lost or comes twice.

use crate::testing::{App, Definitions, Person};
use crate::testing_live::Event;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Abilities, Failure, FailureCode, Step};
use holdfast_store::repositories::run_execution::RunEnding;
use holdfast_store::taking::Taker;
use holdfast_store::{Access, TeamTx};
use serde_json::{Value, json};

/// A run that a worker has, written to as that worker would.
pub(super) struct Running<'a> {
    app: &'a App,
    access: Access,
    pub run: BackupRunId,
    pub path: String,
}

impl<'a> Running<'a> {
    pub async fn start(app: &'a App, person: &Person, made: &Definitions) -> Self {
        let path = format!("/api/backup-tasks/{}/run", made.task);
        let started = app.expect(person, ("POST", &path), Value::Null, 202).await;
        let run = BackupRunId(started["data"]["backup_run_id"].as_i64().unwrap());
        let taker = Taker { name: "w", store_ids: &[], lease_secs: 60.0, max_attempts: 3, usual_runs_at_once: 0 };
        let claimed = app.store.take_run(&taker).await.unwrap().unwrap();
        assert_eq!((claimed.id, claimed.epoch), (run, 1));
        let access = Access::system(person.team_id, "test");
        Self { app, access, run, path: format!("/api/backup-runs/{run}/events") }
    }

    async fn tx(&self) -> TeamTx {
        self.app.store.for_team(&self.access).await.unwrap()
    }

    /// As the journal writes: lines and figures in one transaction.
    pub async fn write(&self, lines: &[&str], original_size: u64) {
        let tx = self.tx().await;
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        tx.append_run_lines(self.run, 1, &lines).await.unwrap();
        let progress = Progress { original_size, total_expected_size: Some(1_000), ..Progress::default() };
        assert!(tx.run_execution(self.run, 1).progress(&progress).await.unwrap());
        tx.commit().await.unwrap();
    }

    pub async fn enter(&self, status: RunStatus, step: Step) {
        let tx = self.tx().await;
        assert!(tx.run_execution(self.run, 1).enter(status, step).await.unwrap());
        tx.commit().await.unwrap();
    }

    pub async fn fail(&self, last_line: &str, original_size: u64) {
        let tx = self.tx().await;
        let failure = Failure::new(Step::Stream, FailureCode::Internal, "It is over.");
        let progress = Progress { original_size, ..Progress::default() };
        let ending = RunEnding { failure: &failure, progress: &progress, process_terminated: None };
        assert!(tx.run_execution(self.run, 1).end(RunStatus::Failed, &ending).await.unwrap());
        tx.append_run_lines(self.run, 1, &[last_line.to_owned()]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

pub(super) async fn ann(app: &App) -> (Person, Definitions) {
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    (ann, made)
}

/// The log lines among `events`.
fn lines(events: &[Event]) -> Vec<String> {
    let of = |event: &Event| event.data["content"].as_str().unwrap().to_owned();
    events.iter().filter(|event| event.name == "log").map(of).collect()
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[tokio::test]
async fn a_reader_gets_what_was_then_what_comes_and_an_end_after_it_all() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    run.write(&["one", "two"], 10).await;
    let mut events = app.events(&ann.token, &run.path, &[]).await;
    assert_eq!(events.status, 200);
    assert_eq!(events.headers["content-type"], "text/event-stream");
    assert_eq!(events.headers["cache-control"], "no-store, private");
    let begin = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert_eq!(names(&begin), ["progress", "state"]);
    assert_eq!(begin[0].data["original_size"], 10);
    let shown = app.expect(&ann, ("GET", &format!("/api/backup-runs/{}", run.run)), Value::Null, 200).await;
    assert_eq!(begin[1].data, shown["data"], "a state is what its GET says");
    let caught_up = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert_eq!(lines(&caught_up), ["one", "two"]);
    assert_eq!((caught_up[0].id.as_str(), caught_up[1].id.as_str()), ("1", "2"));

    run.write(&["three"], 20).await;
    let next = [events.next().await.unwrap(), events.next().await.unwrap()];
    assert_eq!((names(&next), lines(&next)), (vec!["log", "progress"], vec!["three".to_owned()]));
    assert_eq!((next[0].id.as_str(), &next[1].data["original_size"]), ("3", &json!(20)));

    run.enter(RunStatus::Verifying, Step::Verify).await;
    let state = events.next().await.unwrap();
    assert_eq!((state.name.as_str(), &state.data["status"]), ("state", &json!("verifying")));
    assert_eq!(state.data["step"], "verify");

    run.fail("four", 30).await;
    let rest = events.rest().await;
    assert_eq!(names(&rest), ["log", "progress", "state", "end"]);
    assert_eq!((lines(&rest), rest[3].id.as_str()), (vec!["four".to_owned()], "4-end"));
    assert_eq!(rest[2].data["status"], "failed");
    assert_eq!((&rest[3].data, &rest[1].data["original_size"]), (&json!({"status": "failed"}), &json!(30)));
}

#[tokio::test]
async fn whoever_comes_again_gets_every_later_line_once() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    run.write(&["1", "2", "3"], 1).await;
    let mut first = app.events(&ann.token, &run.path, &[]).await;
    let mut seen = vec![first.until("log").await, first.until("log").await];
    let last = seen[1].id.clone();
    drop(first);
    run.write(&["4"], 2).await;
    // Two tabs, one of them without the header.
    let mut by_header = app.events(&ann.token, &run.path, &[("last-event-id", &last)]).await;
    let mut by_query = app.events(&ann.token, &format!("{}?last_event_id={last}", run.path), &[]).await;
    run.write(&["5", "6"], 3).await;
    run.fail("7", 3).await;
    let other = lines(&by_query.rest().await);
    let rest = by_header.rest().await;
    assert_eq!(lines(&rest), other);
    let end = rest.last().unwrap().id.clone();
    seen.extend(rest);
    assert_eq!(lines(&seen), ["1", "2", "3", "4", "5", "6", "7"]);
    let over = app.events(&ann.token, &run.path, &[("last-event-id", &end)]).await;
    assert_eq!(over.status, 204, "a browser does not ask again");
    // What is no place of this log stands for its beginning.
    for strange in ["x", "-1", "99"] {
        let mut all = app.events(&ann.token, &run.path, &[("last-event-id", strange)]).await;
        assert_eq!(lines(&all.rest().await).len(), 7, "{strange}");
    }
}

#[tokio::test]
async fn a_run_that_is_over_is_told_from_its_log_however_long_it_is() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let (run, _) = app.backup(&ann, &made).await;
    let more = "INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, content)
                SELECT $1, $2, n, 'line ' || n FROM generate_series(4, 1234) n";
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query(more).bind(ann.team_id.0).bind(run).execute(&pool).await.unwrap();
    let mut events = app.events(&ann.token, &format!("/api/backup-runs/{run}/events"), &[]).await;
    let all = events.rest().await;
    let expected: Vec<String> = (1..=1234).map(|n| format!("line {n}")).collect();
    assert_eq!(lines(&all), expected);
    assert_eq!((names(&all)[..2].to_vec(), all.last().unwrap().id.as_str()), (vec!["progress", "state"], "1234-end"));
    assert_eq!(all[1].data["status"], "succeeded");
    sqlx::query("DELETE FROM backup_run_lines").execute(&pool).await.unwrap();
    let mut events = app.events(&ann.token, &format!("/api/backup-runs/{run}/events"), &[]).await;
    assert_eq!(names(&events.rest().await), ["progress", "state", "end"], "its log was deleted");
}

#[tokio::test]
async fn a_lost_message_costs_time_and_nothing_else() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    let mut events = app.events(&ann.token, &run.path, &[]).await;
    events.until("state").await;
    // Somebody else's connections show nothing of themselves.
    let pool = sqlx::PgPool::connect_with(app.database.app_options()).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let ended = async || sqlx::query_scalar::<_, i64>(cut).fetch_one(&pool).await.unwrap();
    let (mut cut, begun) = (ended().await, std::time::Instant::now());
    while cut == 0 {
        assert!(begun.elapsed().as_secs() < 60, "nothing listens");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        cut = ended().await;
    }
    assert_eq!(cut, 1, "one connection listens, whoever reads");
    for n in 1..=20u64 {
        run.write(&[&format!("{n}")], n).await;
    }
    run.fail("21", 21).await;
    let expected: Vec<String> = (1..=21).map(|n| n.to_string()).collect();
    assert_eq!(lines(&events.rest().await), expected);
}

#[tokio::test]
async fn a_row_that_nobody_watches_tells_nobody() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    let mut heard = app.store.live_listener().await.unwrap();
    run.write(&["unwatched"], 1).await;
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("SELECT pg_notify('holdfast_live', 'copy:77')").execute(&pool).await.unwrap();
    // A commit that tells waits for all others that do.
    let marker = holdfast_store::live::Watched::Copy(holdfast_domain::ids::BackupCopyId(77));
    assert_eq!(heard.next().await.unwrap(), Some(marker), "the write told of nothing");
    let mut events = app.events(&ann.token, &run.path, &[]).await;
    events.until("log").await;
    run.write(&["watched"], 1).await;
    assert_eq!(heard.next().await.unwrap(), Some(holdfast_store::live::Watched::Run(run.run)));
    assert_eq!(events.until("log").await.data["content"], "watched");
}

#[tokio::test]
async fn restores_and_copies_are_told_too() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let (_, backup) = app.backup(&ann, &made).await;
    let target = json!({"target": {"remote_server_id": made.server, "path": "/new"}});
    let restore = app.expect(&ann, ("POST", &format!("/api/backups/{backup}/restore")), target, 202).await;
    let restore = restore["data"]["id"].as_i64().unwrap();
    let copy = app.expect(&ann, ("GET", &format!("/api/backups/{backup}")), Value::Null, 200).await;
    let copy = copy["data"]["copies"][0]["id"].as_i64().unwrap();
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backup_copies SET state = 'running'").execute(&pool).await.unwrap();
    for (path, set, last) in [
        (format!("/api/restores/{restore}/events"), "restores SET status = 'succeeded'", "succeeded"),
        (format!("/api/backup-copies/{copy}/events"), "backup_copies SET state = 'committed'", "committed"),
    ] {
        let mut events = app.events(&ann.token, &path, &[]).await;
        let state = events.until("state").await;
        let table = set.split(' ').next().unwrap();
        let progress = format!(r#"UPDATE {table} SET progress = '{{"original_size": 5}}'"#);
        sqlx::query(sqlx::AssertSqlSafe(progress)).execute(&pool).await.unwrap();
        assert_eq!(events.until("progress").await.data["original_size"], 5, "{state:?}");
        sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE {set}"))).execute(&pool).await.unwrap();
        let end = events.rest().await.pop().unwrap();
        assert_eq!((end.name.as_str(), end.data), ("end", json!({"status": last})));
        // One that is over has a last event too.
        let mut again = app.events(&ann.token, &path, &[]).await;
        assert_eq!(names(&again.rest().await), ["progress", "state", "end"]);
    }
}
