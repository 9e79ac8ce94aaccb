//! The emitted modules as a hierarchy: who instantiates whom, and what a module's synthesis depends on.

use crate::config::ArrayConfig;
use crate::{Result, hw, store};
use std::collections::HashMap;

/// A module of the accelerator.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// From `module` to `endmodule`: no header, so that equal modules of different configurations are equal.
    pub text: String,
    /// Instance and index of its module, in the order of the text; a generate loop is one entry.
    pub children: Vec<(String, usize)>,
}

impl Source {
    /// The module with the same ports and nothing inside.
    pub fn black_box(&self) -> String {
        let ports = self.text.split_inclusive(");").next().unwrap_or_default();
        // A port that the body assigns is a `reg`, which a black box's cannot be.
        format!("(* blackbox *)\n{}\nendmodule\n", ports.replace("output reg", "output wire"))
    }
}

/// The modules of `config`, children before parents, the accelerator last.
pub fn sources(config: &ArrayConfig) -> Result<Vec<Source>> {
    let modules = hw::verilog(config)?;
    let index: HashMap<&str, usize> = modules.iter().enumerate().map(|(i, m)| (&*m.name, i)).collect();
    let source = |module: &hw::emit::Module| {
        let body = module.text.split_once("\nmodule ").map_or("", |(_, body)| body);
        let body = body.split("\nendmodule").next().unwrap_or_default();
        let text = format!("module {body}\nendmodule\n");
        let children = text.lines().filter_map(|line| instance(line, &index)).collect();
        Source { name: module.name.clone(), text, children }
    };
    Ok(modules.iter().map(source).collect())
}

/// Name and module of the instance that `line` begins.
fn instance(line: &str, index: &HashMap<&str, usize>) -> Option<(String, usize)> {
    let mut words = line.trim_start().split([' ', '(']);
    let child = *index.get(words.next()?)?;
    Some((words.next()?.strip_prefix("u_")?.into(), child))
}

/// For each of `sources` the hash of what its synthesis depends on: its text and its children's ports, but no names of
/// modules, because their numbers depend on what else a design holds.
pub fn hashes(sources: &[Source]) -> Vec<String> {
    let hash = |source: &Source| {
        let children = distinct_children(source);
        let place: HashMap<&str, usize> =
            children.iter().enumerate().map(|(i, &c)| (&*sources[c].name, i)).collect();
        let anonymous = |text: &str, own: &str| {
            let word = |w: &str| match place.get(w) {
                _ if w == own => "#".into(),
                Some(i) => format!("#{i}"),
                None => w.to_string(),
            };
            split_words(text).map(word).collect::<String>()
        };
        let ports = children.iter().map(|&c| anonymous(&sources[c].black_box(), &sources[c].name));
        store::digest(std::iter::once(anonymous(&source.text, &source.name)).chain(ports))
    };
    sources.iter().map(hash).collect()
}

/// The modules that `source` instantiates, each once.
pub fn distinct_children(source: &Source) -> Vec<usize> {
    let mut seen = vec![];
    for (_, child) in &source.children {
        if !seen.contains(child) {
            seen.push(*child);
        }
    }
    seen
}

/// For the fit: module `module` of `sources` and what it instantiates under names that begin with `prefix`, as sources of their own: the
/// children without bodies, the module last.
pub fn renamed(sources: &[Source], module: usize, prefix: &str) -> Vec<Source> {
    let source = &sources[module];
    let children = distinct_children(source);
    let place = |name: &str| children.iter().position(|&c| sources[c].name == name);
    let rename = |text: &str| {
        let word = |w: &str| match place(w) {
            _ if w == source.name => prefix.to_string(),
            Some(i) => format!("{prefix}_{i}"),
            None => w.to_string(),
        };
        split_words(text).map(word).collect::<String>()
    };
    let child = |&c: &usize| {
        let (name, ports) = (rename(&sources[c].name), rename(&sources[c].black_box()));
        Source { name, text: ports.replacen("(* blackbox *)\n", "", 1), children: vec![] }
    };
    let mut all: Vec<Source> = children.iter().map(child).collect();
    let instances = source.children.iter();
    let at = |(name, child): &(String, usize)| {
        (name.clone(), children.iter().position(|c| c == child).expect("it is one of them"))
    };
    let children = instances.map(at).collect();
    all.push(Source { name: prefix.into(), text: rename(&source.text), children });
    all
}

/// `text` in words and what is between them.
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    std::iter::from_fn(move || {
        let inside = is_word(rest.chars().next()?);
        let end = rest.find(|c| is_word(c) != inside).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_ignore_the_header_and_the_numbers_of_names() {
        let of = |change: fn(&mut ArrayConfig)| {
            let mut config = ArrayConfig::preset("tiny").unwrap();
            change(&mut config);
            let sources = sources(&config).unwrap();
            let hashes = hashes(&sources);
            sources.into_iter().map(|s| s.name).zip(hashes).collect::<HashMap<_, _>>()
        };
        let base = of(|_| ());
        let other = of(|c| c.acc_bits = 40);
        for same in ["pe", "act_walk", "command", "array"] {
            assert_eq!(base[same], other[same], "{same}");
        }
        for different in ["accumulator", "accumulators", "compute_core", "registers"] {
            assert_ne!(base[different], other[different], "{different}");
        }
        let renamed = of(|c| c.fold_channels = 0);
        assert!(renamed.len() < base.len());
        let equal = |hash| renamed.values().any(|h| h == hash);
        assert!(base.iter().filter(|(_, hash)| equal(*hash)).count() > 50);
    }

    #[test]
    fn a_renamed_module_has_its_hash() {
        let sources = sources(&ArrayConfig::preset("tiny").unwrap()).unwrap();
        let all = hashes(&sources);
        for (module, hash) in all.iter().enumerate() {
            let renamed = renamed(&sources, module, "m7");
            assert_eq!(hashes(&renamed).last(), Some(hash), "{}", sources[module].name);
        }
    }

    #[test]
    fn children_come_with_their_instances() {
        let sources = sources(&ArrayConfig::preset("tiny").unwrap()).unwrap();
        let top = sources.last().unwrap();
        let names: Vec<_> =
            top.children.iter().map(|(i, c)| (i.as_str(), sources[*c].name.as_str())).collect();
        assert!(names.contains(&("core", "compute_core")), "{names:?}");
        assert!(names.contains(&("read", "read_port")), "{names:?}");
        for (at, source) in sources.iter().enumerate() {
            assert!(source.children.iter().all(|(_, child)| *child < at), "{}", source.name);
            assert!(source.black_box().starts_with(&format!("(* blackbox *)\nmodule {}", source.name)));
            assert!(source.black_box().contains(");\nendmodule"));
        }
    }
}
