//! `POST /api/scripts/{id}/test`
//!
//! The worker's answer is passed on as it comes: it begins at once and may end minutes later.

use super::values;
use crate::extract::id::{MAX_ID, found};
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::state::ApiState;
use crate::validation::{Fields, Presence};
use crate::views::Data;
use crate::views::script::{ParameterValueSchema, ScriptTestView};
use axum::body::{Body as Answer, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::ids::{RemoteServerId, ScriptId};
use holdfast_domain::script::ParameterValues;
use holdfast_domain::ticket::TicketAction;
use serde_json::json;
use utoipa::ToSchema;

/// Where a script is tried, and with what.
#[derive(ToSchema)]
#[schema(as = ScriptTest)]
pub(crate) struct Body {
    remote_server_id: Option<i64>,
    /// Values by the names of the script's parameters: a text, or `{"secret_name": "…"}`.
    #[schema(value_type = Option<BTreeMap<String, ParameterValueSchema>>)]
    parameters: ParameterValues,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            remote_server_id: fields.integer("remote_server_id", Presence::Required),
            parameters: values::read(fields),
        };
        fields.refuse_unknown();
        body
    }
}

/// Runs a script once on a server, as the server's own user and outside of any run: `HOLDFAST_DRY_RUN` is 1, and presets only
/// say what they would do. Tells status, output and time. It takes at most ten minutes; a client that goes away ends it.
#[utoipa::path(post, path = "/api/scripts/{id}/test", tag = "scripts", params(("id" = u64, Path)), request_body = Body,
    responses((status = 200, body = Data<ScriptTestView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn test_script(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    Id(id): Id<ScriptId>,
    OurBody(mut fields): OurBody,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<ScriptId, _>(tx.scripts().find(id).await?)?;
    let body = Body::read(&mut fields);
    fields.finish()?;
    let server = RemoteServerId(body.remote_server_id.filter(|id| (1..=MAX_ID).contains(id)).unwrap_or_default());
    let mut errors = FieldErrors::default();
    if tx.remote_servers().find(server).await?.is_none() {
        errors.push("remote_server_id", "The selected remote server is invalid.".to_owned());
    }
    values::check(&tx, &row, &body.parameters, ("", &mut errors)).await?;
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    let details = json!({"remote_server_id": server.0});
    tx.audit_events().record("script.test", &format!("scripts:{id}"), details).await?;
    // A connection to the database is not held while a worker talks to a server.
    tx.commit().await?;
    let action = TicketAction::TestScript { id, remote_server_id: server, parameters: body.parameters };
    let worker = state.relay().open(state.store(), &auth.access, action).await?;
    let fixed = |text: &'static [u8]| stream::iter([Ok(Bytes::from_static(text))]);
    let answer = worker.bytes_stream().map_err(|error| {
        tracing::warn!(error = %error.without_url(), "a script's test broke off");
        std::io::Error::other("the worker's answer broke off")
    });
    let mut response = Response::new(Answer::from_stream(fixed(b"{\"data\":").chain(answer).chain(fixed(b"}"))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
