//! What `SHOW GRANTS` says of the logged-in user, his roles included: the only place where rights on a whole database can
//! be told from rights on the tables that he happens to see.

use std::collections::BTreeSet;

/// Every grant that was shown.
#[derive(Default)]
pub(super) struct Grants {
    grants: Vec<Grant>,
}

struct Grant {
    rights: BTreeSet<String>,
    is_revoked: bool,
    // A pattern, or none for every database.
    database: Option<String>,
    // None for every table.
    table: Option<String>,
}

/// Rights on one whole database.
pub(super) struct Held(BTreeSet<String>);

impl Held {
    /// Whether `right` is among them.
    pub(super) fn has(&self, right: &str) -> bool {
        self.0.contains(right) || self.0.contains("ALL PRIVILEGES") || self.0.contains("ALL")
    }
}

impl Grants {
    /// Takes one line. What is no grant of rights on something (a role, a proxy) is passed over.
    pub(super) fn take(&mut self, line: &str) {
        // In a client's batch output `\` is doubled.
        let line = line.replace("\\\\", "\\");
        let (is_revoked, rest) = match (line.strip_prefix("GRANT "), line.strip_prefix("REVOKE ")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return,
        };
        let Some((rights, rest)) = rest.split_once(" ON ") else { return };
        let Some((database, rest)) = name(rest) else { return };
        let Some((table, _)) = rest.strip_prefix('.').and_then(name) else { return };
        // Of `SELECT (a, b), INSERT` only what holds for whole tables counts.
        let mut whole = String::new();
        let mut depth = 0_u32;
        for c in rights.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ',' if depth > 0 => whole.push(';'),
                _ => whole.push(c),
            }
        }
        let rights = whole.split(", ").map(|right| right.trim().to_owned()).collect();
        self.grants.push(Grant { rights, is_revoked, database, table });
    }

    /// Rights that hold for everything in `database`.
    pub(super) fn on(&self, database: &str) -> Held {
        let mut held = BTreeSet::new();
        for grant in self.grants.iter().filter(|grant| grant.table.is_none()) {
            if grant.database.as_deref().is_some_and(|pattern| !matches(pattern, database)) {
                continue;
            }
            match grant.is_revoked {
                false => held.extend(grant.rights.iter().cloned()),
                true => held.retain(|right| !grant.rights.contains(right)),
            }
        }
        Held(held)
    }

    /// Whether a table can be read.
    pub(super) fn may_select(&self, database: &str, table: &str) -> bool {
        self.on(database).has("SELECT")
            || self.grants.iter().any(|grant| {
                grant.rights.contains("SELECT")
                    && grant.database.as_deref() == Some(database)
                    && grant.table.as_deref() == Some(table)
            })
    }

    /// Whether routines of others can be seen: with a right on all of them, or on the table that holds them.
    pub(super) fn sees_routines(&self, database: &str) -> bool {
        let held = self.on(database);
        ["SHOW CREATE ROUTINE", "EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE"].iter().any(|right| held.has(right))
            || self.may_select("mysql", "proc")
            || self.grants.iter().any(|grant| grant.database.is_none() && grant.rights.contains("SHOW_ROUTINE"))
    }
}

/// A quoted name or `*`, and what follows.
fn name(text: &str) -> Option<(Option<String>, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((None, rest));
    }
    let rest = text.strip_prefix('`')?;
    let mut out = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '`' if chars.peek().is_some_and(|(_, next)| *next == '`') => {
                chars.next();
                out.push('`');
            }
            '`' => return Some((Some(out), &rest[at + 1..])),
            _ => out.push(c),
        }
    }
    None
}

/// A grant's database is a pattern: `%` is anything, `_` one character, `\` takes either for itself. A pattern comes from a
/// peer: after each `%` only the last one is ever tried again, so that it cannot take long.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Char(chars.next().unwrap_or('\\')),
            other => Part::Char(other),
        });
    }
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut in_name, mut again) = (0, 0, None);
    while in_name < name.len() {
        match parts.get(at) {
            Some(Part::Any) => {
                again = Some((at, in_name));
                at += 1;
                continue;
            }
            Some(Part::Char(c)) if *c == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
            Some(Part::One) => (at, in_name) = (at + 1, in_name + 1),
            _ => match again {
                Some((any, from)) => {
                    again = Some((any, from + 1));
                    (at, in_name) = (any + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts.iter().skip(at).all(|part| matches!(part, Part::Any))
}

enum Part {
    Any,
    One,
    Char(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(lines: &[&str]) -> Grants {
        let mut grants = Grants::default();
        lines.iter().for_each(|line| grants.take(line));
        grants
    }

    #[test]
    fn rights_on_a_database_are_told_from_rights_on_tables() {
        let all = grants(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"]);
        assert!(all.on("x").has("TRIGGER") && all.sees_routines("x"));
        let some = grants(&[
            "GRANT USAGE ON *.* TO `u`@`h` IDENTIFIED BY PASSWORD '*AB'",
            "GRANT SELECT, SHOW VIEW ON `sh\\\\_p`.* TO `u`@`h`",
            "GRANT SELECT (`a`, `TRIGGER`), INSERT ON `sh_p`.`o``dd` TO `u`@`h`",
            "GRANT SELECT ON `mysql`.`proc` TO `u`@`h`",
            "GRANT `role` TO `u`@`h`",
            "GRANT PROXY ON ''@'%' TO `u`@`h`",
        ]);
        let held = some.on("sh_p");
        assert!(held.has("SELECT") && held.has("SHOW VIEW") && !held.has("TRIGGER"));
        assert!(!some.on("shop").has("SELECT"), "an escaped _ is itself");
        assert!(some.sees_routines("sh_p"));
        let tables = grants(&["GRANT SELECT ON `d`.`t` TO `u`@`h`", "GRANT INSERT ON `d`.`i` TO `u`@`h`"]);
        assert!(!tables.on("d").has("SELECT") && tables.may_select("d", "t") && !tables.may_select("d", "i"));
        let taken = grants(&["GRANT SELECT ON *.* TO `u`@`h`", "REVOKE SELECT ON `d`.* FROM `u`@`h`"]);
        assert!(taken.on("e").has("SELECT") && !taken.on("d").has("SELECT"));
    }

    #[test]
    fn patterns_match_as_the_server_does() {
        for (pattern, name, does) in [
            ("shop", "shop", true),
            ("sho_", "shop", true),
            ("sho\\_", "shop", false),
            ("%", "", true),
            ("a%c", "abbc", true),
            ("a%c", "abbd", false),
            ("é%", "éa", true),
        ] {
            assert_eq!(matches(pattern, name), does, "{pattern} {name}");
        }
    }
}
