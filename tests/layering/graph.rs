//! Which file of `src` names which: read with a parser, so that no form of `use` is overlooked.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// Names from the crate's root: `["float", "data", "DataSet"]`.
pub type Names = Vec<String>;

/// One file of the crate.
pub struct File {
    /// Where its module stands.
    pub module: Names,
    /// The file itself.
    pub path: PathBuf,
    /// Everything of the crate that its code names, with the line; re-exports are not among it.
    pub named: BTreeSet<(Names, usize)>,
    /// Everything of the crate that it makes visible under a name of its own, with the line.
    pub exported: BTreeSet<(Names, usize)>,
    /// Paths into other crates, as they are written.
    pub foreign: BTreeSet<(Names, usize)>,
    /// Every identifier of its code.
    pub words: BTreeSet<(String, usize)>,
    /// Every macro that it calls.
    pub macros: BTreeSet<(String, usize)>,
    /// Modules declared in it, and their files where the code names them.
    children: BTreeMap<String, Option<String>>,
    /// Names that it makes visible and what they stand for.
    exports: BTreeMap<String, Names>,
    /// Modules whose every name it makes visible.
    globs: Vec<Names>,
    items: BTreeSet<String>,
}

/// All files of a crate, without what is compiled for tests only.
pub struct Graph {
    /// In the order of the module tree.
    pub files: Vec<File>,
}

impl Graph {
    /// Reads the crate whose root is `lib` (`src/lib.rs`).
    pub fn read(lib: &Path) -> Self {
        let mut graph = Graph { files: vec![] };
        graph.add(vec![], lib, lib.parent().expect("lib.rs lies in a folder"));
        graph
    }

    fn add(&mut self, module: Names, path: &Path, folder: &Path) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = File::parse(module.clone(), path, &text);
        let children = file.children.clone();
        self.files.push(file);
        for (child, named) in children {
            let (flat, nested) = (folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs"));
            let beside = path.parent().expect("a file lies in a folder");
            let path = named.map_or(if flat.exists() { flat } else { nested }, |name| beside.join(name));
            self.add([module.clone(), vec![child.clone()]].concat(), &path, &folder.join(&child));
        }
    }

    /// The file that defines what `names` stand for, through re-exports.
    pub fn owner(&self, names: &[String]) -> Option<&File> {
        let mut file = &self.files[0];
        for (i, name) in names.iter().enumerate() {
            let (rest, inner) = (&names[i + 1..], [&file.module[..], std::slice::from_ref(name)].concat());
            if let Some(child) = self.files.iter().find(|f| f.module == inner) {
                file = child;
            } else if let Some(target) = file.exports.get(name) {
                return self.owner(&[target, rest].concat());
            } else if file.items.contains(name) {
                return Some(file);
            } else {
                let through = |glob: &Names| self.owner(&[&glob[..], &names[i..]].concat());
                return file.globs.iter().find_map(through);
            }
        }
        Some(file)
    }

    /// For every file the others that its code needs.
    pub fn edges(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let needs = |file: &File| -> BTreeSet<&Path> {
            let owners = file.named.iter().filter_map(|(names, _)| self.owner(names));
            owners.map(|f| &*f.path).filter(|p| *p != file.path).collect()
        };
        self.files.iter().map(|f| (&*f.path, needs(f).into_iter().map(|p| self.path(p)).collect())).collect()
    }

    fn path(&self, path: &Path) -> &Path {
        self.files.iter().map(|f| &*f.path).find(|p| *p == path).expect("a file of the graph")
    }
}

impl File {
    fn parse(module: Names, path: &Path, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut file = File {
            module,
            path: path.into(),
            named: BTreeSet::new(),
            exported: BTreeSet::new(),
            foreign: BTreeSet::new(),
            words: BTreeSet::new(),
            macros: BTreeSet::new(),
            children: BTreeMap::new(),
            exports: BTreeMap::new(),
            globs: vec![],
            items: BTreeSet::new(),
        };
        // Imports first: a path may begin with a name that is imported further down.
        let mut imports = Imports { file: &mut file, local: BTreeMap::new() };
        imports.visit_file(&syntax);
        let local = imports.local;
        Paths { file: &mut file, local }.visit_file(&syntax);
        file
    }

    /// `names` as they stand in this file, from the crate's root; `None` for other crates and local names.
    fn absolute(&self, names: &[String], local: &BTreeMap<String, Names>) -> Option<Names> {
        let (first, rest) = names.split_first()?;
        let from = |start: &[String]| Some([start, rest].concat());
        match first.as_str() {
            "crate" => from(&[]),
            "self" => from(&self.module),
            "super" => {
                let parent = self.module[..self.module.len().checked_sub(1)?].to_vec();
                let up = rest.iter().take_while(|n| *n == "super").count();
                Some([&parent[..parent.len().checked_sub(up)?], &rest[up..]].concat())
            }
            name if local.contains_key(name) => from(&local[name]),
            name if self.children.contains_key(name) => {
                from(&[&self.module[..], &[name.to_string()]].concat())
            }
            _ => None,
        }
    }
}

