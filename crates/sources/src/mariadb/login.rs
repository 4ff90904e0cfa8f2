//! The log-in as an option file, and the fields that every program for MariaDB begins with. Nothing here may reach an
//! argument list; a value must never be able to end its line.

use crate::database::DatabaseLogin;
use holdfast_domain::source::Engine;
use holdfast_domain::{Failure, FailureCode, Step};
use secrecy::ExposeSecret as _;

/// A line of an option file may have 4096 bytes, and every byte of a value may need two.
const VALUE_BYTES: usize = 1024;

/// A program's variables, in the order in which it reads them. They hold a password: no Debug.
pub(super) struct Fields(Vec<Vec<u8>>);

impl Fields {
    /// Option file, whether the socket is used, whose programs come first.
    pub(super) fn log_in(login: &DatabaseLogin, engine: Option<Engine>) -> Result<Self, Failure> {
        let by_socket = login.port.is_none() && matches!(login.host.as_deref(), None | Some("localhost"));
        let family = if engine == Some(Engine::Mysql) { "mysql" } else { "mariadb" };
        let mut fields = Self(vec![option_file(login, by_socket)?.into_bytes()]);
        fields.push(if by_socket { "1" } else { "0" });
        fields.push(family);
        Ok(fields)
    }

    /// One more.
    pub(super) fn push(&mut self, field: &str) {
        self.0.push(field.as_bytes().to_vec());
    }

    /// A name of the user's.
    pub(super) fn push_name(&mut self, name: &str) -> Result<(), Failure> {
        if name.is_empty() || name.contains('\0') {
            return Err(invalid(format!("{name:?} is no name of a database or a table.")));
        }
        self.push(name);
        Ok(())
    }

    /// How many, then each.
    pub(super) fn push_list(&mut self, names: &[String]) -> Result<(), Failure> {
        self.push(&names.len().to_string());
        names.iter().try_for_each(|name| self.push_name(name))
    }

    /// For the session.
    pub(super) fn bytes(&self) -> Vec<&[u8]> {
        self.0.iter().map(Vec::as_slice).collect()
    }
}

fn option_file(login: &DatabaseLogin, by_socket: bool) -> Result<String, Failure> {
    let mut text = String::from("[client]\n");
    let mut set = |key: &str, value: &str| -> Result<(), Failure> {
        text.push_str(&format!("{key}={}\n", quoted(key, value)?));
        Ok(())
    };
    if !by_socket {
        // A port means TCP; without a host it is this machine's.
        set("host", login.host.as_deref().unwrap_or("127.0.0.1"))?;
        set("protocol", "tcp")?;
    } else {
        set("protocol", "socket")?;
    }
    if let Some(port) = login.port {
        set("port", &port.to_string())?;
    }
    if let Some(username) = &login.username {
        set("user", username)?;
    }
    if let Some(password) = &login.password {
        set("password", password.expose_secret())?;
    }
    Ok(text)
}

/// `value` as an option file reads it back byte for byte: between quotes, `\` escapes, and `#` begins no comment.
fn quoted(key: &str, value: &str) -> Result<String, Failure> {
    if value.is_empty() && key != "password" {
        return Err(invalid(format!("the database's {key} is empty.")));
    }
    if value.len() > VALUE_BYTES || value.contains(char::is_control) {
        return Err(invalid(format!("the database's {key} is too long, or holds a control character.")));
    }
    Ok(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn invalid(detail: String) -> Failure {
    Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    fn login(host: Option<&str>, port: Option<u16>, password: Option<&str>) -> DatabaseLogin {
        let password = password.map(SecretString::from);
        DatabaseLogin { host: host.map(str::to_owned), port, username: Some("u".to_owned()), password }
    }

    #[test]
    fn a_value_stays_on_its_line_and_between_its_quotes() {
        let file = option_file(&login(Some("db#1"), None, Some(" a\"b\\#'é ")), false).unwrap();
        assert_eq!(file, "[client]\nhost=\"db#1\"\nprotocol=\"tcp\"\nuser=\"u\"\npassword=\" a\\\"b\\\\#'é \"\n");
        for password in ["x\n[mysqldump]\nresult-file=/tmp/pwn", "x\0", "x\ry"] {
            let failure = option_file(&login(None, None, Some(password)), true).unwrap_err();
            assert_eq!(failure.code, FailureCode::InvalidConfig);
            assert!(!failure.detail.contains("pwn"), "{failure}");
        }
    }

    #[test]
    fn a_port_or_another_host_means_tcp() {
        for (host, port, by_socket) in [
            (None, None, "1"),
            (Some("localhost"), None, "1"),
            (Some("localhost"), Some(3306), "0"),
            (None, Some(3306), "0"),
            (Some("127.0.0.1"), None, "0"),
        ] {
            let fields = Fields::log_in(&login(host, port, None), None).unwrap();
            assert_eq!(fields.0[1], by_socket.as_bytes(), "{host:?} {port:?}");
        }
    }
}
