//! What the sources of a block say of it: the header of its module, and comments of its ports and states.

use crate::isa::FIELDS;

/// A port or state, and its comment.
type Part = (&'static str, &'static str);

/// Module, header, and comments of ports and states by name; see `build.rs`.
const DOCS: &[(&str, &str, &[Part])] = include!(concat!(env!("OUT_DIR"), "/docs.rs"));

/// The documentation of one module.
#[derive(Clone, Copy)]
pub struct Docs {
    header: &'static str,
    parts: &'static [Part],
}

impl Docs {
    /// Of module `title`; nothing where no source describes it.
    pub fn of(title: &str) -> Self {
        let found = DOCS.iter().find(|(name, ..)| *name == title);
        found.map_or(Docs { header: "", parts: &[] }, |(_, header, parts)| Docs { header, parts })
    }

    /// What the module does, in lines of comments.
    pub fn header(&self) -> String {
        self.header.lines().map(|line| format!("// {line}").trim_end().to_string() + "\n").collect()
    }

    /// The comment of a port or state by its name in the kernel.
    pub fn part(&self, name: &str) -> Option<String> {
        let known = |name: &str| self.parts.iter().find(|(n, _)| *n == name).map(|(_, doc)| doc.to_string());
        known(name).or_else(|| {
            let (_, field) = name.split_once("layer_").and_then(|(_, rest)| rest.split_once('$'))?;
            FIELDS.iter().find(|f| f.name == field).map(|f| f.doc.trim().to_string())
        })
    }
}
