//! `fanfare admin reload`.

use clap::Args;
use serde_json::{Value, json};

use super::{Common, counted, table};
use crate::cli::remote::Refused;

/// `fanfare admin reload`.
#[derive(Args, Clone, Debug)]
pub(super) struct ReloadArgs {
    /// Only tell what it would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: &ReloadArgs) -> Result<(), Refused> {
    let ReloadArgs { dry_run, common } = args;
    let answer = common.call("POST", "/v1/admin/reload", Some(&json!({ "dry_run": dry_run })));
    let answer = answer.inspect_err(|refused| {
        let problems = refused.details["problems"].as_array().into_iter().flatten();
        for problem in problems {
            eprintln!("  {}: {}", text(&problem["place"]), text(&problem["message"]));
        }
    })?;
    common.show(&answer, |answer| words(answer, *dry_run));
    Ok(())
}

fn words(answer: &Value, dry_run: bool) {
    let changes = answer["changes"].as_array().map_or(&[][..], Vec::as_slice);
    if changes.is_empty() {
        println!("nothing has changed");
        return;
    }
    let given = |value: &Value| value.as_str().unwrap_or("(default)").to_owned();
    let row = |change: &Value| {
        let takes_effect = if change["takes_effect"] == "restart" { "after a restart" } else { "at once" };
        vec![
            text(&change["setting"]).to_owned(),
            given(&change["old"]),
            given(&change["new"]),
            takes_effect.to_owned(),
        ]
    };
    table::print(&["SETTING", "OLD", "NEW", "TAKES EFFECT"], &changes.iter().map(row).collect::<Vec<_>>());
    let restart = changes.iter().filter(|change| change["takes_effect"] == "restart").count();
    let taken = counted((changes.len() - restart) as u64, "change");
    let word = if dry_run { "would take effect" } else { "took effect" };
    println!("\n{taken} {word}, {restart} need a restart");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
