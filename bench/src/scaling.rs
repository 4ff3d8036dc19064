//! How the engine's cost grows with members, rooms, bytes and shards.
//!
//! As in the comparison, no number stands alone: a round goes through all points of a series and through all servers
//! of a point, so that what the machine does in between hits all of them.

mod chart;
mod series;
mod summary;

pub(crate) use chart::draw;
pub(crate) use series::{Series, all};

use std::time::Duration;

use serde_json::{Value, json};

use crate::case::value_at;
use crate::load::{Outcome, Run};
use crate::server::{Binaries, Setup};
use series::{DELIVERIES_PER_CPU, PER_DELIVERY, Point};
use summary::{Ran, summarize, table};

/// After this time a run counts as hanging.
const LIMIT: Duration = Duration::from_secs(90);

/// What all runs share.
#[derive(Debug)]
pub(crate) struct Scaling<'a> {
    /// The programs.
    pub(crate) binaries: &'a Binaries,
    /// Core of the server, where it has one of its own.
    pub(crate) server_core: u32,
    /// Core of the load generator, likewise.
    pub(crate) client_core: u32,
    /// How often each point is measured.
    pub(crate) rounds: u32,
}

impl Scaling<'_> {
    /// Measures a series and prints its table; returns its entry in the JSON file and how many runs failed.
    pub(crate) fn measure(&self, series: &Series) -> (Value, usize) {
        let mut ran = Vec::new();
        for round in 0..self.rounds as usize {
            for (place, point) in series.points.iter().enumerate() {
                for turn in 0..series.servers.len() {
                    // Each round begins with another one.
                    let (server, kind) = series.servers[(round + turn) % series.servers.len()];
                    let core = |core| series.pinned.then_some(core);
                    let setup = Setup { kind, core: core(self.server_core), shards: point.shards, env: &[] };
                    let outcome = self.run(setup, core(self.client_core), point);
                    let told = match &outcome {
                        Outcome::Done(results) => value_at(results, PER_DELIVERY)
                            .map_or_else(|| "no number".into(), |cost| format!("{cost:.3} us")),
                        Outcome::Failed(why) => format!("FAILED: {why}"),
                    };
                    let (round, rounds) = (round + 1, self.rounds);
                    eprintln!("  round {round}/{rounds} {} {}: {server:<7} {told}", series.axis, point.at);
                    ran.push(Ran { point: place, server, outcome });
                }
            }
        }
        let summary = summarize(series, &ran);
        println!("{}", table(series, &summary));
        let failed = ran.iter().filter(|ran| matches!(ran.outcome, Outcome::Failed(_))).count();
        (summary, failed)
    }

    fn run(&self, setup: Setup, client_core: Option<u32>, point: &Point) -> Outcome {
        let args = point.load.split_whitespace().collect();
        let mut outcome = Run { setup, client_core, args, metrics: false, limit: LIMIT }.run(self.binaries);
        if let Outcome::Done(results) = &mut outcome
            && let Some(cost_us) = value_at(results, PER_DELIVERY).filter(|cost_us| *cost_us > 0.0)
        {
            results[DELIVERIES_PER_CPU] = json!(1e6 / cost_us);
        }
        outcome
    }
}
