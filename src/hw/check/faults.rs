//! The benches are tested: faults are put into the emitted Verilog, and the vectors of the blocks must find them.
//!
//! [`tests::injected_faults_are_caught`] has the tests of all blocks record their benches, takes random faults in every
//! module, and replays benches with that module, its own one first, until one differs.

use super::{BENCH_FILE, NO_DIFFERENCE, random, run_for};
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where benches are to be recorded.
const RECORD: &str = "VGG2RTL_RECORD";
/// Faults of each module.
const FAULTS: &str = "VGG2RTL_FAULTS";

/// A new folder for the bench `name`, where benches are recorded instead of replayed.
pub fn recording(name: &str) -> Option<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(std::env::var_os(RECORD)?).join(format!("{name}-{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

/// A recorded bench.
struct Recorded {
    folder: PathBuf,
    /// Title and text of each module.
    modules: Vec<(String, String)>,
    /// Digits of all vectors: what a replay costs.
    size: u64,
}

impl Recorded {
    fn new(folder: PathBuf) -> Self {
        let verilog = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<PathBuf> = verilog.filter(|p| p.extension().is_some_and(|e| e == "v")).collect();
        files.retain(|p| p.file_name().is_some_and(|n| n != BENCH_FILE));
        files.sort();
        let module = |path: &PathBuf| (stem(path), std::fs::read_to_string(path).unwrap());
        let size = std::fs::metadata(folder.join("vectors.txt")).unwrap().len();
        Self { modules: files.iter().map(module).collect(), folder, size }
    }

    /// The text of the first module with that title.
    fn text(&self, title: &str) -> Option<&str> {
        self.modules.iter().find(|m| self::title(&m.0) == title).map(|m| m.1.as_str())
    }

    /// Whether the vectors find the wrong `text` of module `title`; `None` where it is not even Verilog.
    fn finds(&self, title: &str, text: &str) -> Option<bool> {
        let work = tempfile::tempdir().unwrap();
        let wrong = work.path().join("wrong.v");
        std::fs::write(&wrong, text).unwrap();
        let first = self.modules.iter().position(|m| self::title(&m.0) == title)?;
        let others = self.modules.iter().enumerate().filter(|(i, _)| *i != first);
        let mut compiler = Command::new("iverilog");
        compiler.args(["-g2005", "-o"]).arg(work.path().join("bench.vvp")).arg(BENCH_FILE).arg(&wrong);
        compiler.args(others.map(|(_, m)| format!("{}.v", m.0))).current_dir(&self.folder);
        run_for(&mut compiler, LIMIT)?;
        let mut replay = Command::new("vvp");
        replay.arg(work.path().join("bench.vvp")).current_dir(&self.folder);
        // A replay that does not end is a loop that the fault has closed.
        Some(!run_for(&mut replay, LIMIT).is_some_and(|report| report.contains(NO_DIFFERENCE)))
    }
}

/// Time for a compilation or a replay.
const LIMIT: Duration = Duration::from_secs(60);
/// Benches that are tried for a fault.
const BENCHES: usize = 8;

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// A module's name without the number that tells namesakes apart.
fn title(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((title, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => title,
        _ => name,
    }
}

/// One thing that is wrong in a module.
#[derive(Clone, Debug)]
struct Fault {
    what: String,
    /// Line of the text, from 0.
    line: usize,
    /// The line before it, and itself as it was.
    was: String,
    /// The line as it is.
    is: String,
}

impl Fault {
    fn apply(&self, text: &str) -> String {
        let lines = text.lines().enumerate();
        lines.map(|(i, line)| if i == self.line { &self.is } else { line }).collect::<Vec<_>>().join("\n")
    }
}

/// Operators, and what stands in their place.
const OPERATORS: [(&str, &str); 14] = [
    (" && ", " || "),
    (" || ", " && "),
    (" == ", " != "),
    (" != ", " == "),
    (" < ", " >= "),
    (" >= ", " < "),
    (" > ", " <= "),
    (" + ", " - "),
    (" - ", " + "),
    (" & ", " | "),
    (" | ", " & "),
    (" << ", " >> "),
    (" >> ", " << "),
    ("!", ""),
];

/// All that could be wrong in `text`, in order.
fn faults(text: &str) -> Vec<Fault> {
    let (mut faults, mut here) = (vec![], String::new());
    for (number, line) in text.lines().enumerate() {
        let before = std::mem::replace(&mut here, line.trim().into());
        let code = line.split("//").next().unwrap_or_default().trim_end();
        let plain = ["module ", "input ", "output ", "for ", "genvar ", "`"];
        // What is named unused silences lint; of the codes of states it only matters that they differ.
        let silent = ["_unused", "] STATE_", "] PHASE_"];
        if plain.iter().any(|p| code.trim_start().starts_with(p)) || silent.iter().any(|s| code.contains(s)) {
            continue;
        }
        let mut add = |what: &str, is: String| {
            let was = format!("{before} {}", code.trim());
            faults.push(Fault { what: what.into(), line: number, was, is });
        };
        for (from, to) in OPERATORS {
            for (at, _) in code.match_indices(from).filter(|(at, _)| !code[*at..].starts_with("!=")) {
                let is = format!("{}{to}{}", &code[..at], &code[at + from.len()..]);
                add(&format!("`{}` → `{}`", from.trim(), to.trim()), is);
            }
        }
        constants(code).into_iter().for_each(|is| add("another constant", is));
        if let Some((head, condition, tail)) = condition(code) {
            add("condition inverted", format!("{head}if (!({condition})){tail}"));
        }
        if let Some((head, right)) = assignment(code) {
            add("lowest bit inverted", format!("{head}({right}) ^ 1'b1;"));
            let constant = right.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            if !constant {
                add("lowest bit stuck at 0", format!("{head}({right}) & ~1'b1;"));
            }
        }
        if let Some((before, target, right)) = clocked(code) {
            add("register keeps its value", format!("{before};"));
            add("lowest bit inverted", format!("{before}{target} <= ({right}) ^ 1'b1;"));
        }
        if let Some((head, signal, tail)) = input(code) {
            add("input inverted", format!("{head}~({signal}){tail}"));
        }
    }
    faults
}

/// The line once for each decimal constant with a width, its lowest bit inverted.
fn constants(code: &str) -> Vec<String> {
    let wrong = |(at, _): (usize, &str)| {
        let digits = code[at + 2..].bytes().take_while(u8::is_ascii_digit).count();
        let (value, rest) = code[at + 2..].split_at(digits);
        let value: u128 = value.parse().ok()?;
        Some(format!("{}'d{}{rest}", &code[..at], value ^ 1))
    };
    code.match_indices("'d").filter_map(wrong).collect()
}

/// `if (condition)`, with what stands before and after it.
fn condition(code: &str) -> Option<(&str, &str, &str)> {
    let at = code.find("if (")?;
    let inside = &code[at + 4..];
    let mut depth = 1;
    let end = inside.char_indices().find(|(_, c)| {
        depth += (*c == '(') as i32 - (*c == ')') as i32;
        depth == 0
    })?;
    Some((&code[..at], &inside[..end.0], &inside[end.0 + 1..]))
}

/// `assign x = ` or `wire x = `, and what is assigned.
fn assignment(code: &str) -> Option<(&str, &str)> {
    let continuous = ["assign ", "wire "].iter().any(|s| code.trim_start().starts_with(s));
    let at = code.find(" = ").filter(|_| continuous)? + 3;
    Some((&code[..at], code[at..].strip_suffix(';')?))
}

/// A clocked assignment: what stands before it, the register, what it takes.
fn clocked(code: &str) -> Option<(&str, &str, &str)> {
    let (left, right) = code.split_once(" <= ")?;
    let start = left.rfind(' ').map_or(0, |at| at + 1);
    let before = left[..start].trim_end();
    let statement = before.is_empty() || before.ends_with(')') || before.ends_with("else");
    statement.then_some((&left[..start], &left[start..], right.strip_suffix(';')?))
}

/// An input of an instance, but the clock.
fn input(code: &str) -> Option<(&str, &str, &str)> {
    let (name, _) = code.trim_start().strip_prefix('.')?.split_once('(')?;
    let name = name.trim_end();
    if !name.ends_with("_i") || name == "clk_i" {
        return None;
    }
    let (open, close) = (code.find('(')? + 1, code.rfind(')')?);
    Some((&code[..open], &code[open..close], &code[close..]))
}

/// What became of one fault.
enum Fate {
    /// A bench found it: its name.
    Caught(String),
    Survived,
}

/// Tries `fault`, number `index` of the faults in module `title`; `None` if it is not Verilog.
fn fate(title: &str, index: usize, fault: &Fault, benches: &[&Recorded]) -> Option<Fate> {
    for bench in benches {
        let text = bench.text(title)?;
        // The module may have other widths there: then the same fault stands at the same place of the list.
        let there = faults(text);
        let Some(there) = there.get(index).filter(|f| f.what == fault.what) else { continue };
        if bench.finds(title, &there.apply(text))? {
            return Some(Fate::Caught(stem(&bench.folder)));
        }
    }
    Some(Fate::Survived)
}

/// A module's faults.
struct Row {
    title: String,
    caught: usize,
    /// Benches that caught one.
    by: Vec<String>,
    survivors: Vec<Fault>,
}

/// Tries `count` random faults of module `title`.
fn row(title: &str, count: usize, benches: &[Recorded]) -> Row {
    let mut benches: Vec<&Recorded> = benches.iter().filter(|b| b.text(title).is_some()).collect();
    let own = |b: &Recorded| stem(&b.folder).rsplit_once('-').is_some_and(|(name, _)| name == title);
    benches.sort_by_key(|b| (!own(b), b.size));
    let whole = benches.iter().rposition(|b| stem(&b.folder).starts_with("accelerator-"));
    let last = whole.map(|at| benches.remove(at));
    benches.truncate(BENCHES);
    benches.extend(last);
    let all = faults(benches[0].text(title).expect("chosen for it"));
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.shuffle(&mut random(title.bytes().fold(7, |seed, b| seed * 31 % 0xffff_fffb + u64::from(b))));
    let mut row = Row { title: title.into(), caught: 0, by: vec![], survivors: vec![] };
    for i in order {
        if row.caught + row.survivors.len() == count {
            break;
        }
        match fate(title, i, &all[i], &benches) {
            Some(Fate::Caught(by)) => {
                row.caught += 1;
                row.by.push(by);
            }
            Some(Fate::Survived) => row.survivors.push(all[i].clone()),
            None => {}
        }
    }
    row.by.sort();
    row.by.dedup();
    row
}

/// Faults that no vector can show, a line each: module | what is wrong | the line before and the line | why.
const EXPLAINED: &str = "src/hw/check/explained.txt";

/// Why `fault` in module `title` cannot be seen, by the lines of [`EXPLAINED`].
fn explanation(explained: &str, title: &str, fault: &Fault) -> Option<String> {
    let rows = explained.lines().map(|l| l.split(" | ").map(str::trim).collect::<Vec<_>>());
    let mut known = rows.filter(|r| r.len() > 3 && r[..3] == [title, &fault.what, &code(&fault.was)]);
    known.next().map(|r| r[3].to_string())
}

/// A line of Verilog without bars that would end a column.
fn code(line: &str) -> String {
    line.replace(" | ", " ¦ ")
}

mod tests {
    use super::*;

    #[test]
    fn faults_are_put_where_they_belong() {
        let text = "module m (\n    input wire a_i\n);\n    // a && b\n    assign x = a && !b;\n    \
                    if (c == 2'd1) begin\n        q <= d;\n    else if (e) q <= f <= 3;\n        .a_i(a),\n        .clk_i(clk),";
        let wrong: Vec<String> = faults(text).into_iter().map(|f| f.is.trim().to_string()).collect();
        let want = [
            "assign x = a || !b;",
            "assign x = a && b;",
            "assign x = (a && !b) ^ 1'b1;",
            "assign x = (a && !b) & ~1'b1;",
            "if (c != 2'd1) begin",
            "if (c == 2'd0) begin",
            "if (!(c == 2'd1)) begin",
            ";",
            "q <= (d) ^ 1'b1;",
            "else if (!(e)) q <= f <= 3;",
            "else if (e) ;",
            "else if (e) q <= (f <= 3) ^ 1'b1;",
            ".a_i(~(a)),",
        ];
        assert_eq!(wrong, want);
    }

    /// `VGG2RTL_FAULTS` sets how many a module (`sim/nightly.sh` takes more).
    #[test]
    fn injected_faults_are_caught() {
        if Command::new("iverilog").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "iverilog is not installed");
            println!("skipped: iverilog is not installed");
            return;
        }
        let count = std::env::var(FAULTS).map_or(3, |n| n.parse().expect("VGG2RTL_FAULTS is a number"));
        let folder = tempfile::tempdir().unwrap();
        let recorded = Command::new(std::env::current_exe().unwrap())
            .args([
                "hw::",
                "cosim::in_process::",
                "--skip",
                "hw::check::",
                "--skip",
                "netlist",
                "--skip",
                "emit",
            ])
            .args(["--test-threads", "2"])
            .env(RECORD, folder.path())
            .output()
            .unwrap();
        assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stdout));
        let folders = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
        let mut benches: Vec<Recorded> = folders.map(Recorded::new).collect();
        benches.sort_by(|a, b| a.folder.cmp(&b.folder));
        let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
        for module in benches.iter().flat_map(|b| &b.modules) {
            *titles.entry(title(&module.0)).or_default() += 1;
        }
        let titles: Vec<&str> = titles.into_keys().collect();
        let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![]));
        let worker = || {
            while let Some(title) = titles.get(next.fetch_add(1, Ordering::Relaxed)) {
                let row = row(title, count, &benches);
                rows.lock().unwrap().push(row);
            }
        };
        std::thread::scope(|scope| (0..2).for_each(|_| _ = scope.spawn(worker)));
        judge(rows.into_inner().unwrap());
    }

    /// Prints the table; at least 100 faults, 95 % of them caught, the others explained.
    fn judge(mut rows: Vec<Row>) {
        rows.sort_by(|a, b| a.title.cmp(&b.title));
        let explained = std::fs::read_to_string(EXPLAINED).expect("tests run where Cargo.toml is");
        let (mut caught, mut unexplained) = (0, vec![]);
        println!("{:22} {:>6} {:>6}  by the bench of", "module", "faults", "caught");
        for row in &rows {
            let faults = row.caught + row.survivors.len();
            println!("{:22} {faults:6} {:6}  {}", row.title, row.caught, row.by.join(" "));
            caught += row.caught;
            for fault in &row.survivors {
                let why = explanation(&explained, &row.title, fault);
                let text = format!("{} | {} | {}", row.title, fault.what, code(&fault.was));
                println!(
                    "  survived, line {}: {text} | {}",
                    fault.line + 1,
                    why.as_deref().unwrap_or("not explained")
                );
                unexplained.extend(why.is_none().then_some(text));
            }
        }
        let total = caught + rows.iter().map(|r| r.survivors.len()).sum::<usize>();
        println!("{caught} of {total} faults in {} modules caught", rows.len());
        assert!(total >= 100 && caught * 100 >= total * 95, "{caught} of {total} caught");
        assert!(unexplained.is_empty(), "not caught and not explained:\n{}", unexplained.join("\n"));
    }
}
