//! What the process counts, in Prometheus' text format. A label must never carry what a client sent: routes are counted
//! by their template and methods by the few we know, so that the number of series is bounded.

use crate::problem::Problem;
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use holdfast_store::figures::{Details, Figures};
use prometheus::proto::MetricFamily;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::sync::Arc;
use std::time::Instant;

/// Content type of the answer.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// From a look-up of one row to a relayed check.
const BUCKETS_SECS: &[f64] = &[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The process's own counters.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    connections: IntGaugeVec,
    refused: IntCounterVec,
    event_streams: IntGauge,
}

/// The connections of one listener.
#[derive(Clone)]
pub(crate) struct ListenerMetrics {
    /// Open now.
    pub(crate) open: IntGauge,
    /// Closed without an answer, because there were too many.
    pub(crate) refused: IntCounter,
}

impl Metrics {
    /// Everything at nought.
    ///
    /// # Panics
    /// A name or a label is not well-formed: they are constants, and every test of a router meets them.
    pub(crate) fn new() -> Self {
        Self::registered().expect("names and labels are constants")
    }

    fn registered() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = Opts::new("holdfast_http_requests_total", "Requests answered.");
        let requests = IntCounterVec::new(requests, &["route", "method", "status"])?;
        let durations = HistogramOpts::new("holdfast_http_request_duration_seconds", "Until the answer begins.");
        let durations = HistogramVec::new(durations.buckets(BUCKETS_SECS.to_vec()), &["route", "method"])?;
        let connections = Opts::new("holdfast_http_connections", "Open connections.");
        let connections = IntGaugeVec::new(connections, &["listener"])?;
        let refused = Opts::new(
            "holdfast_http_connections_refused_total",
            "Connections closed without an answer, because there were too many.",
        );
        let refused = IntCounterVec::new(refused, &["listener"])?;
        let event_streams = IntGauge::new("holdfast_event_streams", "Open streams of live events.")?;
        let build = IntGaugeVec::new(Opts::new("holdfast_build_info", "Always 1; what runs."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(event_streams.clone()))?;
        registry.register(Box::new(build))?;
        Ok(Self { registry, requests, durations, connections, refused, event_streams })
    }

    /// The counters of one listener.
    pub(crate) fn listener(&self, name: &'static str) -> ListenerMetrics {
        ListenerMetrics {
            open: self.connections.with_label_values(&[name]),
            refused: self.refused.with_label_values(&[name]),
        }
    }

    /// Open streams of live events.
    pub(crate) fn event_streams(&self) -> &IntGauge {
        &self.event_streams
    }

    fn count(&self, route: &str, method: &str, status: StatusCode, started: Instant) {
        self.requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.durations.with_label_values(&[route, method]).observe(started.elapsed().as_secs_f64());
    }

    /// Everything as text. Without `figures` the database does not answer, and says so.
    ///
    /// # Errors
    /// 500 where the text cannot be made.
    pub(crate) fn text(&self, figures: Option<&(Figures, Details)>) -> Result<String, Problem> {
        let mut families = self.registry.gather();
        families.extend(of_database(figures.map(|(counts, _)| counts)).map_err(|e| Problem::internal(&e))?);
        if let Some((_, details)) = figures {
            families.extend(of_details(details).map_err(|e| Problem::internal(&e))?);
        }
        TextEncoder::new().encode_to_string(&families).map_err(|e| Problem::internal(&e))
    }
}

