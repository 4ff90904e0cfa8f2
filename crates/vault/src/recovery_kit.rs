//! What a team needs to read its backups without Holdfast: one page of text with its keys and the commands. It is a
//! secret as a whole; `admin recovery-kit` prints it to whoever runs the command, and nothing stores it.

use secrecy::{ExposeSecret, SecretString};

/// What the page tells. Secrets are opened by the caller for this one use.
pub struct RecoveryKit<'a> {
    /// The team's name.
    pub team_name: &'a str,
    /// The team's folder at local destinations.
    pub team_uuid: uuid::Uuid,
    /// `age1…`
    pub age_recipient: &'a str,
    /// `AGE-SECRET-KEY-1…`
    pub age_identity: &'a SecretString,
    /// 32 bytes.
    pub mac_key: &'a [u8],
    /// `ssh-ed25519 AAAA… holdfast-team-1`
    pub ssh_public: &'a str,
}

impl RecoveryKit<'_> {
    /// The page.
    #[must_use]
    pub fn render(&self) -> SecretString {
        let mac_key = zeroize::Zeroizing::new(hex::encode(self.mac_key));
        // A name with a line break could pretend to be part of the page.
        let team_name: String = self.team_name.chars().filter(|c| !c.is_control()).collect();
        SecretString::from(format!(
            include_str!("recovery_kit.txt"),
            team_name = team_name,
            team_uuid = self.team_uuid,
            age_recipient = self.age_recipient,
            age_identity = self.age_identity.expose_secret(),
            mac_key = mac_key.as_str(),
            ssh_public = self.ssh_public,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// The commands of the page, run as they stand there, give the tree back.
    #[test]
    fn the_printed_commands_open_a_backup() {
        let dir = tempfile::tempdir().unwrap();
        let scalar = age::x25519::Identity::generate();
        let identity = SecretString::from(age::secrecy::ExposeSecret::expose_secret(&scalar.to_string()).to_owned());
        let recipient = scalar.to_public().to_string();
        let kit = RecoveryKit {
            team_name: "Ann's\nteam",
            team_uuid: uuid::Uuid::nil(),
            age_recipient: &recipient,
            age_identity: &identity,
            mac_key: &[7; 32],
            ssh_public: "ssh-ed25519 AAAA holdfast-team-1",
        };
        let page = kit.render();
        let page = page.expose_secret();
        assert!(page.contains("Ann'steam") && page.contains(&"07".repeat(32)));
        let script = "set -e; mkdir tree; printf hello > tree/a; tar -cf - tree | zstd -q \
                      | age -r \"$1\" > backup.tar.zst.age; rm -r tree";
        assert!(shell(dir.path(), script, &recipient));
        std::fs::write(dir.path().join("kit.txt"), page).unwrap();
        let commands: String =
            page.lines().filter_map(|l| l.strip_prefix("    ")).fold(String::new(), |a, l| a + l + "\n");
        assert!(shell(dir.path(), &format!("set -e\n{commands}"), ""), "{commands}");
        assert_eq!(std::fs::read_to_string(dir.path().join("restored/tree/a")).unwrap(), "hello");
    }

    fn shell(dir: &std::path::Path, script: &str, argument: &str) -> bool {
        let mut command = Command::new("sh");
        command.current_dir(dir).args(["-c", script, "sh", argument]).stdin(Stdio::null());
        command.status().unwrap().success()
    }
}
