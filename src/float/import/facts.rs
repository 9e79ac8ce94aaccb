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

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of docs/reports.md.
    #[test]
    fn facts_in_json() {
        let mut facts = Facts::default();
        facts.note("input", "3×32×32", Origin::File);
        facts.choose("mean", "0.5".into(), true, "--mean", "habit");
        facts.choose("std", "1".into(), false, "--std", "habit");
        let want = serde_json::json!([
            {"what": "input", "taken": "3×32×32", "from": "file"},
            {"what": "mean", "taken": "0.5", "from": "option", "note": "--mean"},
            {"what": "std", "taken": "1", "from": "assumed", "note": "habit; --std"},
        ]);
        assert_eq!(serde_json::json!(facts), want);
        assert_eq!(facts.assumed().count(), 1);
    }
}
