//! The table at the end.

/// One line of it; empty texts where a column does not apply.
#[derive(Default)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) read_bytes: Option<u64>,
    pub(super) stored_bytes: Option<u64>,
    pub(super) seconds: f64,
    /// Seconds of the transfer alone, for the speed.
    pub(super) transfer_seconds: Option<f64>,
    pub(super) verified: String,
    pub(super) equal: String,
    pub(super) worker: String,
}

const MIB: f64 = 1_048_576.0;
const HEAD: [&str; 9] = ["", "read", "stored", "ratio", "MiB/s", "seconds", "verified", "equal", "worker"];

/// The table as text, columns aligned.
pub(super) fn table(rows: &[Row]) -> String {
    let mut cells: Vec<[String; 9]> = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(Row::cells));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::from("\n");
    for row in &cells {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers stand at the right of their column.
            let is_number = (1..=5).contains(&column);
            line.push_str(&if is_number { format!(" {cell:>width$} ") } else { format!(" {cell:<width$} ") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    text
}

impl Row {
    fn cells(&self) -> [String; 9] {
        let mib = |bytes: Option<u64>| bytes.map(|bytes| format!("{:.1} MiB", bytes as f64 / MIB)).unwrap_or_default();
        let ratio = match (self.read_bytes, self.stored_bytes) {
            (Some(read), Some(stored)) if stored > 0 => format!("{:.2}", read as f64 / stored as f64),
            _ => String::new(),
        };
        let seconds = self.transfer_seconds.unwrap_or(self.seconds);
        let speed =
            self.read_bytes.filter(|_| seconds > 0.0).map(|bytes| format!("{:.0}", bytes as f64 / MIB / seconds));
        [
            self.what.clone(),
            mib(self.read_bytes),
            mib(self.stored_bytes),
            ratio,
            speed.unwrap_or_default(),
            format!("{:.1}", self.seconds),
            self.verified.clone(),
            self.equal.clone(),
            self.worker.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_what_does_not_apply_is_empty() {
        let backup = Row {
            what: "backup".to_owned(),
            read_bytes: Some(200 << 20),
            stored_bytes: Some(100 << 20),
            seconds: 2.5,
            transfer_seconds: Some(2.0),
            verified: "yes".to_owned(),
            worker: "w1".to_owned(),
            ..Row::default()
        };
        let restore = Row { what: "restore".to_owned(), seconds: 1.0, equal: "yes".to_owned(), ..Row::default() };
        let text = table(&[backup, restore]);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["backup", "200.0", "MiB", "100.0", "MiB", "2.00", "100", "2.5", "yes", "w1"]
        );
        assert_eq!(lines[0].find("equal"), lines[2].find("yes"));
    }
}
