//! Numbers and how they are written.

pub(crate) const MIB: f64 = 1_048_576.0;

/// One measurement of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Wall time.
    pub(crate) seconds: f64,
    /// Processor seconds, user and system, of our side: what runs on the server is not in it.
    pub(crate) cpu_seconds: f64,
}

/// The middle of `values`, or of the two middle ones; 0 without any.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        len if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Every value, to two places, in the order it was measured.
pub(crate) fn listed(values: impl IntoIterator<Item = f64>) -> String {
    values.into_iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }
}
