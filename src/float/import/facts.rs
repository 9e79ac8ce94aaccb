//! What an import took, and from where: what a file does not say is named, so that it can be checked and set.

use serde::Serialize;

/// Where a fact comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "from", content = "note")]
pub enum Origin {
    /// The file says so.
    File,
    /// The user says so, with this option.
    Option(&'static str),
    /// Nobody says so: why it is likely, and the option that says otherwise.
    Assumed(String),
}

/// One thing that an import took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub what: &'static str,
    /// What was taken.
    pub taken: String,
    /// From where.
    #[serde(flatten)]
    pub from: Origin,
}

/// Everything that an import took.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts(pub Vec<Fact>);

impl Facts {
    /// Adds a fact.
    pub fn note(&mut self, what: &'static str, taken: impl Into<String>, from: Origin) {
        self.0.push(Fact { what, taken: taken.into(), from });
    }

    /// Adds what the user set with `option`, or else assumed because of `why`.
    pub fn choose(&mut self, what: &'static str, taken: String, set: bool, option: &'static str, why: &str) {
        let from = if set { Origin::Option(option) } else { Origin::Assumed(format!("{why}; {option}")) };
        self.note(what, taken, from);
    }

    /// Those that nobody said.
    pub fn assumed(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter().filter(|f| matches!(f.from, Origin::Assumed(_)))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Origin::File => write!(f, "file"),
            Origin::Option(option) => write!(f, "{option}"),
            Origin::Assumed(why) => write!(f, "assumed ({why})"),
        }
    }
}
