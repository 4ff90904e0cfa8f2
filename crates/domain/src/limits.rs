//! What a team may have. 0 is no limit.

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// One thing that is limited. The text form is on the wire, in the configuration and in `team_limits`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit {
            $($(#[$doc])* $name),+
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &'static [Limit] = &[$(Limit::$name),+];

            /// The wire form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Limit::$name => $text),+ }
            }

            /// The limit with this wire form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Limit::$name),)+ _ => None }
            }
        }
    };
}

limits! {
    /// People of the team.
    Members = "members",
    /// Servers that are not deleted.
    RemoteServers = "remote_servers",
    /// Destinations that are not deleted.
    BackupDestinations = "backup_destinations",
    /// Tasks that are not deleted.
    BackupTasks = "backup_tasks",
    /// Notification streams.
    NotificationStreams = "notification_streams",
    /// Scripts.
    Scripts = "scripts",
    /// Secrets of scripts.
    ScriptSecrets = "script_secrets",
    /// Tokens that are neither revoked nor expired.
    Tokens = "tokens",
    /// Runs that are queued or running.
    RunsAtOnce = "runs_at_once",
    /// Seconds that must lie between two scheduled runs of a task. Here more is stricter.
    MinIntervalSecs = "min_interval_secs",
    /// Bytes that the team's copies take, by record.
    StoredBytes = "stored_bytes",
    /// Messages that leave within an hour.
    NotificationsPerHour = "notifications_per_hour",
}

/// A number for each limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TeamLimits([u64; Limit::ALL.len()]);

impl TeamLimits {
    /// From names and numbers; a name that is no limit is passed over (a row of a newer version).
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut limits = Self::default();
        for (name, number) in pairs {
            if let Some(limit) = Limit::parse(name) {
                limits.set(limit, number);
            }
        }
        limits
    }

    /// The number; none when there is no limit.
    #[must_use]
    pub fn of(&self, limit: Limit) -> Option<u64> {
        Some(self.0[limit as usize]).filter(|number| *number > 0)
    }

    /// Sets one.
    pub fn set(&mut self, limit: Limit, number: u64) {
        self.0[limit as usize] = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_zero_is_no_limit() {
        for limit in Limit::ALL {
            assert_eq!(Limit::parse(limit.as_str()), Some(*limit));
        }
        let limits = TeamLimits::from_pairs([("tokens", 3), ("members", 0), ("of_tomorrow", 9)]);
        assert_eq!((limits.of(Limit::Tokens), limits.of(Limit::Members)), (Some(3), None));
    }
}
