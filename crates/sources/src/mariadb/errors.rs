//! What a server's error number means for the user. Every sentence is a peer's text: bounded, and shown as text.

use holdfast_domain::failure::printable;
use holdfast_domain::{Failure, FailureCode, Step};

/// The first of `said` that carries a number we know.
pub(super) fn first(said: &[String], step: Step) -> Option<Failure> {
    said.iter().find_map(|line| {
        let code = meaning(number(line)?)?;
        Some(Failure::new(step, code, format!("{}.", printable(line, 300).trim_end_matches('.'))))
    })
}

fn meaning(number: u32) -> Option<FailureCode> {
    Some(match number {
        // Not there, host unknown, too many connections, gone in the greeting, blocked host, shutting down.
        2002 | 2003 | 2005 | 2013 | 1040 | 1129 | 1053 | 2006 => FailureCode::DatabaseUnreachable,
        // Refused user, password, host, plugin, expired password, TLS wanted.
        1045 | 1130 | 1698 | 1251 | 1862 | 2026 | 2059 | 3159 | 4151 => FailureCode::DatabaseLoginFailed,
        1049 => FailureCode::MissingDatabase,
        1044 | 1142 | 1143 | 1227 | 1370 | 1419 => FailureCode::MissingRight,
        1007 => FailureCode::TargetExists,
        1021 | 1114 => FailureCode::TargetUnwritable,
        _ => return None,
    })
}

/// `ERROR 1045 (28000): …`, `mariadb-dump: Got error: 1045: …`, `… (1142)`.
fn number(line: &str) -> Option<u32> {
    let after = |word: &str| line.split_once(word).map(|(_, rest)| rest);
    let leading = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let from_start = line.strip_prefix("ERROR ").and_then(leading);
    let from_dump = || after("Got error: ").and_then(leading);
    let from_end = || {
        let (_, last) = line.trim_end().strip_suffix(')')?.rsplit_once('(')?;
        last.parse().ok()
    };
    from_start.or_else(from_dump).or_else(from_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_saying_a_number_is_read() {
        for (line, code) in [
            (
                "ERROR 2002 (HY000): Can't connect to local server through socket '/x' (2)",
                FailureCode::DatabaseUnreachable,
            ),
            (
                "ERROR 1045 (28000): Access denied for user 'a'@'b' (using password: YES)",
                FailureCode::DatabaseLoginFailed,
            ),
            (
                "mariadb-dump: Got error: 1049: \"Unknown database 'x'\" when selecting the database",
                FailureCode::MissingDatabase,
            ),
            (
                "mariadb-dump: Couldn't execute 'show create table `v`': SHOW VIEW command denied (1142)",
                FailureCode::MissingRight,
            ),
            ("ERROR 1227 (42000) at line 8: Access denied; you need the SUPER privilege", FailureCode::MissingRight),
        ] {
            assert_eq!(first(&[line.to_owned()], Step::Prepare).map(|f| f.code), Some(code), "{line}");
        }
        for line in ["", "ERROR", "ERROR x", "warning (9)", "(", ")", "ERROR 99999999999999 (x)", "é(1142"] {
            assert_eq!(first(&[line.to_owned()], Step::Prepare), None, "{line}");
        }
    }
}
