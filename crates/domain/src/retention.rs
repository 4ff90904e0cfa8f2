//! Which copies of a task's backups stay at one destination, which go, and why.
//!
//! Nothing here may let a copy go unless a newer copy at the same destination has been verified, and never the newest
//! verified one or the newest without warnings, whatever the rule says. Order is the order of backup ids, never of
//! clocks: a clock that jumps makes a copy look old or new, but not newer than another.

use crate::ids::{BackupCopyId, BackupId};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// What a task says of keeping its backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// So many of the newest stay; 0 = no limit.
    pub keep_last: u32,
    /// Older ones go; none = no limit.
    pub max_age_secs: Option<i64>,
    /// So many of the newest stay whatever the other limits say.
    pub floor: u32,
    /// How long what goes lies in the recycle bin; 0 = it is deleted at once.
    pub recycle_secs: i64,
}

/// How far a backup can be trusted to hold what its task should hold. The order is from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quality {
    /// Its run succeeded without a warning, everywhere.
    Clean,
    /// There were warnings, or another destination failed.
    Flawed,
    /// It is much smaller than those before it: it pushes no better one out.
    Doubtful,
}

/// One committed copy at the destination that is planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The copy.
    pub copy_id: BackupCopyId,
    /// The backup it is a copy of: the greater, the newer.
    pub backup_id: BackupId,
    /// When the backup was made.
    pub created_at: DateTime<Utc>,
    /// It was read back and authenticated (V1 or better), and nothing bad has been seen of it since.
    pub is_sound: bool,
    /// Of its backup.
    pub quality: Quality,
    /// Somebody said that it stays.
    pub is_held: bool,
    /// It was brought by somebody and not made by a run.
    pub is_uploaded: bool,
    /// A restore or a copy job needs it now.
    pub is_being_read: bool,
}

/// Why a copy stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// Somebody holds it.
    Held,
    /// Uploads are never counted and never go by themselves.
    Uploaded,
    /// It is being read.
    BeingRead,
    /// The newest verified copy at this destination.
    NewestVerified,
    /// The newest copy without warnings at this destination.
    NewestWithoutWarnings,
    /// No newer copy at this destination has been verified.
    NoNewerVerified,
    /// One of the `floor` newest.
    Floor,
    /// Neither too many nor too old.
    WithinLimits,
}

/// Why a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoReason {
    /// `keep_last` newer ones are there.
    TooMany,
    /// It is older than `max_age_secs`.
    TooOld,
    /// Its time in the recycle bin is over, or the bin is emptied.
    BinEnded,
    /// A person asked for it.
    Asked,
}

impl KeepReason {
    /// The wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Uploaded => "uploaded",
            Self::BeingRead => "being_read",
            Self::NewestVerified => "newest_verified",
            Self::NewestWithoutWarnings => "newest_without_warnings",
            Self::NoNewerVerified => "no_newer_verified",
            Self::Floor => "floor",
            Self::WithinLimits => "within_limits",
        }
    }
}

impl GoReason {
    /// The wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooOld => "too_old",
            Self::BinEnded => "bin_ended",
            Self::Asked => "asked",
        }
    }
}

/// What becomes of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for every one of these reasons.
    Keep(Vec<KeepReason>),
    /// Into the recycle bin.
    Recycle(GoReason),
    /// For good.
    Delete(GoReason),
}

impl Verdict {
    /// Whether the rule would have taken it, and only the guard keeps it: it is the best that there is.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        use KeepReason::{NewestVerified, NewestWithoutWarnings, NoNewerVerified};
        let guards = |reason: &KeepReason| matches!(reason, NewestVerified | NewestWithoutWarnings | NoNewerVerified);
        matches!(self, Self::Keep(reasons) if !reasons.is_empty() && reasons.iter().all(guards))
    }

    /// Whether it stays.
    #[must_use]
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Keep(_))
    }
}

/// One copy and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The copy.
    pub copy_id: BackupCopyId,
    /// Its backup.
    pub backup_id: BackupId,
    /// The verdict.
    pub verdict: Verdict,
}

/// A copy in the recycle bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned {
    /// The copy.
    pub copy: Copy,
    /// A person put it there, and answers for it.
    pub is_asked_for: bool,
}

/// What of the copies newer than the one in hand has been seen, the newest first.
#[derive(Clone, Copy, Debug, Default)]
struct Newer {
    /// Verified and counted, not doubtful.
    counted: u32,
    /// Those and the doubtful ones.
    counted_with_doubtful: u32,
    /// A verified one, not doubtful; held ones are proof too.
    has_proof: bool,
    /// A verified one.
    has_any_proof: bool,
    has_clean: bool,
    has_sound_clean: bool,
}

impl Newer {
    fn add(&mut self, copy: &Copy) {
        // An upload says nothing of what the runs of a task are worth.
        if copy.is_uploaded {
            return;
        }
        let is_clean = copy.quality == Quality::Clean;
        self.has_clean |= is_clean;
        if !copy.is_sound {
            return;
        }
        let is_doubtful = copy.quality == Quality::Doubtful;
        self.has_any_proof = true;
        self.has_proof |= !is_doubtful;
        self.has_sound_clean |= is_clean;
        if !copy.is_held {
            self.counted_with_doubtful += 1;
            self.counted += u32::from(!is_doubtful);
        }
    }

