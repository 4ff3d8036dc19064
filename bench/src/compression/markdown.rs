//! Tables as Markdown has them.

/// A table; the first `texts` columns are text, the others numbers.
pub(super) fn table(title: &str, head: &[&str], texts: usize, rows: &[Vec<String>]) -> String {
    let line =
        |cells: &mut dyn Iterator<Item = &str>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let mut table = format!("\n### {title}\n\n");
    table += &line(&mut head.iter().copied());
    table += &line(&mut (0..head.len()).map(|column| if column < texts { "---" } else { "---:" }));
    for row in rows {
        table += &line(&mut row.iter().map(String::as_str));
    }
    table
}

/// A number with so many decimals, thousands apart; nothing where there is none.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    let Some(value) = value else { return "-".into() };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// Bytes as people say them.
pub(super) fn size(bytes: u64) -> String {
    if bytes >= 1_024 && bytes.is_multiple_of(1_024) {
        format!("{} KiB", bytes / 1_024)
    } else {
        format!("{bytes} B")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_below_their_head() {
        let rows = [vec!["chat".to_owned(), number(Some(1_234.56), 1)], vec!["x".into(), number(None, 1)]];
        assert_eq!(
            table("T", &["kind", "bytes"], 1, &rows),
            "\n### T\n\n| kind | bytes |\n| --- | ---: |\n| chat | 1,234.6 |\n| x | - |\n"
        );
        assert_eq!((size(326), size(8_192)), ("326 B".into(), "8 KiB".into()));
    }
}
