//! The report as one page: everything in it, nothing from elsewhere, light and dark.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::timeline::Timeline;

/// Size of a plot, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
/// Room for the axes.
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 30.0;
const TOP: f64 = 12.0;

/// What the page shows.
pub(crate) struct Page<'p> {
    /// The scenario.
    pub(crate) title: &'p str,
    /// Its parameters, in one line.
    pub(crate) parameters: &'p str,
    /// How it ended, in words, and whether that is good.
    pub(crate) verdict: (&'p str, bool),
    /// The table: name and value.
    pub(crate) rows: &'p [(String, String)],
    /// What went wrong, one line each.
    pub(crate) problems: &'p [String],
    /// Publish to delivery, in nanoseconds.
    pub(crate) latency: Option<&'p Histogram<u64>>,
    /// What that is, in words.
    pub(crate) heading: &'p str,
    /// The same and the rate, by time.
    pub(crate) timeline: Option<&'p Timeline>,
}

impl Page<'_> {
    /// The whole page.
    pub(crate) fn render(&self) -> String {
        let mut page = String::from(HEAD);
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "<title>{0}</title></head><body><main><h1>{0}</h1><p class=quiet>{1}</p>",
            escaped(self.title),
            escaped(self.parameters)
        );
        let class = if self.verdict.1 { "good" } else { "bad" };
        let _ = write!(page, "<p class='verdict {class}'>{}</p>", escaped(self.verdict.0));
        for problem in self.problems {
            let _ = write!(page, "<p class=problem>{}</p>", escaped(problem));
        }
        if let Some(latency) = self.latency.filter(|latency| !latency.is_empty()) {
            let _ = write!(page, "<h2>{} by percentile</h2>{}", escaped(self.heading), percentiles(latency));
        }
        if let Some(timeline) = self.timeline {
            let _ = write!(page, "<h2>Latency over time</h2>{}", latencies(timeline));
            let _ = write!(page, "<h2>Deliveries per second</h2>{}", rates(timeline));
        }
        page += "<h2>Everything</h2><table>";
        for (name, value) in self.rows {
            let _ = write!(page, "<tr><td>{}<td class=value>{}", escaped(name), escaped(value));
        }
        page += "</table></main></body></html>\n";
        page
    }
}

/// How many nines a percentile has: 90 % is 1, 99 % is 2.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

