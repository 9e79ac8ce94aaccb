//! A page of the documentation, as far as the tests look at it.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

pub struct Page {
    pub path: PathBuf,
    /// Where links and pictures lead, as written.
    pub links: Vec<String>,
    /// What may stand behind `#`.
    pub anchors: BTreeSet<String>,
    /// Blocks of code: what stands behind the fence, and the text.
    pub code: Vec<(String, String)>,
}

impl Page {
    pub fn read(path: &Path) -> Self {
        Self::parse(
            path,
            &std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        )
    }

    pub fn parse(path: &Path, text: &str) -> Self {
        let mut new = Self { path: path.into(), links: vec![], anchors: BTreeSet::new(), code: vec![] };
        let mut heading: Option<String> = None;
        let mut is_code = false;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    let numbered = (1..).map(|n| format!("{slug}-{n}"));
                    let mut free =
                        std::iter::once(slug.clone()).chain(numbered).filter(|s| !new.anchors.contains(s));
                    let free = free.next().expect("numbers do not end");
                    new.anchors.insert(free);
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    new.links.push(dest_url.into_string());
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    is_code = true;
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => info.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    new.code.push((info, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => is_code = false,
                Event::Text(text) if is_code => new.code.last_mut().expect("a block").1.push_str(&text),
                Event::Text(text) | Event::Code(text) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&text));
                }
                _ => {}
            }
        }
        new
    }
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap()
}

/// The README, what lies beside it, and the documentation.
pub fn pages() -> Vec<Page> {
    let of = |folder: &str| {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md"))
    };
    let folders = ["", "docs", "models", "rtl", "testbenches", "src/explore/report"];
    folders.into_iter().flat_map(of).map(|path| Page::read(&tidy(&path))).collect()
}

/// `path` without `..`.
pub fn tidy(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut tidy, part| {
        match part {
            Component::ParentDir => drop(tidy.pop()),
            part => tidy.push(part),
        }
        tidy
    })
}

/// Verb and option of every command line in `code`.
pub fn options(code: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    for line in code.replace("\\\n", " ").lines() {
        let line = line.split(" #").next().unwrap_or_default();
        for command in line.split([';', '|', '`']).flat_map(|part| part.split("&&")) {
            let mut words =
                command.split_whitespace().skip_while(|word| *word != "vgg2rtl").skip(1).peekable();
            let Some(verb) = words.next().filter(|word| word.chars().all(|c| c.is_ascii_lowercase())) else {
                continue;
            };
            let below = words.next_if(|word| verb == "bench" && ["golden", "accelerator"].contains(word));
            let verb = [Some(verb), below].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let long = words.filter(|word| word.starts_with("--"));
            found.extend(long.map(|word| (verb.clone(), word.split('=').next().unwrap_or(word).to_string())));
        }
    }
    found
}

/// Commands behind `$ `, which `\` continues, and the lines that they print.
pub fn runs(code: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = vec![];
    for line in code.replace("\\\n", " ").lines() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push((command.into(), String::new())),
            (None, Some((_, shown))) => shown.extend([line, "\n"]),
            (None, None) => panic!("no command before {line}"),
        }
    }
    all
}

/// Whether `printed` is what is `shown`, in which a line `…` stands for any lines; spaces at ends of lines do not count.
pub fn agree(shown: &str, printed: &str) -> bool {
    fn rest(shown: &[&str], printed: &[&str]) -> bool {
        match shown.split_first() {
            None => printed.is_empty(),
            Some((&"…", shown)) => (0..=printed.len()).any(|n| rest(shown, &printed[n..])),
            Some((line, shown)) => printed.first() == Some(line) && rest(shown, &printed[1..]),
        }
    }
    rest(&lines(shown), &lines(printed))
}

/// Lines without the spaces at their ends.
fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

/// Files below `folder` whose names end in `extension`.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// Values of an attribute in HTML.
pub fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let key = format!(" {name}=\"");
    let parts = html.split(&key).skip(1).map(|part| part.split('"').next().unwrap_or_default());
    parts.map(|value| value.replace("&amp;", "&").replace("%20", " ")).collect::<Vec<_>>().into_iter()
}
