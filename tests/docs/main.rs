//! What the documentation says is so: links lead somewhere, options exist, and what a page shows is what the program prints.

mod page;

use page::{Page, pages, root};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn links_lead_somewhere() {
    let pages: BTreeMap<PathBuf, Page> = pages().into_iter().map(|p| (p.path.clone(), p)).collect();
    assert!(pages.len() > 15, "{:?}", pages.keys());
    let mut links = 0;
    let mut broken = vec![];
    for page in pages.values() {
        for link in page.links.iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.path.clone(),
                file => page::tidy(&page.path.parent().unwrap().join(file)),
            };
            let is_there = target.exists() && target.starts_with(root());
            let leads = anchor.is_empty() || pages.get(&target).is_some_and(|p| p.anchors.contains(anchor));
            if !(is_there && leads) {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty() && links > 80, "{links} links\n{}", broken.join("\n"));
}

/// The parser and the rule of anchors, on a page whose truth is typed here.
#[test]
fn anchors_are_those_of_the_readers() {
    let text =
        "# One `two` & three\n\n## One\n\n## One\n\n[a](x.md#b) ![](y.svg)\n\n```sh\n[no](no.md)\n```\n";
    let page = Page::parse(Path::new("page.md"), text);
    let anchors: Vec<_> = page.anchors.iter().map(String::as_str).collect();
    assert_eq!(anchors, ["one", "one-1", "one-two--three"]);
    assert_eq!(page.links, ["x.md#b", "y.svg"]);
    assert_eq!(page.code, [("sh".to_string(), "[no](no.md)\n".to_string())]);
    assert_eq!(page::tidy(Path::new("a/b/../c")), Path::new("a/c"));
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = root().join("docs/SUMMARY.md");
    let named: BTreeSet<PathBuf> =
        Page::read(&summary).links.iter().map(|link| page::tidy(&root().join("docs").join(link))).collect();
    for page in pages() {
        let is_chapter = page.path.starts_with(root().join("docs")) && page.path != summary;
        assert!(!is_chapter || named.contains(&page.path), "{} is not in it", page.path.display());
    }
}

/// Every option of every command line on the pages is one of its verb's.
#[test]
fn options_of_the_pages_exist() {
    let mut help: BTreeMap<String, String> = BTreeMap::new();
    let mut unknown = vec![];
    let mut options = 0;
    // What changed in the past speaks of the past.
    for page in pages().iter().filter(|page| !page.path.ends_with("CHANGELOG.md")) {
        for (verb, option) in page.code.iter().flat_map(|(_, code)| page::options(code)) {
            let help = help.entry(verb.clone()).or_insert_with(|| help_of(&verb));
            let is_there = |line: &str| {
                let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                line.trim_start().starts_with('-') && words.into_iter().any(|word| word == option)
            };
            options += 1;
            if !help.lines().any(is_there) {
                unknown.push(format!("{}: vgg2rtl {verb} {option}", page.path.display()));
            }
        }
    }
    assert!(unknown.is_empty() && options > 100, "{options} options\n{}", unknown.join("\n"));
}

fn help_of(verb: &str) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(verb.split(' ')).arg("--help").output().unwrap();
    assert!(output.status.success(), "vgg2rtl {verb}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Blocks `console run` are run as they stand, in a terminal of 80 columns; a line `…` stands for lines left out.
#[test]
fn pages_show_what_the_program_prints() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["models", "tests"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_vgg2rtl")).parent().unwrap().display().to_string();
    let path = format!("{program}:{}", std::env::var("PATH").unwrap());
    let (mut runs, mut failures) = (0, vec![]);
    for page in pages() {
        for (_, code) in page.code.iter().filter(|(info, _)| info == "console run") {
            for (line, shown) in page::runs(code) {
                runs += 1;
                let output = Command::new("sh")
                    .args(["-c", &format!("{{ {line}\n}} 2>&1")])
                    .current_dir(folder.path())
                    .envs([("PATH", path.as_str()), ("COLUMNS", "80"), ("NO_COLOR", "1")])
                    .output()
                    .unwrap();
                let printed = String::from_utf8(output.stdout).unwrap();
                if !page::agree(&shown, &printed) {
                    failures.push(format!("{}: $ {line}\n{printed}", page.path.display()));
                }
            }
        }
    }
    assert!(failures.is_empty() && runs > 5, "{runs} commands; others print\n{}", failures.join("\n"));
}

/// The site that `./x site` has built: every link of its pages leads to a file, and to an anchor in it.
#[test]
fn links_of_the_site_lead_somewhere() {
    let Some(site) = std::env::var_os("VGG2RTL_SITE").map(PathBuf::from) else {
        println!("skipped: VGG2RTL_SITE names no folder; ./x site builds one and sets it");
        return;
    };
    let site = site.canonicalize().unwrap();
    let mut broken = vec![];
    let all = page::files(&site, "html");
    for path in &all {
        let html = std::fs::read_to_string(path).unwrap();
        for link in page::attributes(&html, "href").chain(page::attributes(&html, "src")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if link.contains(':') || link.is_empty() {
                continue;
            }
            let target = match file {
                "" => path.clone(),
                file => page::tidy(&path.parent().unwrap().join(file)),
            };
            let has = |text: String| page::attributes(&text, "id").any(|id| id == anchor);
            let leads = anchor.is_empty() || std::fs::read_to_string(&target).is_ok_and(has);
            if !(target.exists() && leads) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty() && all.len() > 15, "{} pages\n{}", all.len(), broken.join("\n"));
}