/// Whether an item is compiled for tests only.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    let test = |a: &syn::Attribute| {
        let syn::Meta::List(list) = &a.meta else { return false };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    };
    attributes.iter().any(test)
}

/// The file that `#[path = "…"]` names.
fn path_of(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().filter(|a| a.path().is_ident("path")).find_map(|a| match &a.meta {
        syn::Meta::NameValue(syn::MetaNameValue {
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }),
            ..
        }) => Some(name.value()),
        _ => None,
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item::*;
    match item {
        Const(i) => &i.attrs,
        Enum(i) => &i.attrs,
        Fn(i) => &i.attrs,
        Impl(i) => &i.attrs,
        Macro(i) => &i.attrs,
        Mod(i) => &i.attrs,
        Static(i) => &i.attrs,
        Struct(i) => &i.attrs,
        Trait(i) => &i.attrs,
        Type(i) => &i.attrs,
        Use(i) => &i.attrs,
        _ => &[],
    }
}

/// Collects what a file declares, imports and re-exports.
struct Imports<'a> {
    file: &'a mut File,
    local: BTreeMap<String, Names>,
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item::*;
        if for_tests(attributes(item)) {
            return;
        }
        let name = match item {
            Const(i) => Some(&i.ident),
            Enum(i) => Some(&i.ident),
            Fn(i) => Some(&i.sig.ident),
            Macro(i) => i.ident.as_ref(),
            Static(i) => Some(&i.ident),
            Struct(i) => Some(&i.ident),
            Trait(i) => Some(&i.ident),
            Type(i) => Some(&i.ident),
            Mod(i) if i.content.is_some() => Some(&i.ident),
            _ => None,
        };
        self.file.items.extend(name.map(|n| n.to_string()));
        if let Mod(i) = item
            && i.content.is_none()
        {
            self.file.children.insert(i.ident.to_string(), path_of(&i.attrs));
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        let line = item.use_token.span.start().line;
        let mut flat = vec![];
        flatten(&item.tree, vec![], &mut flat);
        for (names, known_as) in flat {
            let Some(absolute) = self.file.absolute(&names, &self.local) else {
                self.file.foreign.insert((names, line));
                continue;
            };
            if public {
                self.file.exported.insert((absolute.clone(), line));
            }
            match (known_as, public) {
                (Some(name), true) => {
                    self.file.exports.insert(name.clone(), absolute.clone());
                    self.local.insert(name, absolute);
                }
                (None, true) => self.file.globs.push(absolute),
                (name, false) => {
                    self.local.extend(name.map(|n| (n, absolute.clone())));
                    self.file.named.insert((absolute, line));
                }
            }
        }
    }
}

/// Paths of a `use` with the names that they are known by here; `None` for `*`.
fn flatten(tree: &syn::UseTree, mut prefix: Names, flat: &mut Vec<(Names, Option<String>)>) {
    let end = |prefix: Names, name: &syn::Ident, known_as: &syn::Ident| match name.to_string().as_str() {
        "self" => {
            let last = prefix.last().cloned();
            (prefix, last)
        }
        name => ([prefix, vec![name.to_string()]].concat(), Some(known_as.to_string())),
    };
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, flat);
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|tree| flatten(tree, prefix.clone(), flat));
        }
        syn::UseTree::Name(name) => flat.push(end(prefix, &name.ident, &name.ident)),
        syn::UseTree::Rename(name) => flat.push(end(prefix, &name.ident, &name.rename)),
        syn::UseTree::Glob(_) => flat.push((prefix, None)),
    }
}

/// Collects the paths in a file's code.
struct Paths<'a> {
    file: &'a mut File,
    local: BTreeMap<String, Names>,
}

impl Paths<'_> {
    fn name(&mut self, names: &[String], line: usize) {
        if names.len() < 2 {
            return;
        }
        match self.file.absolute(names, &self.local) {
            Some(absolute) => self.file.named.insert((absolute, line)),
            None => self.file.foreign.insert((names.to_vec(), line)),
        };
    }

    /// Paths in a macro's arguments, which are not parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut names, mut line, mut colons) = (vec![], 0, 0);
        for token in tokens {
            if let TokenTree::Ident(ident) = &token {
                self.file.words.insert((ident.to_string(), ident.span().start().line));
            }
            match &token {
                TokenTree::Ident(ident) if colons == 2 || names.is_empty() => {
                    names.push(ident.to_string());
                    (line, colons) = (ident.span().start().line, 0);
                    continue;
                }
                TokenTree::Punct(p) if p.as_char() == ':' && !names.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Punct(p) if p.as_char() == '!' => {
                    self.file.macros.extend(names.last().map(|name: &String| (name.clone(), line)));
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
            self.name(&std::mem::take(&mut names), line);
            colons = 0;
            if let TokenTree::Ident(ident) = &token {
                names.push(ident.to_string());
            }
        }
        self.name(&names, line);
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !for_tests(attributes(item)) && !matches!(item, syn::Item::Use(_)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        self.file.words.insert((ident.to_string(), ident.span().start().line));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |s| s.ident.span().start().line);
        self.name(&names, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let name = item.path.segments.last().map(|s| (s.ident.to_string(), s.ident.span().start().line));
        self.file.macros.extend(name);
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}
