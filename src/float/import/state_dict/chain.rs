//! From modules to the chain of layers: which follows which, and which batch norm belongs to which layer.

use super::modules::{Kind, Module};
use crate::float::import::natural;

/// A convolution or dense layer with its batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The layer.
    pub layer: Module,
    /// Its batch norm.
    pub norm: Option<Module>,
    /// Whether the batch norm stands behind the ReLU.
    pub behind: bool,
    /// Whether the layer, if a convolution, reads its whole input map and makes 1×1: a dense layer.
    pub whole_map: bool,
}

/// The links in order of execution: convolutions, then dense layers.
pub fn chain(modules: Vec<Module>) -> Result<Vec<Link>, String> {
    let (norms, layers): (Vec<Module>, Vec<Module>) =
        modules.into_iter().partition(|m| matches!(m.kind, Kind::Norm(_)));
    let layers = ordered(layers)?;
    let owners = owners(&layers, &norms)?;
    let whole = whole_maps(&layers)?;
    let link = |(i, layer): (usize, Module)| {
        let norm = owners.iter().position(|&o| o == i).map(|n| norms[n].clone());
        let behind = norm.as_ref().is_some_and(|n| distance(&layer, n).is_some_and(|d| d > 1));
        Link { layer, norm, behind, whole_map: whole[i] }
    };
    Ok(layers.into_iter().enumerate().map(link).collect())
}

/// Layers such that each reads what the one before makes: in the file's order if it fits, then in the names' order,
/// then in the only order that the sizes of dense layers allow.
fn ordered(layers: Vec<Module>) -> Result<Vec<Module>, String> {
    let (convs, dense): (Vec<Module>, Vec<Module>) =
        layers.into_iter().partition(|m| matches!(m.kind, Kind::Conv { .. }));
    let in_file: Vec<Module> = convs.iter().chain(&dense).cloned().collect();
    let Err(reason) = fits(&in_file) else { return Ok(in_file) };
    let mut by_name = in_file;
    by_name.sort_by_cached_key(|m| (matches!(m.kind, Kind::Dense { .. }), natural::key(&m.path)));
    if fits(&by_name).is_ok() {
        return Ok(by_name);
    }
    let mut found = permutations(dense)
        .into_iter()
        .map(|d| convs.iter().cloned().chain(d).collect())
        .filter(|all: &Vec<Module>| fits(all).is_ok());
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(reason),
    }
}

