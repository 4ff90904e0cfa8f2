//! What the weekly digest says. Pure: figures in, text out. Names are somebody's own words: one printable line each.

use chrono::{DateTime, Utc};
use holdfast_domain::failure::printable;
use holdfast_domain::schedule::local_time;
use holdfast_notify::human_size;
use holdfast_store::repositories::digests::{LastSuccess, WeekFigures};
use std::fmt::Write as _;

/// Tasks of a team that are named; those whose last success is the oldest.
pub const TASKS_NAMED: i64 = 20;
/// Longest name.
const NAME_CHARS: usize = 100;

/// One team's part.
pub struct TeamWeek {
    /// Sums.
    pub figures: WeekFigures,
    /// The oldest first.
    pub tasks: Vec<LastSuccess>,
}

/// The whole mail: what ended from `since` on and before `until`, in `zone`'s time.
#[must_use]
pub fn write(teams: &[TeamWeek], (since, until): (DateTime<Utc>, DateTime<Utc>), zone: &str) -> String {
    let mut text = format!("Your backups from {} to {}.\n", local_time(since, zone), local_time(until, zone));
    for team in teams {
        text.push('\n');
        team.write(&mut text, zone);
    }
    if teams.is_empty() {
        text.push_str("\nYou are in no team.\n");
    }
    text.push_str(
        "\nYou get this mail every Monday because you switched it on; `weekly_summary_enabled` switches it off.\n",
    );
    text
}

impl TeamWeek {
    fn write(&self, text: &mut String, zone: &str) {
        let figures = &self.figures;
        let bytes = human_size(u64::try_from(figures.stored_bytes).unwrap_or(0));
        // Writing to a string does not fail.
        let _ = writeln!(text, "Team {}", printable(&figures.team, NAME_CHARS));
        let _ = writeln!(
            text,
            "Runs: {}. Failed: {}. Only at some destinations: {}. With warnings: {}. Stored: {bytes}.",
            figures.runs, figures.failed, figures.partial, figures.warned
        );
        if self.tasks.is_empty() {
            let _ = writeln!(text, "There are no tasks.");
            return;
        }
        let _ = writeln!(text, "Last success of each task, the oldest first:");
        for task in &self.tasks {
            let at = task.at.map_or("never".to_owned(), |at| local_time(at, zone));
            let paused = if task.is_paused { ", paused" } else { "" };
            let _ = writeln!(text, "- {}: {at}{paused}", printable(&task.label, NAME_CHARS));
        }
        let named = i64::try_from(self.tasks.len()).unwrap_or(i64::MAX);
        if figures.tasks > named {
            let _ = writeln!(text, "- and {} more, with later ones", figures.tasks - named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line_and_what_is_left_out_is_counted() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let figures = WeekFigures {
            team: "Ann\r\nBcc: x@example.com".to_owned(),
            runs: 9,
            failed: 2,
            partial: 1,
            warned: 0,
            stored_bytes: 1_610_612_736,
            tasks: 3,
        };
        let task = |label: &str, at, is_paused| LastSuccess { label: label.to_owned(), at, is_paused };
        let tasks =
            vec![task("new\n- forged: today", None, false), task("web", Some(at("2026-11-28T01:00:00Z")), true)];
        let week = (at("2026-11-23T07:00:00Z"), at("2026-11-30T07:00:00Z"));
        let text = write(&[TeamWeek { figures, tasks }], week, "Europe/Berlin");
        assert!(!text.contains('\r') && !text.contains("\nBcc") && !text.contains("\n- forged"), "{text}");
        for part in [
            "from 2026-11-23 08:00 (Europe/Berlin) to 2026-11-30 08:00 (Europe/Berlin).",
            "Runs: 9. Failed: 2. Only at some destinations: 1. With warnings: 0. Stored: 1.5 GiB.",
            ": never\n- web: 2026-11-28 02:00 (Europe/Berlin), paused\n- and 1 more, with later ones\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
