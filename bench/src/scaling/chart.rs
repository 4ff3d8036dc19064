//! The series as a picture: a panel for each, what a delivery costs over what grows.

use std::fmt::Write;

use serde_json::Value;

use super::series::Series;
use super::summary::median_of;
use crate::chart::{WIDTH, page};

/// One panel, and the plot in it.
const PANEL: (f64, f64) = (WIDTH / 2.0, 250.0);
const LEFT: f64 = 52.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 44.0;
/// Room for figures between the plot's edges and the first and last point.
const INSET: f64 = 20.0;
/// Lines across the plot, the lowest at zero.
const STEPS: u32 = 4;

/// Draws what [`super::measure`] wrote; series that were not run are left out.
pub(crate) fn draw(results: &Value, all: &[Series]) -> String {
    let mut body = String::new();
    let entries = || results["series"].as_array().into_iter().flatten();
    let found = all.iter().filter_map(|series| {
        entries().find(|entry| entry["name"] == series.name).map(|entry| (series, entry))
    });
    let mut panels = 0_u32;
    for (series, entry) in found {
        let (x, y) = (f64::from(panels % 2) * PANEL.0, f64::from(panels / 2) * PANEL.1);
        // Writing to a String cannot fail.
        let _ = write!(body, "<g transform='translate({x} {y})'>{}</g>", panel(series, entry));
        panels += 1;
    }
    page(
        "What a delivery costs as the load grows",
        f64::from(panels.div_ceil(2)) * PANEL.1 + 10.0,
        STYLE,
        &body,
    )
}

/// A server's points: size and cost.
type Line = Vec<(f64, f64)>;

fn panel(series: &Series, entry: &Value) -> String {
    let metric = series.metrics[0];
    let points = || entry["points"].as_array().into_iter().flatten();
    let lines: Vec<(&str, Line)> = series
        .servers
        .iter()
        .map(|(name, _)| {
            let at = |point: &Value| Some((point["at"].as_f64()?, median_of(point, name, metric.path)?));
            (*name, points().filter_map(at).collect())
        })
        .collect();
    let top = round_up(lines.iter().flat_map(|(_, line)| line).map(|(_, cost)| *cost).fold(0.0, f64::max));
    let (first, last) =
        (f64::from(series.points[0].at), series.points.last().map_or(1.0, |last| last.at.into()));
    let (width, height) = (PANEL.0 - LEFT - RIGHT, PANEL.1 - TOP - BOTTOM);
    let x = |at: f64| LEFT + INSET + (at / first).ln() / (last / first).ln() * (width - 2.0 * INSET);
    let y = |cost: f64| TOP + height - cost / top * height;

    let mut svg = String::new();
    let _ = write!(svg, "<text class='case' x='14' y='24'>{}: {}</text>", series.name, metric.label);
    let _ = write!(svg, "<text class='what' x='14' y='41'>{}</text>", series.what);
    for step in 0..=STEPS {
        let cost = top * f64::from(step) / f64::from(STEPS);
        let _ = write!(
            svg,
            "<path class='grid' d='M{LEFT} {y:.1}h{width}'/><text class='name' x='{}' y='{:.1}'>{}</text>",
            LEFT - 6.0,
            y(cost) + 4.0,
            short(cost),
            y = y(cost),
        );
    }
    for point in &series.points {
        let _ = write!(
            svg,
            "<text class='size' x='{:.1}' y='{}'>{}</text>",
            x(point.at.into()),
            PANEL.1 - BOTTOM + 17.0,
            thousands(point.at)
        );
    }
    let _ = write!(
        svg,
        "<text class='size' x='{}' y='{}'>{}</text>",
        LEFT + width / 2.0,
        PANEL.1 - BOTTOM + 33.0,
        series.axis
    );
    for (name, line) in &lines {
        let class = if *name == "engine" { "ours" } else { "other" };
        let path: Vec<String> =
            line.iter().map(|(at, cost)| format!("{:.1} {:.1}", x(*at), y(*cost))).collect();
        if path.is_empty() {
            continue;
        }
        let _ = write!(svg, "<path class='line {class}' d='M{}'/>", path.join("L"));
        for (at, cost) in line {
            // Where lines meet, the higher figure stands above them and the lower one below.
            let others = lines.iter().flat_map(|(_, line)| line).filter(|other| other.0 == *at);
            let highest = others.map(|(_, cost)| *cost).fold(0.0, f64::max);
            let beside = if *cost == highest { -9.0 } else { 17.0 };
            let _ = write!(
                svg,
                "<circle class='{class}' cx='{:.1}' cy='{:.1}' r='3.5'/><text class='size' x='{0:.1}' y='{:.1}'>{cost:.*}</text>",
                x(*at),
                y(*cost),
                y(*cost) + beside,
                if *cost < 1.0 { 2 } else { 1 },
            );
        }
    }
    for (place, (name, _)) in (0_u8..).zip(&lines) {
        let class = if *name == "engine" { "ours" } else { "other" };
        let left = LEFT + INSET + 62.0 * f64::from(place);
        let _ = write!(
            svg,
            "<circle class='{class}' cx='{left}' cy='56' r='4'/><text class='what' x='{}' y='60'>{name}</text>",
            left + 8.0
        );
    }
    svg
}

/// The next larger number that four steps divide well.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0, 12.0];
    // A little room above the highest point, for its figure.
    let wanted = value * 1.1 / power;
    steps.into_iter().find(|step| *step >= wanted).unwrap_or(12.0) * power
}

/// Two decimals at most, and none that says nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(number: u32) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    format!("{},{:03}", number / 1_000, number % 1_000)
}

const STYLE: &str = "<style>.size{fill:#6b6b66;text-anchor:middle;font-size:11px}.grid{stroke:#e4e0d6}\
.line{fill:none;stroke-width:2}.line.ours{stroke:#b45f06;fill:none}.line.other{stroke:#b9b5aa;fill:none}\
@media(prefers-color-scheme:dark){.size{fill:#a3a19a}.grid{stroke:#2c2c29}.line.ours{stroke:#f2b155}.line.other{stroke:#5c5a53}}</style>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::series;
    use serde_json::json;

    #[test]
    fn every_series_that_was_run_has_a_panel_with_its_lines() {
        let path = "server_cpu_us_per_delivery";
        let point = |at: u32, floor: f64, engine: f64| {
            let servers = json!({"floor": {path: {"median": floor}}, "engine": {path: {"median": engine}}});
            json!({"at": at, "servers": servers})
        };
        let results = json!({"series": [
            {"name": "members", "points": [point(10, 6.0, 4.0), point(10_000, 7.0, 3.5)]},
            {"name": "shards", "points": []},
        ]});
        let svg = draw(&results, &series::all());
        assert_eq!(svg.matches("class='case'").count(), 2);
        // From one edge of the plot to the other, but for the inset.
        assert!(svg.contains("d='M72.0 ") && svg.contains("L334.0 "), "{svg}");
        assert_eq!(svg.matches("class='line").count(), 2, "a series without points has no line");
        assert!(draw(&Value::Null, &series::all()).starts_with("<svg"));
    }

    #[test]
    fn the_axis_ends_above_the_highest_point() {
        for (value, end) in [(6.9, 8.0), (7.5, 10.0), (0.3, 0.4), (9.9, 12.0), (10.4, 12.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}: {}", round_up(value));
        }
        assert_eq!((thousands(65_000), thousands(64)), ("65,000".into(), "64".into()));
        assert_eq!([0.4 * 0.75, 10.0, 0.0].map(short), ["0.3", "10", "0"]);
    }
}
