//! The command line and the environment. An empty variable counts as unset, since compose passes one for a
//! variable that is not set. An error about the value of a variable names the variable.

use std::env;
use std::error::Error as _;
use std::ffi::OsStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser};
use supervisor::launch::{NODE, WATCH};

use super::{Cli, Command, Part};
use crate::commands::failure::{Fatal, USAGE};

/// The settings of a command that come from the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(Vec<Variable>);

/// A variable that a setting comes from. Displays as in a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    value: String,
    /// What it is on the command line, such as `--delay`.
    option: String,
}

/// A variable whose value cannot be read. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{}={}: {why}; give it another value, or unset it", variable.name, variable.value)]
pub(crate) struct VariableError {
    variable: Variable,
    why: String,
}

impl Fatal for VariableError {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

/// Why there is no command.
pub(crate) enum Refusal {
    /// The value of a variable cannot be read.
    Variable(VariableError),
    /// What is wrong with the command line; or the help, which was asked for.
    Usage(clap::Error),
}

/// Reads the command line and the environment.
///
/// # Errors
///
/// See [`Refusal`].
pub(crate) fn parse() -> Result<(Command, Variables), Refusal> {
    let word = env::args_os().nth(1).unwrap_or_default();
    if word == NODE || word == WATCH {
        let part = Part::try_parse().map_err(Refusal::Usage)?;
        return Ok((Command::Part(part), Variables::default()));
    }
    let mut command = command();
    let matches = match command.try_get_matches_from_mut(env::args_os()) {
        Ok(matches) => matches,
        // It lists empty variables, too.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let help = Cli::command().try_get_matches().err();
            return Err(Refusal::Usage(help.unwrap_or(error)));
        }
        Err(error) => {
            let why = reason(&error);
            return Err(match culprit(&error) {
                Some(variable) => Refusal::Variable(VariableError { variable, why }),
                None => Refusal::Usage(error),
            });
        }
    };
    let variables = Variables::of(&command, &matches);
    let cli = Cli::from_arg_matches(&matches).map_err(Refusal::Usage)?;
    Ok((cli.command, variables))
}

/// The definition of the command line, with the variables that have a value.
pub(crate) fn command() -> clap::Command {
    definition(|_| true)
}

/// The same, with those of them that are `wanted`.
fn definition(wanted: impl Fn(&OsStr) -> bool) -> clap::Command {
    let without_others = |arg: Arg| match arg.get_env() {
        Some(name) if is_empty(name) || !wanted(name) => arg.env(None::<&str>),
        _ => arg,
    };
    Cli::command().mut_subcommands(|command| command.mut_args(without_others))
}

fn is_empty(variable: &OsStr) -> bool {
    env::var_os(variable).is_none_or(|value| value.is_empty())
}

/// The variable without which there would be another error, or none.
fn culprit(error: &clap::Error) -> Option<Variable> {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8
    ) {
        return None;
    }
    let told = error.to_string();
    let all = command();
    let mut args = all.get_subcommands().flat_map(clap::Command::get_arguments);
    args.find_map(|arg| {
        let variable = Variable::of(arg)?;
        let others = definition(|name| name != OsStr::new(&variable.name));
        let without = others.try_get_matches();
        without
            .map_or_else(|other| other.to_string() != told, |_| true)
            .then_some(variable)
    })
}

/// What is wrong with a value, without its option.
fn reason(error: &clap::Error) -> String {
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(why), _) => why.to_string(),
        (None, Some(ContextValue::Strings(values))) => format!("expected {}", values.join(" or ")),
        _ => "it is no text in UTF-8".to_owned(),
    }
}

impl Variable {
    /// The variable of an option, if it has one.
    fn of(arg: &Arg) -> Option<Variable> {
        let name = arg.get_env()?;
        Some(Variable {
            value: env::var_os(name)?.to_string_lossy().into_owned(),
            name: name.to_string_lossy().into_owned(),
            option: format!("--{}", arg.get_long()?),
        })
    }
}

impl Variables {
    fn of(all: &clap::Command, matches: &ArgMatches) -> Variables {
        let Some((name, matches)) = matches.subcommand() else {
            return Variables::default();
        };
        let command = all.find_subcommand(name).into_iter();
        let args = command.flat_map(clap::Command::get_arguments);
        let is_from_it = |arg: &&Arg| {
            let source = matches.value_source(arg.get_id().as_str());
            source == Some(ValueSource::EnvVariable)
        };
        Variables(args.filter(is_from_it).filter_map(Variable::of).collect())
    }

    /// A sentence, after those of the variables whose options it mentions.
    pub(crate) fn name_in(&self, sentence: &str) -> String {
        let mentioned = self.0.iter().filter(|variable| {
            let mut rests = sentence.split(&variable.option).skip(1);
            rests.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-'))
        });
        let names = mentioned.map(|variable| format!("{}={}: ", variable.name, variable.value));
        names.collect::<String>() + sentence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_variables_of_the_options_in_it_and_no_others() {
        let variable = |name: &str, option: &str| Variable {
            name: name.to_owned(),
            value: "7".to_owned(),
            option: option.to_owned(),
        };
        let variables = Variables(vec![
            variable("BULLPEN_STALL", "--stall"),
            variable("BULLPEN_NODES", "--nodes"),
        ]);
        let named = |sentence: &str| variables.name_in(sentence);
        assert_eq!(named("--nodes is 7"), "BULLPEN_NODES=7: --nodes is 7");
        assert_eq!(named("give --nodes"), "BULLPEN_NODES=7: give --nodes");
        assert_eq!(
            named("--stall-probability is 7"),
            "--stall-probability is 7"
        );
        assert_eq!(
            named("--nodes and --stall"),
            "BULLPEN_STALL=7: BULLPEN_NODES=7: --nodes and --stall"
        );
    }
}
