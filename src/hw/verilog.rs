//! The Verilog of a design point.

use super::Accelerator;
use super::emit::{Module, emit};
use crate::config::ArrayConfig;
use crate::{Error, Result, store};
use rust_hdl::prelude::Block;

/// The top's name, behind the prefix.
pub const TOP: &str = "accelerator";
/// Most characters of a prefix's name: synthesis tools cut what is much longer.
const LONGEST: usize = 64;

/// What the names of all modules of a design begin with, so that two designs, or a module of somebody else's, can stand beside
/// each other. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// `name` and an underscore.
    ///
    /// # Errors
    /// What is wrong with `name`, which must be a plain identifier of Verilog.
    pub fn named(name: &str) -> std::result::Result<Self, String> {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let plain = |c: char| first(c) || c.is_ascii_digit();
        if !name.starts_with(first) || !name.chars().all(plain) || name.len() > LONGEST {
            return Err(format!(
                "{name:?} cannot begin a name of Verilog: letters, digits and _ are possible, no digit first, {LONGEST} at the most"
            ));
        }
        Ok(Self(format!("{name}_")))
    }

    /// That of `config`: `vgg_`, the first six digits of its [`hash`], and an underscore. Equal configurations have equal Verilog
    /// and equal names.
    pub fn of(config: &ArrayConfig) -> Self {
        Self(format!("vgg_{}_", &hash(config)[..6]))
    }
}

/// The modules of the accelerator `config`, children before parents, the last one being [`TOP`]. Their headers name this program's
/// version and the configuration's hash.
///
/// Fails where the configuration is not valid.
pub fn verilog(config: &ArrayConfig) -> Result<Vec<Module>> {
    prefixed(config, &Prefix::default())
}

/// As [`verilog`], with names that begin with `prefix`.
pub fn prefixed(config: &ArrayConfig, prefix: &Prefix) -> Result<Vec<Module>> {
    config.validate()?;
    let mut top = Accelerator::new(config);
    top.connect_all();
    let generated_by = format!("vgg2rtl {}, configuration {}", env!("CARGO_PKG_VERSION"), hash(config));
    emit(TOP, &top, &generated_by, &prefix.0).map_err(|e| Error::usage("the design point", e))
}

/// Digits that tell configurations apart.
pub fn hash(config: &ArrayConfig) -> String {
    let json = serde_json::to_vec(config).expect("a configuration is plain data");
    store::digest([json])[..16].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_begins_every_name_and_changes_nothing_else() {
        let config = ArrayConfig::preset("tiny").unwrap();
        let (plain, named) =
            (verilog(&config).unwrap(), prefixed(&config, &Prefix::named("my").unwrap()).unwrap());
        assert_eq!(plain.len(), named.len());
        for (plain, named) in plain.iter().zip(&named) {
            assert_eq!(named.name, format!("my_{}", plain.name));
            let words = |text: &str| text.replace("my_", "");
            assert_eq!(words(&plain.text), words(&named.text), "{}", named.name);
        }
        let of = Prefix::of(&config).0;
        assert!(of.starts_with("vgg_") && of.len() == 11 && of == Prefix::of(&config).0, "{of}");
        assert_ne!(of, Prefix::of(&ArrayConfig { id_bits: 2, ..config }).0);
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for name in ["", "1a", "a-b", "a b", "é", "a$", "\\a", "a.b", &"a".repeat(65)] {
            let refused = Prefix::named(name).unwrap_err();
            assert!(refused.contains(&format!("{name:?}")), "{refused}");
        }
        for name in ["a", "_", "A9_b"] {
            assert_eq!(Prefix::named(name).unwrap().0, format!("{name}_"));
        }
    }
}
