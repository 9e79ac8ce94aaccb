//! Tables on standard output, no wider than the terminal.

use super::print::{self, out};
use vgg2rtl::Result;
use vgg2rtl::config::ArrayConfig;

/// Between two columns.
const GAP: &str = "  ";

/// Prints rows under a head; the first column to the left, the others to the right. Where the terminal is too narrow, the
/// columns that are left follow below, each time behind the first one.
pub fn print(head: &[&str], rows: &[Vec<String>]) -> Result<()> {
    lines(head, rows, print::width()).iter().try_for_each(|line| out!("{line}"))
}

/// As [`print`], but for columns in which all rows say the same: these stand above, once.
pub fn print_varying(head: &[&str], rows: &[Vec<String>]) -> Result<()> {
    let (said, left) = constant(head, rows);
    if !said.is_empty() {
        wrapped(&said, print::width()).iter().try_for_each(|line| out!("{line}"))?;
    }
    let pick = |cells: &[String]| left.iter().map(|&c| cells[c].clone()).collect::<Vec<_>>();
    let rows: Vec<_> = rows.iter().map(|row| pick(row)).collect();
    print(&left.iter().map(|&c| head[c]).collect::<Vec<_>>(), &rows)
}

/// Share of the array's peak: one MAC a cycle in each processing element.
pub fn utilization(macs: u64, cycles: u64, config: &ArrayConfig) -> String {
    let peak = cycles.max(1) * (config.rows * config.cols) as u64;
    format!("{:.2} %", 100.0 * macs as f64 / peak as f64)
}

/// What columns of one value say, and the places of the others. One row varies in everything, the first column always.
fn constant(head: &[&str], rows: &[Vec<String>]) -> (Vec<String>, Vec<usize>) {
    let same = |c: usize| c > 0 && rows.len() > 1 && rows.iter().all(|row| row[c] == rows[0][c]);
    let (constant, left): (Vec<usize>, Vec<usize>) = (0..head.len()).partition(|&c| same(c));
    let text = |c: usize| format!("{} {}", head[c], rows[0][c]);
    (constant.into_iter().filter(|&c| !rows[0][c].is_empty()).map(text).collect(), left)
}

/// `parts` with commas between, in lines of up to `width` characters.
fn wrapped(parts: &[String], width: Option<usize>) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for part in parts {
        match lines.last_mut() {
            Some(line) if width.is_none_or(|w| line.chars().count() + 3 + part.chars().count() <= w) => {
                *line += &format!(", {part}");
            }
            Some(line) => {
                line.push(',');
                lines.push(part.clone());
            }
            None => lines.push(part.clone()),
        }
    }
    lines
}

fn lines(head: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|h| h.to_string()).collect();
    let all = || [&head].into_iter().chain(rows);
    let widths: Vec<usize> =
        (0..head.len()).map(|c| all().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>, part: &[usize]| {
        let rest = part.iter().map(|&c| format!("{:>w$}", row[c], w = widths[c]));
        let cells = [format!("{:w$}", row[0], w = widths[0])].into_iter().chain(rest);
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_string()
    };
    let mut lines = vec![];
    for (i, part) in parts(&widths, width).iter().enumerate() {
        lines.extend((i > 0).then(String::new));
        lines.extend(all().map(|row| line(row, part)));
    }
    lines
}

/// The columns behind the first one, in as many parts as the width asks for: at least one column in each.
fn parts(widths: &[usize], width: Option<usize>) -> Vec<Vec<usize>> {
    let (most, first) = (width.unwrap_or(usize::MAX), widths.first().copied().unwrap_or(0));
    let (mut parts, mut taken) = (vec![vec![]], first);
    for (c, w) in widths.iter().enumerate().skip(1) {
        if taken + GAP.len() + w > most && parts.last().is_some_and(|part: &Vec<usize>| !part.is_empty()) {
            parts.push(vec![]);
            taken = first;
        }
        taken += GAP.len() + w;
        parts.last_mut().expect("there is one").push(c);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| cell.to_string()).collect()).collect()
    }

    #[test]
    fn columns_that_do_not_fit_follow_below() {
        let rows = rows(&[&["a", "1", "200"], &["bc", "30", "4"]]);
        let head = ["x", "one", "two"];
        assert_eq!(lines(&head, &rows, None), ["x   one  two", "a     1  200", "bc   30    4"]);
        assert_eq!(lines(&head, &rows, Some(12)), lines(&head, &rows, None));
        let narrow = ["x   one", "a     1", "bc   30", "", "x   two", "a   200", "bc    4"];
        assert_eq!(lines(&head, &rows, Some(11)), narrow);
        assert_eq!(lines(&head, &rows, Some(1)), narrow);
    }

    #[test]
    fn what_never_changes_stands_above() {
        let two = rows(&[&["a", "8", "1", ""], &["a", "8", "2", ""]]);
        let head = ["x", "bits", "n", "front"];
        assert_eq!(constant(&head, &two), (vec!["bits 8".into()], vec![0, 2]));
        assert_eq!(constant(&head, &two[..1]), (vec![], vec![0, 1, 2, 3]));
        let parts = ["bits 8".to_string(), "bus 64".into(), "mode scale".into()];
        assert_eq!(wrapped(&parts, Some(16)), ["bits 8, bus 64,", "mode scale"]);
    }
}
