//! Which options were typed: so that one that would be ignored can be refused.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use vgg2rtl::{Error, Result};

/// The options of the command line, by their names in the program. Takes no option itself; stands before all that do, since
/// each takes its options away.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<String>);

impl Given {
    /// Refuses an option of `T` that was typed: it means something only where `when`.
    pub fn refuse<T: Args>(&self, when: &str) -> Result<()> {
        let of_group = T::augment_args(Command::new(""));
        match of_group.get_arguments().find(|a| self.0.iter().any(|id| a.get_id() == id.as_str())) {
            Some(option) => {
                let name = format!("--{}", option.get_long().unwrap_or_default());
                Err(Error::usage(name, format!("has a meaning only with {when}")))
            }
            None => Ok(()),
        }
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let is_typed = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let ids = matches.ids().map(|id| id.as_str());
        Ok(Self(ids.filter(is_typed).map(String::from).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}
