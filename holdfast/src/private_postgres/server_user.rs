//! Postgres refuses to run as root. Started by root, it runs as the user `postgres`, or else `nobody`; started by
//! anybody else, as that user.

use anyhow::{Context, Result, bail};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::process::Command;

/// A user of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    /// Log-in name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Who runs the server, and who connects to it.
#[derive(Clone, Debug)]
pub struct Users {
    /// This process's own user: the one that may connect.
    pub own: SystemUser,
    /// The server's user; none if it is our own.
    pub server: Option<SystemUser>,
}

impl Users {
    /// Looks both up.
    ///
    /// # Errors
    /// The user of this process has no name, which Postgres needs.
    pub fn find() -> Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
        let uid = rustix::process::geteuid();
        let own = by(&passwd, |user| user.uid == uid.as_raw())
            .with_context(|| format!("user id {} has no name in /etc/passwd, which PostgreSQL needs", uid.as_raw()))?;
        let named = |name: &str| by(&passwd, |user| user.name == name);
        let server = if uid.is_root() {
            Some(named("postgres").or_else(|| named("nobody")).context(
                "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as: \
                 apt-get install postgresql",
            )?)
        } else {
            None
        };
        Ok(Self { own, server })
    }

    /// Makes `command` run as the server's user, in a folder that any user may be in.
    pub fn run_as_server<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(user) = &self.server {
            command.uid(user.uid).gid(user.gid);
        }
        command.current_dir("/")
    }

    /// Gives `path` to the server's user.
    ///
    /// # Errors
    /// The system refused.
    pub fn give(&self, path: &Path) -> Result<()> {
        if let Some(user) = &self.server {
            std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))
                .with_context(|| format!("{} cannot be given to the user `{}`", path.display(), user.name))?;
        }
        Ok(())
    }

    /// Refuses a place that the server's user cannot reach, and names the folder that is in the way.
    ///
    /// # Errors
    /// One folder on the way lets only others pass.
    pub fn check_way_to(&self, path: &Path) -> Result<()> {
        let Some(user) = &self.server else { return Ok(()) };
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        for folder in way {
            let meta = folder.metadata().with_context(|| format!("{} cannot be looked at", folder.display()))?;
            let passable = match (meta.uid() == user.uid, meta.gid() == user.gid) {
                (true, _) => 0o100,
                (_, true) => 0o010,
                _ => 0o001,
            };
            if meta.mode() & passable == 0 {
                bail!(
                    "the private PostgreSQL runs as the user `{}`, which may not pass through {folder}: use a data \
                     folder elsewhere (such as /var/lib/holdfast), or run `chmod o+x {folder}`",
                    user.name,
                    folder = folder.display()
                );
            }
        }
        Ok(())
    }
}

fn by(passwd: &str, wanted: impl Fn(&SystemUser) -> bool) -> Option<SystemUser> {
    passwd.lines().filter_map(parse).find(wanted)
}

fn parse(line: &str) -> Option<SystemUser> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(SystemUser { name, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_line_of_passwd_is_read_and_a_broken_one_passed_over() {
        let passwd = "broken\nroot:x:0:0:root:/root:/bin/bash\npostgres:x:103:110:PostgreSQL:/var/lib:/bin/bash\n";
        let user = by(passwd, |u| u.name == "postgres").unwrap();
        assert_eq!((user.uid, user.gid), (103, 110));
        assert!(by(passwd, |u| u.name == "broken").is_none());
    }

    #[test]
    fn the_folder_in_the_way_is_named() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let closed = dir.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        let own = SystemUser { name: "root".into(), uid: 0, gid: 0 };
        let server = SystemUser { name: "postgres".into(), uid: 4_000_000, gid: 4_000_000 };
        let users = Users { own, server: Some(server) };
        for (path, mode) in [(dir.path(), 0o755), (&closed, 0o700)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        users.check_way_to(dir.path()).unwrap();
        let error = users.check_way_to(&closed).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod o+x {}", closed.display())), "{error}");
    }
}
