//! `fanfare check`: everything that is wrong with a configuration, or a summary of what it says.

use std::process::ExitCode;

use crate::cli::CheckArgs;
use crate::config::Config;

/// Exit code 0: fit to start with; 2: it has problems.
pub fn run(args: &CheckArgs) -> ExitCode {
    let profiles = (!args.profile.is_empty()).then(|| args.profile.join(","));
    match Config::read(args.config.as_deref(), &|name| profiles.clone().filter(|_| name == "profiles")) {
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
            for profile in config.profiles.iter() {
                println!("  profile      {}: {}", profile.name, profile.about);
                for setting in &profile.settings {
                    let variable =
                        setting.env.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
                    println!("    {} = {}{variable}", setting.name, setting.value);
                }
            }
            println!("  connections  {}", config.limits.connections);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
