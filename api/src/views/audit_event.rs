//! An act in the audit log.

use super::time;
use holdfast_store::repositories::audit_events::AuditVerdict;
use holdfast_store::rows;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Who did what, from where, and what it was before.
#[derive(Serialize, ToSchema)]
pub struct AuditEventView {
    id: i64,
    /// `<thing>.<verb>`
    action: String,
    /// `<table>:<id>`, or the route of a refusal.
    subject: String,
    actor: ActorView,
    /// As far as the proxies in front of us can be believed; null for what the product did itself.
    #[schema(required)]
    ip_address: Option<String>,
    /// Field → `before` and `after`; of a secret only `set`, `changed` or `removed`.
    #[schema(value_type = Object)]
    changes: Value,
    /// What else there is to say.
    #[schema(value_type = Object)]
    details: Value,
    created_at: String,
}

#[derive(Serialize, ToSchema)]
struct ActorView {
    /// `token`, `session`, `operator` (somebody who runs the installation) or `system`.
    #[serde(rename = "type")]
    kind: String,
    /// Null for the system, and for an operator, who is no member of the team.
    #[schema(required)]
    user_id: Option<i64>,
    #[schema(required)]
    token_id: Option<i64>,
    #[schema(required)]
    session_id: Option<i64>,
    /// What the system was about.
    #[schema(required)]
    reason: Option<String>,
}

impl AuditEventView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::audit_events::Model) -> Self {
        let is_ours = row.actor != "operator";
        Self {
            id: row.id,
            action: row.action,
            subject: row.subject,
            actor: ActorView {
                kind: row.actor,
                user_id: row.user_id.filter(|_| is_ours),
                token_id: row.token_id.filter(|_| is_ours),
                session_id: row.session_id.filter(|_| is_ours),
                reason: row.actor_reason,
            },
            ip_address: row.ip_address.filter(|_| is_ours),
            changes: row.changes,
            details: row.details,
            created_at: time::utc(row.created_at),
        }
    }
}

/// Whether the log is as it was written.
#[derive(Serialize, ToSchema)]
pub struct AuditVerdictView {
    ok: bool,
    /// Links of the chain.
    links: i64,
    /// The last link's hash.
    #[schema(required)]
    head: Option<String>,
    /// At most 100.
    faults: Vec<AuditFaultView>,
}

#[derive(Serialize, ToSchema)]
struct AuditFaultView {
    audit_event_id: i64,
    /// Its place in the chain.
    #[schema(required)]
    seq: Option<i64>,
    /// `changed`, `missing`, `gap_before`, `not_in_chain`.
    problem: String,
}

impl AuditVerdictView {
    /// The view of `verdict`.
    #[must_use]
    pub fn of(verdict: AuditVerdict) -> Self {
        let faults = verdict.faults.into_iter().map(|fault| AuditFaultView {
            audit_event_id: fault.audit_event_id,
            seq: fault.seq,
            problem: fault.problem,
        });
        let faults: Vec<_> = faults.collect();
        Self { ok: faults.is_empty(), links: verdict.links, head: verdict.head, faults }
    }
}
