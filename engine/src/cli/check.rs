//! `fanfare check`: everything that is wrong with a configuration, or a summary of what it says.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::CheckArgs;
use crate::config::Config;

/// Writes a line; whoever reads no further has seen enough.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Exit code 0: fit to start with; 2: it has problems.
pub fn run(args: &CheckArgs) -> ExitCode {
    let profiles = (!args.profile.is_empty()).then(|| args.profile.join(","));
    match Config::read(args.config.as_deref(), &|name| profiles.clone().filter(|_| name == "profiles")) {
        Ok(config) => {
            let missing = missing_folders(&config);
            if !missing.is_empty() {
                eprintln!("{}", missing.join("\n"));
                return ExitCode::from(2);
            }
            let keys = if config.development {
                "none: development mode".to_owned()
            } else {
                config.auth.keys.len().to_string()
            };
            say!("ok");
            say!("  listen       {}", config.listen);
            say!("  keys         {keys}");
            say!("  api keys     {}", config.auth.api_keys.len());
            say!("  origins      {}", config.auth.allowed_origins.len());
            say!("  room types   {}", config.room_types.len() + 1);
            for profile in config.profiles.iter() {
                say!("  profile      {}: {}", profile.name, profile.about);
                for setting in &profile.settings {
                    let variable =
                        setting.env.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
                    say!("    {} = {}{variable}", setting.name, setting.value);
                }
            }
            say!("  connections  {}", config.limits.connections);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// What is to be written into a folder that is not there.
fn missing_folders(config: &Config) -> Vec<String> {
    let files = [("store.path", config.store.as_deref()), ("audit.path", config.audit.path.as_deref())];
    let named = files.into_iter().filter_map(|(name, path)| Some((name, path?.parent()?)));
    let missing = named.filter(|(_, folder)| !folder.as_os_str().is_empty() && !folder.is_dir());
    missing
        .map(|(name, folder)| format!("{name}: there is no folder {}; make it first", folder.display()))
        .collect()
}
