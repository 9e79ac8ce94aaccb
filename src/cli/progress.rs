//! Progress bars: drawn on a terminal's standard error, silent elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `count` of `unit`.
pub fn bar(count: usize, unit: &'static str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{eta}}");
    let style = ProgressStyle::with_template(&template).expect("the template is well-formed");
    ProgressBar::new(count as u64).with_style(style)
}
