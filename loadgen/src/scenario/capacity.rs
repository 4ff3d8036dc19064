//! `capacity`: the largest load that keeps the objective, by doubling it until it breaks and then halving the gap.

use serde_json::json;

use super::{RunError, fanout};
use crate::cli::CapacityArgs;
use crate::interrupt;
use crate::report::Report;
use crate::threshold::Threshold;
use crate::verdict::Verdict;

/// Doublings at most: beyond a millionfold the first rate was a mistake.
const DOUBLINGS_MAX: u32 = 20;

/// How one rate went.
struct Step {
    rate: f64,
    report: Report,
    /// Why it does not count as held.
    broken: Option<String>,
}

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &CapacityArgs) -> Result<Report, RunError> {
    if args.fanout.in_flight.is_some() {
        return Err(RunError::Usage("capacity needs an open loop: give --rate, not --in-flight".into()));
    }
    let objective = match &args.objective[..] {
        [] => vec!["p99<50ms".parse().map_err(RunError::Usage)?, "lost==0".parse().map_err(RunError::Usage)?],
        given => given.to_vec(),
    };
    let mut report = Report::new("capacity", parameters(args, &objective));
    let (mut held, mut broken): (Option<Step>, Option<Step>) = (None, None);
    let mut rate = args.fanout.rate;
    for number in 0..DOUBLINGS_MAX + args.refinements {
        let step = measure(args, &objective, rate)?;
        let told = step.broken.as_deref().unwrap_or("held");
        eprintln!("{rate:>12.0} messages/s: {told}");
        report.row(&format!("{rate:.0} messages/s"), told);
        // Nobody can tell what the server would have done.
        let pointless = step.report.verdict() == Verdict::Invalid;
        if step.broken.is_none() {
            held = Some(step);
        } else {
            broken = Some(step);
        }
        if pointless {
            report.problem("the load generator reached its own limit before the server did");
            break;
        }
        if interrupt::happened() {
            report.problem("ended early by a signal");
            break;
        }
        let bounds = (held.as_ref().map(|step| step.rate), broken.as_ref().map(|step| step.rate));
        rate = match bounds {
            (Some(held), None) if number < DOUBLINGS_MAX => held * 2.0,
            (Some(held), Some(broken)) if broken / held > 1.0 + args.precision => (held + broken) / 2.0,
            (None, Some(broken)) if broken > 1.0 => broken / 2.0,
            _ => break,
        };
    }
    match &held {
        Some(step) => {
            report.number("held_messages_per_second", "largest load that held", step.rate, 0, "messages/s");
            for (key, label, unit) in [
                ("deliveries_per_second", "deliveries at it", "deliveries/s"),
                ("server_cpu_percent", "server CPU at it", "% of a core"),
                ("client_cpu_percent", "load generator CPU at it", "% of a core"),
            ] {
                if let Some(value) = step.report.results().get(key).and_then(serde_json::Value::as_f64) {
                    report.number(key, label, value, 1, unit);
                }
            }
        }
        None => report.problem("no load kept the objective"),
    }
    if let Some(step) = &broken {
        report.number("broke_messages_per_second", "smallest load that did not", step.rate, 0, "messages/s");
    }
    Ok(report)
}

fn measure(args: &CapacityArgs, objective: &[Threshold], rate: f64) -> Result<Step, RunError> {
    let mut fanout = args.fanout.clone();
    fanout.rate = rate;
    let report = fanout::run("fanout", &fanout)?;
    let missed = objective.iter().find_map(|threshold| threshold.check(report.results()).err());
    let broken = missed.or_else(|| match report.verdict() {
        Verdict::Ok => None,
        other => Some(other.text().to_owned()),
    });
    Ok(Step { rate, report, broken })
}

fn parameters(args: &CapacityArgs, objective: &[Threshold]) -> serde_json::Value {
    let objective: Vec<String> = objective.iter().map(Threshold::to_string).collect();
    json!({
        "url": args.fanout.common.url, "objective": objective.join(", "), "rooms": args.fanout.rooms,
        "members": args.fanout.members, "size": args.fanout.payload.size, "step_s": args.fanout.time.duration.as_secs_f64(),
    })
}
