//! Progress bars: drawn on a terminal's standard error, silent elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `count` of `unit`.
pub fn bar(count: usize, unit: &'static str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{eta}}");
    let style = ProgressStyle::with_template(&template).expect("the template is well-formed");
    ProgressBar::new(count as u64).with_style(style)
}

/// A bar over `count` simulated cycles, with their rate.
pub fn cycles(count: u64) -> ProgressBar {
    let template = "{wide_bar} {human_pos}/{human_len} cycles {per_sec} {eta}";
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    ProgressBar::new(count).with_style(style)
}