/// In a registry of their own for one answer, so that no figure outlives its moment.
fn of_database(figures: Option<&Figures>) -> prometheus::Result<Vec<MetricFamily>> {
    let registry = Registry::new();
    let set = |name: &str, help: &str, value: f64| {
        let gauge = prometheus::Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    let by = |label: &str, name: &str, help: &str, values: [(&str, i64); 2]| {
        let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
        for (state, value) in values {
            gauges.with_label_values(&[state]).set(value);
        }
        registry.register(Box::new(gauges))
    };
    let count = |name: &str, help: &str, value: i64| set(name, help, value as f64);
    count("holdfast_database_up", "Whether the database answered this scrape.", i64::from(figures.is_some()))?;
    let Some(f) = figures else { return Ok(registry.gather()) };
    let runs = [("queued", f.runs_queued), ("running", f.runs_running)];
    by("status", "holdfast_backup_runs", "Unfinished runs of all teams.", runs)?;
    let restores = [("queued", f.restores_queued), ("running", f.restores_running)];
    by("status", "holdfast_restores", "Unfinished restores of all teams.", restores)?;
    let deliveries = [("open", f.deliveries_open), ("dead", f.deliveries_dead)];
    by("state", "holdfast_deliveries", "Messages on their way, and those given up.", deliveries)?;
    let waiting = "For how long the queued run that was due first has been due.";
    set("holdfast_oldest_queued_run_seconds", waiting, f.oldest_queued_secs)?;
    count("holdfast_backup_copies_unfinished", "Copies that are still to be made.", f.copies_unfinished)?;
    count("holdfast_queue_jobs_pending", "Jobs that no worker has taken.", f.jobs_pending)?;
    count("holdfast_workers_alive", "Workers that said lately that they live.", f.workers_alive)?;
    Ok(registry.gather())
}

/// Tasks and workers, in a registry of their own as the counts are.
fn of_details(details: &Details) -> prometheus::Result<Vec<MetricFamily>> {
    let registry = Registry::new();
    let gauges = |name: &str, help: &str, labels: &[&str]| {
        let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(gauges.clone())).map(|()| gauges)
    };
    let by_task = ["team", "task"];
    let at = gauges("holdfast_task_last_success_timestamp_seconds", "When the latest success ended.", &by_task)?;
    let age = gauges("holdfast_task_last_success_age_seconds", "How long ago that was.", &by_task)?;
    let took = gauges("holdfast_task_last_success_duration_seconds", "How long that run took.", &by_task)?;
    let plain = gauges("holdfast_task_last_success_original_bytes", "What it read.", &by_task)?;
    let stored = gauges("holdfast_task_last_success_stored_bytes", "What it stored, at each destination.", &by_task)?;
    let paused = gauges("holdfast_task_paused", "1 where the schedule is paused.", &by_task)?;
    let state = "1 for how the latest run that is over ended; none: there was none.";
    let state = gauges("holdfast_task_last_run", state, &["team", "task", "status"])?;
    for task in &details.tasks {
        let (team, id) = (task.team_id.to_string(), task.task_id.to_string());
        let set = |gauges: &GaugeVec, value: Option<f64>| {
            if let Some(value) = value {
                gauges.with_label_values(&[team.as_str(), id.as_str()]).set(value);
            }
        };
        set(&at, task.success_at.map(|at| at.timestamp() as f64));
        set(&age, task.success_age_secs);
        set(&took, task.success_secs);
        set(&plain, task.original_size.map(|size| size as f64));
        set(&stored, task.stored_size.map(|size| size as f64));
        set(&paused, Some(f64::from(u8::from(task.is_paused))));
        let status = task.last_status.as_deref().unwrap_or("none");
        state.with_label_values(&[team.as_str(), id.as_str(), status]).set(1.0);
    }
    let left_out = "Tasks of which no series are given (operator.metrics_tasks).";
    gauges("holdfast_tasks_left_out", left_out, &[])?.with_label_values::<&str>(&[]).set(details.tasks_left_out as f64);
    let late =
        gauges("holdfast_start_lateness_seconds", "How late scheduled runs of the last hour began.", &["quantile"])?;
    let lateness = &details.lateness;
    for (quantile, secs) in [("0.5", lateness.half_secs), ("0.99", lateness.most_secs), ("1", lateness.max_secs)] {
        late.with_label_values(&[quantile]).set(secs);
    }
    let started = gauges("holdfast_scheduled_starts", "Scheduled runs that began within the last hour.", &[])?;
    started.with_label_values::<&str>(&[]).set(lateness.runs as f64);
    let running = gauges("holdfast_worker_running", "What a living worker works on.", &["worker"])?;
    let capacity = gauges("holdfast_worker_capacity", "What it works on at most.", &["worker"])?;
    for worker in &details.workers {
        running.with_label_values(&[worker.name.as_str()]).set(f64::from(worker.running));
        capacity.with_label_values(&[worker.name.as_str()]).set(f64::from(worker.capacity));
    }
    Ok(registry.gather())
}

/// Around every request, inside the router: there the template of its route is known.
pub(crate) async fn measure(metrics: Arc<Metrics>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)".to_owned(), |path| path.as_str().to_owned());
    let method = known(request.method());
    let response = next.run(request).await;
    metrics.count(&route, method, response.status(), started);
    response
}

fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "(other)",
    }
}
