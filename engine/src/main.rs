//! `fanfare`: the server and what an operator needs around it. `fanfare --help` shows everything.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use fanfare::cli::{self, Cli};
use fanfare::config::Config;
use fanfare::server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse() {
        Cli::Serve(args) => match serve(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("fanfare: {message}");
                ExitCode::from(2)
            }
        },
        Cli::Token(args) => cli::token::run(&args),
        Cli::Check(args) => cli::check::run(&args),
        Cli::Admin(args) => cli::admin::run(&args),
        Cli::Store(args) => cli::store::run(&args),
        Cli::Audit(args) => cli::audit::run(&args),
        Cli::VerifyAudit(args) => cli::verify_audit::run(&args),
        Cli::Tail(args) => cli::tail::run(&args),
        Cli::Inspect(args) => cli::inspect::run(&args),
        Cli::Doctor(args) => cli::doctor::run(&args),
    }
}

fn serve(args: &cli::ServeArgs) -> Result<(), String> {
    let config = Config::load(args).map_err(|error| error.to_string())?;
    fanfare::start_log(config.log.format, &config.log.level)?;
    let development = config.development;
    let running = server::start(config)?;
    let (address, process) = (running.address, &running.process);
    tracing::info!(
        %address,
        shards = process.options.shards,
        driver = process.driver.name,
        reason = process.driver.reason,
        development,
        "listening on http://{address}"
    );
    if development {
        tracing::info!("development mode: everybody knows the secret; open http://{address}/ to see it live");
    }
    running.wait().map_err(|error| error.to_string())
}