fn percentiles(latency: &Histogram<u64>) -> String {
    let last = nines(1.0 - 1.0 / latency.len() as f64).clamp(1.0, 6.0);
    let points: Vec<(f64, f64)> = (0..=200)
        .map(|step| {
            let x = last * f64::from(step) / 200.0;
            (x, ms(latency.value_at_quantile(1.0 - 10_f64.powf(-x))))
        })
        .collect();
    let ticks = [
        (std::f64::consts::LOG10_2, "50 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "99.999 %"),
        (6.0, ""),
    ];
    let ticks: Vec<(f64, String)> =
        ticks.iter().filter(|(x, _)| *x <= last).map(|(x, text)| (*x, (*text).to_owned())).collect();
    plot(&[("latency", points)], last, &ticks, true, "ms")
}

fn latencies(timeline: &Timeline) -> String {
    let line = |quantile: f64| {
        let parts = timeline.parts.iter().enumerate().filter(|(_, part)| !part.latency.is_empty());
        parts
            .map(|(number, part)| (second(timeline, number), ms(part.latency.value_at_quantile(quantile))))
            .collect()
    };
    let (end, ticks) = seconds(timeline);
    plot(&[("p50", line(0.5)), ("p99", line(0.99)), ("max", line(1.0))], end, &ticks, true, "ms")
}

fn rates(timeline: &Timeline) -> String {
    let parts = timeline.parts.iter().enumerate();
    let line =
        parts.map(|(number, part)| (second(timeline, number), part.deliveries as f64 / timeline.part_s()));
    let (end, ticks) = seconds(timeline);
    plot(&[("deliveries/s", line.collect())], end, &ticks, false, "")
}

/// The middle of a part.
fn second(timeline: &Timeline, number: usize) -> f64 {
    (number as f64 + 0.5) * timeline.part_s()
}

fn seconds(timeline: &Timeline) -> (f64, Vec<(f64, String)>) {
    let end = timeline.parts.len() as f64 * timeline.part_s();
    // Quarters of an odd number of seconds would look alike without their fractions.
    let digits = if end < 40.0 && end % 4.0 != 0.0 { 2 } else { 0 };
    let ticks =
        (0..=4).map(|tick| end * f64::from(tick) / 4.0).map(|x| (x, format!("{x:.digits$} s"))).collect();
    (end, ticks)
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Lines over a common x axis from 0 to `end`; `log` makes the y axis logarithmic.
fn plot(
    lines: &[(&str, Vec<(f64, f64)>)],
    end: f64,
    ticks: &[(f64, String)],
    log: bool,
    unit: &str,
) -> String {
    let values = || lines.iter().flat_map(|(_, points)| points.iter().map(|(_, y)| *y));
    let top = values().fold(f64::MIN_POSITIVE, f64::max);
    let (low, high, marks) = if log {
        let low = values().fold(top, f64::min).max(1e-3).log10().floor();
        let high = top.log10().ceil().max(low + 1.0);
        let marks = (low as i32..=high as i32).map(|power| 10_f64.powi(power)).collect();
        (low, high, marks)
    } else {
        let step = 10_f64.powf(top.log10().floor());
        let high = (top / step).ceil() * step;
        (0.0, high, (0..=4).map(|mark| high * f64::from(mark) / 4.0).collect::<Vec<_>>())
    };
    let x_of = |x: f64| LEFT + x / end * (WIDTH - LEFT - 8.0);
    let y_of = |y: f64| {
        let y = if log { y.max(1e-9).log10() } else { y };
        HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
    };
    let mut svg = format!("<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img>");
    for mark in &marks {
        let y = y_of(*mark);
        let _ = write!(
            svg,
            "<line class=grid x1={LEFT} x2={} y1={y:.1} y2={y:.1} /><text class=left x={} y={:.1}>{}</text>",
            WIDTH - 8.0,
            LEFT - 8.0,
            y + 4.0,
            amount(*mark, unit)
        );
    }
    for (x, text) in ticks {
        let _ =
            write!(svg, "<text class=below x={:.1} y={}>{}</text>", x_of(*x), HEIGHT - 8.0, escaped(text));
    }
    for (number, (name, points)) in lines.iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
        let _ = write!(svg, "<polyline class=line{number} points='{}' />", path.join(" "));
        if let [(x, y)] = points[..] {
            let _ = write!(svg, "<circle class=dot{number} r=3 cx={:.1} cy={:.1} />", x_of(x), y_of(y));
        }
        if lines.len() > 1 {
            let x = LEFT + 12.0 + 70.0 * number as f64;
            let _ = write!(svg, "<text class=name{number} x={x} y={}>{}</text>", TOP + 12.0, escaped(name));
        }
    }
    svg += "</svg>";
    svg
}

fn amount(value: f64, unit: &str) -> String {
    let text = match value {
        v if v >= 1e6 => format!("{} M", trimmed(v / 1e6)),
        v if v >= 1e4 => format!("{} k", trimmed(v / 1e3)),
        v => trimmed(v),
    };
    if unit.is_empty() { text } else { format!("{text} {unit}") }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\'', "&#39;")
        .replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=en><head><meta charset=utf-8>\
<meta name=viewport content='width=device-width,initial-scale=1'><style>\
:root{color-scheme:light dark;--ink:#1d1d1b;--quiet:#6b6b66;--back:#fbfaf7;--card:#fff;--grid:#e4e2dc;--a:#b45f06;--b:#0b7285;--c:#a61e4d}\
@media(prefers-color-scheme:dark){:root{--ink:#eceae4;--quiet:#a3a19a;--back:#131312;--card:#1b1b19;--grid:#34332f;--a:#f2b155;--b:#4fc3d9;--c:#ff7fa8}}\
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\
main{max-width:760px;margin:0 auto;padding:28px 18px}\
h1{margin:0;font-size:26px}h2{font-size:16px;margin:26px 0 8px}.quiet{color:var(--quiet);margin:4px 0 14px;overflow-wrap:anywhere}\
.verdict{display:inline-block;padding:4px 14px;border-radius:99px;font-weight:600;color:#fff;margin:0}.good{background:#2b8a3e}.bad{background:#c92a2a}\
.problem{margin:10px 0 0;color:var(--c)}\
svg{width:100%;height:auto;background:var(--card);border-radius:10px;border:1px solid var(--grid)}\
text{font:11px system-ui,sans-serif;fill:var(--quiet)}.left{text-anchor:end}.below{text-anchor:middle}\
.grid{stroke:var(--grid)}polyline{fill:none;stroke-width:2;stroke-linejoin:round}\
.line0{stroke:var(--a)}.line1{stroke:var(--b)}.line2{stroke:var(--c)}.dot0{fill:var(--a)}.dot1{fill:var(--b)}.dot2{fill:var(--c)}\
.name0{fill:var(--a)}.name1{fill:var(--b)}.name2{fill:var(--c)}\
table{border-collapse:collapse;width:100%}td{padding:5px 0;border-bottom:1px solid var(--grid)}.value{text-align:right;font-variant-numeric:tabular-nums}\
</style>";

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str) -> String {
        let mut latency = crate::report::histogram().unwrap();
        let mut timeline = Timeline::new(0, 3_000_000_000).unwrap();
        for step in 0..3_000_u64 {
            let ns = 1_000_000 + step * 1_000;
            latency.record(ns).unwrap();
            timeline.delivered(step * 1_000_000, ns);
        }
        let rows = [("lost".to_owned(), "0".to_owned())];
        Page {
            title,
            parameters: "rate 5",
            verdict: ("ok", true),
            rows: &rows,
            problems: &[],
            latency: Some(&latency),
            heading: "Latency",
            timeline: Some(&timeline),
        }
        .render()
    }

    #[test]
    fn the_page_has_its_plots_and_nothing_from_elsewhere() {
        let page = page("fanout");
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("99.9 %") && page.contains("p99"));
        assert!(
            !page.contains("http://")
                && !page.contains("https://")
                && !page.contains("NaN")
                && !page.contains("inf")
        );
    }

    #[test]
    fn what_a_server_says_is_text_and_never_markup() {
        assert!(page("<script>alert(1)</script>").contains("&lt;script&gt;"));
    }

    #[test]
    fn an_empty_run_has_a_page_too() {
        let timeline = Timeline::new(0, 1).unwrap();
        let page = Page {
            title: "t",
            parameters: "",
            verdict: ("failed", false),
            rows: &[],
            problems: &["no member joined".to_owned()],
            latency: None,
            heading: "Latency",
            timeline: Some(&timeline),
        };
        let page = page.render();
        assert!(page.contains("no member joined") && !page.contains("NaN"), "{page}");
    }
}