/// All orders of at most [`MOST_REORDERED`] dense layers.
fn permutations(items: Vec<Module>) -> Vec<Vec<Module>> {
    const MOST_REORDERED: usize = 5;
    if items.len() > MOST_REORDERED {
        return vec![];
    }
    let mut all = vec![vec![]];
    for item in items {
        all = all
            .into_iter()
            .flat_map(|p: Vec<Module>| {
                (0..=p.len())
                    .map(|at| {
                        let mut q = p.clone();
                        q.insert(at, item.clone());
                        q
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

/// Whether every layer reads what the one before makes; else the first that does not.
fn fits(layers: &[Module]) -> Result<(), String> {
    let mut dense = false;
    for pair in layers.windows(2) {
        let (before, layer) = (&pair[0], &pair[1]);
        let co = before.co();
        let fits = match layer.kind {
            Kind::Conv { ci, .. } => ci == co,
            Kind::Dense { inputs, .. } if dense => inputs == co,
            Kind::Dense { inputs, .. } => inputs % co == 0,
            Kind::Norm(_) => false,
        };
        dense = matches!(layer.kind, Kind::Dense { .. });
        if !fits {
            return Err(format!(
                "tensor {}.weight ({:?}) does not read the {co} outputs of {}: no chain of layers, or several networks (--key takes one)",
                layer.path, layer.kind, before.path
            ));
        }
    }
    match layers.first() {
        None => Err("holds no convolution and no dense layer".into()),
        Some(first) if matches!(first.kind, Kind::Dense { .. }) => {
            Err("holds no convolution: not a VGG".into())
        }
        Some(_) => Ok(()),
    }
}

/// Which convolutions are dense layers: those behind the last 3×3 (or last 1×1 that a pool may follow) whose kernel
/// is a whole map, and the 1×1 behind them.
fn whole_maps(layers: &[Module]) -> Result<Vec<bool>, String> {
    let mut behind = false;
    let mut whole = vec![];
    for layer in layers {
        let is_whole = match layer.kind {
            Kind::Conv { side: 3, .. } if behind => {
                return Err(format!("{} is a convolution behind dense layers", layer.path));
            }
            Kind::Conv { side: 1, .. } => behind,
            Kind::Conv { side: 3, .. } => false,
            Kind::Conv { side, .. } if whole.is_empty() => {
                return Err(format!(
                    "{} is a convolution of {side}×{side}; only 3×3 and 1×1 are supported",
                    layer.path
                ));
            }
            Kind::Conv { .. } => true,
            _ => false,
        };
        behind |= is_whole;
        whole.push(is_whole);
    }
    Ok(whole)
}

/// How far behind a layer its batch norm stands in the same `Sequential`.
pub fn distance(layer: &Module, norm: &Module) -> Option<usize> {
    let same = layer.parent() == norm.parent();
    same.then(|| norm.index()?.checked_sub(layer.index()?)).flatten()
}

/// The layer of every batch norm: by place in a `Sequential`, by the numbers in their names, by their order.
fn owners(layers: &[Module], norms: &[Module]) -> Result<Vec<usize>, String> {
    let near = |norm: &Module| {
        let distances = layers.iter().enumerate().filter_map(|(i, l)| Some((distance(l, norm)?, i)));
        distances.min().map(|(_, i)| i)
    };
    let only = |wanted: &dyn Fn(&Module) -> bool| {
        let mut found = layers.iter().enumerate().filter(|(_, l)| wanted(l));
        let first = found.next().map(|(i, _)| i);
        if found.next().is_some() { None } else { first }
    };
    let numbered = |norm: &Module| {
        let numbers = natural::numbers(&norm.path);
        let dense = norm.path.contains("fc");
        let same = |l: &Module| natural::numbers(&l.path) == numbers && !numbers.is_empty();
        only(&same).or_else(|| only(&|l| same(l) && dense == matches!(l.kind, Kind::Dense { .. })))
    };
    let sibling = |norm: &Module| only(&|l| l.parent() == norm.parent());
    let by_name: Option<Vec<usize>> =
        norms.iter().map(|n| near(n).or_else(|| numbered(n)).or_else(|| sibling(n))).collect();
    let in_order: Vec<usize> = (0..norms.len()).collect();
    let fits = |owners: &Vec<usize>| {
        let distinct = owners.iter().collect::<std::collections::BTreeSet<_>>().len() == owners.len();
        distinct && owners.iter().zip(norms).all(|(&o, n)| layers.get(o).is_some_and(|l| l.co() == n.co()))
    };
    if let Some(owners) = by_name.filter(fits) {
        return Ok(owners);
    }
    let convs = layers.iter().filter(|l| matches!(l.kind, Kind::Conv { .. })).count();
    if fits(&in_order) && [layers.len(), convs].contains(&norms.len()) {
        return Ok(in_order);
    }
    Err(format!("the batch norms {}, … cannot be told to belong to which layer", norms[0].path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, kind: Kind) -> Module {
        Module { path: path.into(), kind, biased: true, passed: 0 }
    }

    #[test]
    fn batch_norms_find_their_layers() {
        let conv = |path: &str, ci, co| module(path, Kind::Conv { co, ci, side: 3 });
        let norm = |path: &str, c| module(path, Kind::Norm(c));
        let table = [
            ["f.0", "f.3", "f.1", "f.4"],
            ["conv1", "conv2", "bn1", "bn2"],
            ["block1.conv", "block2.conv", "block1.bn", "block2.bn"],
            ["a", "b", "c", "d"],
        ];
        for [a, b, m, n] in table {
            let links = chain(vec![conv(a, 3, 4), conv(b, 4, 4), norm(n, 4), norm(m, 4)]);
            let want = if a == "a" { [n, m] } else { [m, n] };
            let found: Vec<String> = links.unwrap().into_iter().map(|l| l.norm.unwrap().path).collect();
            assert_eq!(found, want);
        }
        let lost = chain(vec![conv("a", 3, 4), conv("b", 4, 4), norm("x", 4)]).unwrap_err();
        assert!(lost.contains("cannot be told"), "{lost}");
    }

    #[test]
    fn dense_layers_are_ordered_by_what_they_read() {
        let dense = |path: &str, inputs, co| module(path, Kind::Dense { co, inputs });
        let conv = module("features.0", Kind::Conv { co: 4, ci: 3, side: 3 });
        let links =
            chain(vec![dense("head", 6, 5), dense("pre.a", 16, 8), dense("pre.b", 8, 6), conv]).unwrap();
        let names: Vec<&str> = links.iter().map(|l| l.layer.path.as_str()).collect();
        assert_eq!(names, ["features.0", "pre.a", "pre.b", "head"]);
    }
}
