//! Names and reasons that others chose, as an operator may read them: nothing in them hides, turns around or looks like something else.

use fanfare_protocol::sanitize::is_unwanted;

/// On one line, with what could not be seen written as its number.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unwanted(c) || is_unseen(c) {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The same for one value among others: in quotes where it could be taken for more than one.
pub(super) fn value(text: &str) -> String {
    let is_odd = |c: char| c.is_whitespace() || matches!(c, '=' | '"' | ',');
    if text.is_empty() || !text.contains(is_odd) {
        return plain(text);
    }
    format!("\"{}\"", plain(text).replace('"', "\\\""))
}

/// White space but the space itself, marks of no width, and fillers that look like spaces.
const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hide_or_forge_is_written_out() {
        for (given, expected) in [
            ("ada", "ada"),
            ("José-7", "José-7"),
            ("a\u{202e}b\u{200b}c", r"a\u{202e}b\u{200b}c"),
            ("a\nb\u{1b}[2J", "\"a\\u{a}b\\u{1b}[2J\""),
            ("eve user=root", "\"eve user=root\""),
            ("eve=root", "\"eve=root\""),
            ("say \"x\"", "\"say \\\"x\\\"\""),
            ("", ""),
        ] {
            assert_eq!(value(given), expected);
        }
        assert_eq!(plain("a b=c\t\u{feff}"), r"a b=c\u{9}\u{feff}");
    }
}
