//! Tables on standard output.

use super::print::out;
use vgg2rtl::Result;
use vgg2rtl::config::ArrayConfig;

/// Prints rows under a head; the first column to the left, the others to the right.
pub fn print(head: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let head: Vec<String> = head.iter().map(|h| h.to_string()).collect();
    let width = |c: usize| rows.iter().chain([&head]).map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in [&head].into_iter().chain(rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(c, (cell, &w))| match c {
            0 => format!("{cell:w$}"),
            _ => format!("{cell:>w$}"),
        });
        out!("{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Share of the array's peak: one MAC a cycle in each processing element.
pub fn utilization(macs: u64, cycles: u64, config: &ArrayConfig) -> String {
    let peak = cycles.max(1) * (config.rows * config.cols) as u64;
    format!("{:.2} %", 100.0 * macs as f64 / peak as f64)
}
