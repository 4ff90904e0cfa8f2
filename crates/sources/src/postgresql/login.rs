//! The first fields of every program: where to connect and as whom. What could be read as more than one host, or could not
//! stand in an environment at all, is refused here.

use crate::database::DatabaseLogin;
use holdfast_domain::{Failure, FailureCode, Step};
use secrecy::ExposeSecret as _;

/// The fields of `connect.sh`, for `database`.
///
/// # Errors
/// `invalid_config`.
pub(super) fn fields<'a>(login: &'a DatabaseLogin, port: &'a str, database: &'a str) -> Result<[&'a [u8]; 6], Failure> {
    let host = login.host.as_deref().unwrap_or_default();
    let user = login.username.as_deref().unwrap_or_default();
    let password = login.password.as_ref().map(|password| password.expose_secret());
    let refuse = |what: &str| {
        Err(Failure::new(Step::Prepare, FailureCode::InvalidConfig, format!("the database server's {what}.")))
    };
    // libpq would try several hosts, each with this password.
    if host.contains(',') {
        return refuse("host is more than one");
    }
    if database.is_empty() {
        return refuse("database has no name");
    }
    if [host, user, database, password.unwrap_or_default()].iter().any(|text| text.contains('\0')) {
        return refuse("host, user, password or database name holds a zero byte");
    }
    let has_password: &[u8] = if password.is_some() { b"1" } else { b"0" };
    Ok([
        host.as_bytes(),
        port.as_bytes(),
        user.as_bytes(),
        has_password,
        password.unwrap_or_default().as_bytes(),
        database.as_bytes(),
    ])
}

/// The port as a field; empty = the engine's own.
pub(super) fn port(login: &DatabaseLogin) -> String {
    login.port.map(|port| port.to_string()).unwrap_or_default()
}
