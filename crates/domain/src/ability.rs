//! What a token or role may do. Deny by default: a route names the ability it needs.

use serde::{Deserialize, Serialize};

macro_rules! abilities {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// One thing an actor may do. The text form is on the wire and in the tokens table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Ability {
            $($(#[$doc])* #[serde(rename = $text)] $name),+
        }

        impl Ability {
            /// Every ability, in the order of this list.
            pub const ALL: &'static [Ability] = &[$(Ability::$name),+];

            /// The wire form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Ability::$name => $text),+ }
            }
        }

        impl std::str::FromStr for Ability {
            type Err = UnknownAbility;
            fn from_str(text: &str) -> Result<Self, UnknownAbility> {
                match text { $($text => Ok(Ability::$name),)+ other => Err(UnknownAbility(other.to_owned())) }
            }
        }
    };
}

/// The text names no ability.
#[derive(Debug, thiserror::Error)]
#[error("unknown ability {0:?}; see `GET /api/openapi.json` for the list")]
pub struct UnknownAbility(pub String);

abilities! {
    /// CRUD of tags (page 003's peer).
    ManageTags = "manage-tags",
    /// List and show destinations.
    ViewBackupDestinations = "view-backup-destinations",
    /// Create destinations.
    CreateBackupDestinations = "create-backup-destinations",
    /// Change and check destinations.
    UpdateBackupDestinations = "update-backup-destinations",
    /// Delete destinations.
    DeleteBackupDestinations = "delete-backup-destinations",
    /// List and show servers.
    ViewRemoteServers = "view-remote-servers",
    /// Create servers; read the team's public key.
    CreateRemoteServers = "create-remote-servers",
    /// Change and check servers, accept host keys.
    UpdateRemoteServers = "update-remote-servers",
    /// Delete servers.
    DeleteRemoteServers = "delete-remote-servers",
    /// List and show notification streams.
    ViewNotificationStreams = "view-notification-streams",
    /// Create notification streams.
    CreateNotificationStreams = "create-notification-streams",
    /// Change notification streams.
    UpdateNotificationStreams = "update-notification-streams",
    /// Delete notification streams.
    DeleteNotificationStreams = "delete-notification-streams",
    /// List and show scripts, and the names of their secrets.
    ViewScripts = "view-scripts",
    /// Create, change, delete and test scripts and their secrets, and attach scripts to tasks: to run commands on servers.
    ManageScripts = "manage-scripts",
    /// List and show tasks, runs and logs.
    ViewBackupTasks = "view-backup-tasks",
    /// Create tasks.
    CreateBackupTasks = "create-backup-tasks",
    /// Change tasks.
    UpdateBackupTasks = "update-backup-tasks",
    /// Delete tasks.
    DeleteBackupTasks = "delete-backup-tasks",
    /// Start and cancel runs, and copies of backups.
    RunBackupTasks = "run-backup-tasks",
    /// List and show backups and the names of the files in them.
    ViewBackups = "view-backups",
    /// Hold backups and bring them back from the recycle bin.
    UpdateBackups = "update-backups",
    /// Recycle, prune and delete backups, empty the recycle bin.
    DeleteBackups = "delete-backups",
    /// Read the content of backups.
    DownloadBackups = "download-backups",
    /// Start, see and cancel restores.
    RestoreBackups = "restore-backups",
    /// Delete a server or destination together with the tasks that use it.
    CascadeDelete = "cascade-delete",
    /// Make, read and delete copies of the product's own database. Of use to operators alone.
    ManageOwnBackups = "manage-own-backups",
    /// Read and verify the team's audit log.
    ViewAuditEvents = "view-audit-events",
    /// List, make, suspend and delete people, and set teams' limits. Of use to operators alone.
    ManageUsers = "manage-users",
    /// See workers and their periodic jobs, and have one run now. Of use to operators alone.
    ManageWorkers = "manage-workers",
}

/// What one actor may do: everything (`*`) or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abilities {
    /// `*`
    All,
    /// Exactly these.
    Only(Vec<Ability>),
}

impl Abilities {
    /// Reads the stored or typed form: `["*"]` or names.
    ///
    /// # Errors
    /// The first name that is no ability.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownAbility> {
        let mut list = Vec::new();
        for name in names {
            if name == "*" {
                return Ok(Self::All);
            }
            list.push(name.parse()?);
        }
        Ok(Self::Only(list))
    }

    /// Whether `ability` is among them.
    #[must_use]
    pub fn allow(&self, ability: Ability) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.contains(&ability),
        }
    }

    /// The stored form.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec!["*"],
            Self::Only(list) => list.iter().map(|a| a.as_str()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_and_unknown_names_are_refused() {
        for ability in Ability::ALL {
            assert_eq!(ability.as_str().parse::<Ability>().ok(), Some(*ability));
        }
        assert!(Abilities::parse(["view-backups", "root"]).is_err());
    }

    #[test]
    fn nothing_is_allowed_that_is_not_listed() {
        let only = Abilities::Only(vec![Ability::ViewBackups]);
        for ability in Ability::ALL {
            assert_eq!(only.allow(*ability), *ability == Ability::ViewBackups);
        }
    }
}
