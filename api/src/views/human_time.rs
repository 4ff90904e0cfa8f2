//! Days in words, in the three languages of the page. A library of locales would be a feature of chrono that every crate
//! of the workspace then carries, for these 57 words.

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;

struct Words {
    /// From Monday on.
    days: [&'static str; 7],
    months: [&'static str; 12],
}

const ENGLISH: Words = Words {
    days: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
};

const DANISH: Words = Words {
    days: ["mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag"],
    months: [
        "januar",
        "februar",
        "marts",
        "april",
        "maj",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "december",
    ],
};

const GERMAN: Words = Words {
    days: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
};

/// `Friday, 20 November 2026 21:00`; the first letter is a capital in every language. An unknown language is English.
#[must_use]
pub fn full(at: DateTime<Tz>, language: &str) -> String {
    let words = match language {
        "da" => &DANISH,
        "de" => &GERMAN,
        _ => &ENGLISH,
    };
    let word = |list: &[&'static str], at: u32| usize::try_from(at).ok().and_then(|at| list.get(at)).copied();
    let day = word(&words.days, at.weekday().num_days_from_monday()).unwrap_or_default();
    let month = word(&words.months, at.month0()).unwrap_or_default();
    let mut letters = day.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}, {} {month} {} {}", letters.as_str(), at.day(), at.year(), at.format("%H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_day_is_told_in_the_readers_language() {
        let at = Tz::Europe__Berlin.with_ymd_and_hms(2026, 11, 20, 20, 0, 0).unwrap();
        assert_eq!(full(at, "en"), "Friday, 20 November 2026 20:00");
        assert_eq!(full(at, "de"), "Freitag, 20 November 2026 20:00");
        assert_eq!(full(at, "da"), "Fredag, 20 november 2026 20:00");
        let at = Tz::UTC.with_ymd_and_hms(2027, 3, 7, 4, 5, 0).unwrap();
        assert_eq!(full(at, "de"), "Sonntag, 7 März 2027 04:05");
        assert_eq!(full(at, "xx"), "Sunday, 7 March 2027 04:05");
    }
}
