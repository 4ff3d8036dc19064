//! The results as a picture: for each case, its first number for every server.

use std::fmt::Write;

use serde_json::Value;

use crate::case::Case;

/// How wide every picture is.
pub(crate) const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 110.0;
const BAR: f64 = 18.0;

/// Draws what [`crate::summary::Summary`] wrote; cases that were not run are left out.
pub(crate) fn draw(results: &Value, cases: &[Case]) -> String {
    let (mut body, mut y) = (String::new(), 14.0);
    for case in cases {
        let all = results["cases"].as_array().into_iter().flatten();
        let Some(found) = all.into_iter().find(|found| found["name"] == case.name) else { continue };
        let metric = case.metrics[0];
        let bars: Vec<(&str, f64)> = case
            .contestants
            .iter()
            .filter_map(|contestant| {
                let median = &found["servers"][contestant.name][metric.path]["median"];
                Some((contestant.name, median.as_f64()?))
            })
            .collect();
        let longest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        y += 18.0;
        // Writing to a String cannot fail.
        let _ = write!(body, "<text class='case' x='14' y='{y}'>{}: {}</text>", case.name, metric.label);
        let _ = write!(body, "<text class='what' x='14' y='{}'>{}</text>", y + 15.0, case.what);
        y += 24.0;
        for (name, value) in bars {
            let class = if name.starts_with("engine") { "ours" } else { "other" };
            let long = (value / longest * (WIDTH - LEFT - RIGHT)).max(1.0);
            let middle = y + BAR - 5.0;
            let _ = write!(
                body,
                "<text class='name' x='{}' y='{middle}'>{name}</text>\
                 <rect class='{class}' x='{LEFT}' y='{y}' width='{long:.1}' height='{}' rx='3'/>\
                 <text x='{:.1}' y='{middle}'>{value:.*}</text>",
                LEFT - 8.0,
                BAR - 3.0,
                LEFT + long + 8.0,
                metric.digits,
            );
            y += BAR;
        }
        y += 8.0;
    }
    page("Fanfare beside its baselines", y + 10.0, "", &body)
}

/// A picture with the common look, and `style` for what it alone has.
pub(crate) fn page(title: &str, height: f64, style: &str, body: &str) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img'><title>{title}</title>{STYLE}{style}\
         <rect class='back' width='100%' height='100%' rx='10'/>{body}</svg>\n",
    )
}

const STYLE: &str = "<style>text{font:12px system-ui,sans-serif;fill:#1d1d1b}.case{font-weight:600;font-size:14px}\
.what,.name{fill:#6b6b66}.name{text-anchor:end}.back{fill:#fbfaf7}.ours{fill:#b45f06}.other{fill:#b9b5aa}\
@media(prefers-color-scheme:dark){text{fill:#eceae4}.what,.name{fill:#a3a19a}.back{fill:#161615}.ours{fill:#f2b155}.other{fill:#5c5a53}}</style>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;

    #[test]
    fn every_case_that_was_run_has_its_bars() {
        let path = "server_cpu_us_per_delivery";
        let results = serde_json::json!({"cases": [{"name": "paced", "servers": {
            "floor": {path: {"median": 6.0}}, "engine": {path: {"median": 3.0}},
        }}]});
        let svg = draw(&results, &case::all(true));
        assert_eq!(svg.matches("class='case'").count(), 1);
        assert!(svg.contains("width='520.0'") && svg.contains("width='260.0'"), "{svg}");
        assert!(draw(&Value::Null, &case::all(true)).starts_with("<svg"));
    }
}
