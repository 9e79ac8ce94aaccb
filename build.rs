//! Documentation of hw's blocks as data: what the emitter writes into the Verilog beside the ports.
//!
//! The doc comments of every block under `src/hw` become `OUT_DIR/docs.rs`: module → header and, by name, ports and
//! states of its machines. The derives of rust_hdl do not hand them on.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=src/hw");
    let mut text = String::from("&[\n");
    for file in sources(Path::new("src/hw")) {
        let source = fs::read_to_string(&file).expect("sources are readable");
        let product = source.split("#[cfg(test)]").next().unwrap_or_default();
        blocks(product).iter().for_each(|block| writeln!(text, "    {block},").expect("strings take text"));
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("docs.rs");
    fs::write(out, text + "]\n").expect("the output folder is writable");
}

/// Rust files below `at`, in order.
fn sources(at: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(at).expect("src/hw is there").map(|e| e.expect("entries are readable").path()).collect();
    entries.sort();
    let below = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.into_iter().flat_map(below).filter(|p| p.extension().is_some_and(|e| e == "rs")).collect()
}

/// A documented structure or enum.
struct Item {
    name: String,
    doc: String,
    /// Fields or variants.
    parts: Vec<(String, String)>,
}

/// The blocks of a file, as Rust expressions.
fn blocks(source: &str) -> Vec<String> {
    let items = items(source);
    let find = |name: &str| items.iter().find(|item| item.name == name);
    let mut blocks = vec![];
    let mut implemented = "";
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("impl Logic for ") {
            implemented = rest.split([' ', '<']).next().unwrap_or_default();
        }
        let title = line.split_once("module ").and_then(|(before, rest)| {
            let starts = before.ends_with('"') || before.ends_with("// ");
            rest.split_once(':').map(|(title, _)| title).filter(|_| starts)
        });
        if let (Some(title), Some(block)) = (title, find(implemented)) {
            let states = items.iter().filter(|i| i.name != block.name).flat_map(|machine| {
                machine.parts.iter().map(|(name, doc)| (format!("{}${name}", machine.name), doc.clone()))
            });
            let parts: Vec<(String, String)> = block.parts.iter().cloned().chain(states).collect();
            blocks.push(format!("({title:?}, {:?}, &{parts:?})", block.doc));
        }
    }
    blocks
}

/// Structures and enums at the left margin, with the documented parts among theirs.
fn items(source: &str) -> Vec<Item> {
    let (mut items, mut doc): (Vec<Item>, Vec<&str>) = (vec![], vec![]);
    for line in source.lines() {
        let code = line.trim().trim_start_matches("pub ");
        if let Some(text) = line.trim().strip_prefix("///") {
            doc.push(text.strip_prefix(' ').unwrap_or(text));
            continue;
        }
        let is_inside = line.starts_with("    ") && !line.starts_with("     ");
        if let Some(name) = ["struct ", "enum "].iter().find_map(|kind| code.strip_prefix(kind)) {
            let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().into();
            items.push(Item { name, doc: plain(&doc.join("\n")), parts: vec![] });
        } else if let (true, false, Some(item)) = (is_inside, doc.is_empty(), items.last_mut()) {
            let name = code.split([':', ',']).next().unwrap_or_default().into();
            item.parts.push((name, plain(&doc.join(" "))));
        }
        if !line.trim().starts_with("#[") {
            doc.clear();
        }
    }
    items
}

/// Without the links and marks of Rust's documentation.
fn plain(doc: &str) -> String {
    doc.replace("[`", "").replace("`]", "").replace('`', "")
}
