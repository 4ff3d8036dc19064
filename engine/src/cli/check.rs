//! `fanfare check`: everything that is wrong with a configuration, or a summary of what it says.

use std::process::ExitCode;

use crate::cli::CheckArgs;
use crate::config::Config;

/// Exit code 0: fit to start with; 2: it has problems.
pub fn run(args: &CheckArgs) -> ExitCode {
    match Config::read(args.config.as_deref(), &|_| None) {
        Ok(config) => {
            let keys = if config.development {
                "none: development mode".to_owned()
            } else {
                config.auth.keys.len().to_string()
            };
            println!("ok");
            println!("  listen       {}", config.listen);
            println!("  keys         {keys}");
            println!("  api keys     {}", config.auth.api_keys.len());
            println!("  origins      {}", config.auth.allowed_origins.len());
            println!("  room types   {}", config.room_types.len() + 1);
            println!("  connections  {}", config.limits.connections);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
