//! The arguments of `completions`.

use clap::Args;
use clap_complete::Shell;

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// The examples after the options in the help.
pub(crate) const HELP: &str = "Examples:\n  \
    source <(bullpen completions bash)     for this shell\n  \
    bullpen completions bash > ~/.local/share/bash-completion/completions/bullpen\n  \
    bullpen completions zsh > ~/.zfunc/_bullpen     a folder that is in $fpath\n  \
    bullpen completions fish > ~/.config/fish/completions/bullpen.fish";
