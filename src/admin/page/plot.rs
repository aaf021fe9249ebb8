//! A small plot of the last hour: one bar a minute, drawn as SVG by the gateway.

use std::fmt::Write;

use askama::Template;
use askama::filters::HtmlSafe;

use super::samples::POINTS;

/// A headline, and the bars below it.
#[derive(Template)]
#[template(path = "plot.html")]
pub(super) struct Plot {
    id: &'static str,
    title: &'static str,
    /// The figure that matters.
    figure: u64,
    /// What the figure is, and what else is worth saying.
    caption: String,
    /// The highest bar.
    most: u64,
    path: String,
}

impl HtmlSafe for Plot {}

impl Plot {
    pub(super) fn new(id: &'static str, title: &'static str, figure: u64, caption: String, values: &[u64]) -> Self {
        let most = values.iter().copied().max().unwrap_or_default();
        Self { id, title, figure, caption, most, path: bars(values, most) }
    }
}

/// The path of an SVG that is [`POINTS`] wide and [`HEIGHT`] high; the last value stands at the right.
fn bars(values: &[u64], most: u64) -> String {
    let values = values.get(values.len().saturating_sub(POINTS)..).unwrap_or_default();
    let mut path = String::new();
    for (x, value) in (POINTS - values.len()..).zip(values).filter(|(_, value)| **value > 0) {
        // In tenths: wide enough for any count, and what is not nought is seen.
        let tenths = (u128::from(*value) * HEIGHT * 10 / u128::from(most.max(1))).max(10);
        let _ = write!(path, "M{x} {HEIGHT}v-{}.{}h.8V{HEIGHT}z", tenths / 10, tenths % 10);
    }
    path
}

const HEIGHT: u128 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_minute_and_the_last_one_is_at_the_right() {
        assert_eq!(bars(&[], 0), "");
        assert_eq!(bars(&[0, 0], 0), "");
        assert_eq!(bars(&[4, 0, 2, 1_000_000], 1_000_000), "M56 24v-1.0h.8V24zM58 24v-1.0h.8V24zM59 24v-24.0h.8V24z");
        assert_eq!(bars(&[u64::MAX; 100], u64::MAX).matches('M').count(), POINTS, "no more than there is room for");
    }
}
