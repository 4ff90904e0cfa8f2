//! What a message says, in parts that each channel puts into its own form. All text that comes out is one line without
//! control characters and without ones that reorder what is shown; a medium's own marks are the channel's to escape.

use holdfast_domain::failure::printable;
use holdfast_domain::notification::Message;
use holdfast_domain::schedule::local_time;
use url::Url;

/// Longest title of any channel that names no shorter one.
const TITLE_CHARS: usize = 250;
/// Longest value of one fact: a label has 255 characters at most, a reason 500.
pub(crate) const VALUE_CHARS: usize = 1000;
/// Most destinations and further lines that are shown one by one.
pub(crate) const LINES_MAX: usize = 100;

/// Whether it is good news, for a colour and a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    /// A start, a summary, a test.
    Plain,
}

/// A message in parts.
pub(crate) struct Facts {
    pub(crate) title: String,
    pub(crate) tone: Tone,
    /// What is known, each with its name.
    pub(crate) named: Vec<(&'static str, String)>,
    /// Further lines.
    pub(crate) lines: Vec<String>,
    /// Where to look: an http(s) address.
    pub(crate) link: Option<String>,
}

impl Facts {
    pub(crate) fn of(message: &Message) -> Self {
        let mut named = Vec::new();
        let mut add = |name, value: Option<String>| named.extend(value.filter(|v| !v.is_empty()).map(|v| (name, v)));
        let text = |value: &Option<String>| value.as_deref().map(|text| line(text, VALUE_CHARS));
        add("Team", Some(line(&message.team, VALUE_CHARS)));
        add("Task", text(&message.task));
        add("Server", text(&message.server));
        let destinations: Vec<_> =
            message.destinations.iter().take(LINES_MAX).map(|text| line(text, VALUE_CHARS)).collect();
        add("Destinations", Some(destinations.join(", ")));
        add("State", text(&message.state));
        add("Reason", text(&message.reason));
        add("Size", message.size_bytes.map(human_size));
        add("Duration", message.duration_ms.map(duration));
        add("Next run", message.next_run_at.map(|at| local_time(at, &message.timezone)));
        let shown = message.lines.iter().take(LINES_MAX).map(|text| line(text, VALUE_CHARS));
        let mut lines: Vec<_> = shown.collect();
        if message.lines.len() > LINES_MAX {
            lines.push(format!("… and {} more", message.lines.len() - LINES_MAX));
        }
        let tone = match message.event {
            Some(event) if event.is_alarm() => Tone::Bad,
            Some(holdfast_domain::notification::EventKind::Started) | None => Tone::Plain,
            Some(_) => Tone::Good,
        };
        Self { title: line(&message.title, TITLE_CHARS), tone, named, lines, link: link(message.link.as_deref()) }
    }

    /// `Name: value` lines and the further ones, each through `escape`.
    pub(crate) fn body(&self, escape: impl Fn(&str) -> String) -> String {
        let named = self.named.iter().map(|(name, value)| format!("{name}: {}", escape(value)));
        named.chain(self.lines.iter().map(|line| escape(line))).collect::<Vec<_>>().join("\n")
    }

    /// Everything but the title as plain text; cut before its link, so that the link is whole.
    pub(crate) fn plain(&self, measure: Measure, max: usize) -> String {
        let body = self.body(str::to_owned);
        match &self.link {
            Some(link) if measure.of(link) + 1 < max => {
                format!("{}\n{link}", cut(&body, measure, max - measure.of(link) - 1))
            }
            _ => cut(&body, measure, max),
        }
    }
}

/// How a medium counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Bytes,
    Chars,
    /// UTF-16 units.
    Units,
}

impl Measure {
    fn of_char(self, c: char) -> usize {
        match self {
            Self::Bytes => c.len_utf8(),
            Self::Chars => 1,
            Self::Units => c.len_utf16(),
        }
    }

    pub(crate) fn of(self, text: &str) -> usize {
        text.chars().map(|c| self.of_char(c)).sum()
    }
}

/// At most `max` of `text`, between two characters, with an ellipsis where something was left out.
pub(crate) fn cut(text: &str, measure: Measure, max: usize) -> String {
    if measure.of(text) <= max {
        return text.to_owned();
    }
    let mut left = max.saturating_sub(measure.of_char('…'));
    let kept: String = text
        .chars()
        .take_while(|c| {
            let size = measure.of_char(*c);
            let fits = size <= left;
            left = if fits { left - size } else { 0 };
            fits
        })
        .collect();
    format!("{kept}…")
}

/// One line that can be shown.
fn line(raw: &str, max_chars: usize) -> String {
    printable(raw, max_chars).replace(['\u{2028}', '\u{2029}'], " ")
}

/// An address that a click may lead to.
fn link(raw: Option<&str>) -> Option<String> {
    let url = Url::parse(raw?).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.as_str().len() <= 500).then(|| url.to_string())
}

/// `1.5 GiB`.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `2 h 3 min 4 s`; less than a second as such.
fn duration(ms: u64) -> String {
    let secs = ms / 1000;
    let (hours, minutes, rest) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) if secs == 0 => "less than 1 s".to_owned(),
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest} s"),
        _ => format!("{hours} h {minutes} min {rest} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_as_the_medium_counts_them() {
        assert_eq!(cut("abc", Measure::Bytes, 3), "abc");
        assert_eq!(cut("äöü", Measure::Bytes, 5), "ä…");
        assert_eq!(cut("𝕏𝕏𝕏", Measure::Units, 5), "𝕏𝕏…");
        assert_eq!(cut("𝕏𝕏𝕏", Measure::Chars, 2), "𝕏…");
        for max in 0..20 {
            assert!(Measure::Bytes.of(&cut("äb𝕏cde", Measure::Bytes, max)) <= max.max(3), "{max}");
        }
    }

    #[test]
    fn figures_are_told_as_people_say_them() {
        let sizes = [0, 1023, 1024, 1_048_524, 1_048_576, 1_610_612_736].map(human_size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1023.9 KiB", "1.0 MiB", "1.5 GiB"]);
        assert_eq!(human_size(u64::MAX), "16384.0 PiB");
        let durations = [0, 999, 1000, 61_000, 3_600_000, 90_061_000].map(duration);
        assert_eq!(
            durations,
            ["less than 1 s", "less than 1 s", "1 s", "1 min 1 s", "1 h 0 min 0 s", "25 h 1 min 1 s"]
        );
        let at = chrono::DateTime::from_timestamp(1_795_914_000, 0).expect("a time");
        assert_eq!(local_time(at, "Europe/Berlin"), "2026-11-29 02:00 (Europe/Berlin)");
        assert_eq!(local_time(at, "Nowhere/At_All"), "2026-11-29 01:00 (UTC)");
    }

    #[test]
    fn only_a_web_address_is_a_link() {
        assert_eq!(link(Some("https://b.example/x")).as_deref(), Some("https://b.example/x"));
        for bad in ["javascript:alert(1)", "b.example", "", "file:///etc/passwd"] {
            assert_eq!(link(Some(bad)), None, "{bad}");
        }
    }
}