    /// How many count as newer than `copy`: a doubtful one does not push a better one out.
    fn count_for(&self, copy: &Copy) -> u32 {
        if copy.quality == Quality::Doubtful { self.counted_with_doubtful } else { self.counted }
    }

    fn proves(&self, copy: &Copy) -> bool {
        if copy.quality == Quality::Doubtful { self.has_any_proof } else { self.has_proof }
    }

    /// What protects `copy` whatever any rule says.
    fn protection(&self, copy: &Copy) -> Vec<KeepReason> {
        let is_clean = copy.quality == Quality::Clean;
        let is_newest_clean = is_clean && (!self.has_clean || (copy.is_sound && !self.has_sound_clean));
        let mut reasons = Vec::new();
        let mut add = |holds: bool, reason| {
            if holds {
                reasons.push(reason);
            }
        };
        add(copy.is_held, KeepReason::Held);
        add(copy.is_uploaded, KeepReason::Uploaded);
        add(copy.is_being_read, KeepReason::BeingRead);
        if !copy.is_uploaded {
            add(copy.is_sound && !self.has_any_proof, KeepReason::NewestVerified);
            add(is_newest_clean, KeepReason::NewestWithoutWarnings);
            add(!self.proves(copy), KeepReason::NoNewerVerified);
        }
        reasons
    }
}

/// What becomes of `copies`: the committed ones of one task at one destination, in any order. The answer is in order of
/// backups, the newest first, and names each copy once.
#[must_use]
pub fn plan(copies: &[Copy], rule: &Rule, now: DateTime<Utc>) -> Vec<Decision> {
    let mut newer = Newer::default();
    let mut decisions = Vec::with_capacity(copies.len());
    for copy in newest_first(copies) {
        let verdict = verdict(copy, &newer, rule, now);
        decisions.push(Decision { copy_id: copy.copy_id, backup_id: copy.backup_id, verdict });
        newer.add(copy);
    }
    decisions
}

fn verdict(copy: &Copy, newer: &Newer, rule: &Rule, now: DateTime<Utc>) -> Verdict {
    let mut reasons = newer.protection(copy);
    let rank = newer.count_for(copy);
    let is_one_too_many = rule.keep_last > 0 && rank >= rule.keep_last;
    let is_too_old = rule.max_age_secs.is_some_and(|limit| is_older(copy.created_at, limit, now));
    let goes = match (is_one_too_many, is_too_old) {
        (true, _) => Some(GoReason::TooMany),
        (false, true) => Some(GoReason::TooOld),
        (false, false) => None,
    };
    // What is never counted is never among the newest of those that are.
    if rank < rule.floor && !copy.is_held && !copy.is_uploaded {
        reasons.push(KeepReason::Floor);
    }
    match goes {
        Some(reason) if reasons.is_empty() && rule.recycle_secs > 0 => Verdict::Recycle(reason),
        Some(reason) if reasons.is_empty() => Verdict::Delete(reason),
        Some(_) => Verdict::Keep(reasons),
        None => {
            reasons.push(KeepReason::WithinLimits);
            Verdict::Keep(reasons)
        }
    }
}

/// What becomes of copies in the recycle bin whose time is over, or that are to go now. `committed` are the copies of the
/// same task at the same destination that are not in the bin. What a person put there goes unless it is held or read;
/// what a rule put there goes only while a copy outside the bin protects nothing less than on the day it was put there.
#[must_use]
pub fn plan_bin(committed: &[Copy], binned: &[Binned]) -> Vec<Decision> {
    let decide = |candidate: &Binned| {
        let copy = &candidate.copy;
        let mut newer = Newer::default();
        for other in committed.iter().filter(|other| other.backup_id > copy.backup_id) {
            newer.add(other);
        }
        let mut reasons = newer.protection(copy);
        if candidate.is_asked_for {
            reasons.retain(|reason| matches!(reason, KeepReason::Held | KeepReason::BeingRead));
        }
        let verdict = if reasons.is_empty() { Verdict::Delete(GoReason::BinEnded) } else { Verdict::Keep(reasons) };
        Decision { copy_id: copy.copy_id, backup_id: copy.backup_id, verdict }
    };
    binned.iter().map(decide).collect()
}

/// Whether `backup` is the last of its task that is known to be good, anywhere: what a person must confirm before it goes.
/// `copies` are the task's committed ones at every destination.
#[must_use]
pub fn is_last_good(backup: BackupId, copies: &[Copy]) -> bool {
    let is_proof = |copy: &&Copy| copy.is_sound && !copy.is_uploaded;
    let mut good = copies.iter().filter(is_proof).peekable();
    good.peek().is_some() && good.all(|copy| copy.backup_id == backup)
}

fn newest_first(copies: &[Copy]) -> Vec<&Copy> {
    let mut ordered: Vec<&Copy> = copies.iter().collect();
    ordered.sort_by_key(|copy| std::cmp::Reverse((copy.backup_id, copy.copy_id)));
    ordered
}

/// A time that lies ahead (a clock went back) is not old.
fn is_older(at: DateTime<Utc>, limit_secs: i64, now: DateTime<Utc>) -> bool {
    let limit = TimeDelta::try_seconds(limit_secs).unwrap_or(TimeDelta::MAX);
    now.signed_duration_since(at) > limit
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
