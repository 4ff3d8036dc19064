//! Asking before something is cut.

use std::io::{IsTerminal, Write};

use clap::Args;

use crate::cli::remote::Refused;

/// Whether to ask.
#[derive(Args, Clone, Debug)]
pub(super) struct Confirm {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Confirm {
    /// Asks who sits there whether to go on with this.
    pub(super) fn ask(&self, what: &str) -> Result<(), Refused> {
        let someone_is_there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if self.yes || !someone_is_there {
            return Ok(());
        }
        eprint!("{what} Go on? [y/N] ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        if read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err("nothing was done".to_owned().into())
    }
}
