//! Filters, tests and functions that an expression names. The engine of expressions looks them up when it comes by, which may be
//! never: so all are found in the text, and asked for one by one.

use minijinja::ErrorKind;

/// A piece of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Word(&'t str),
    /// A text in quotes, without them.
    Text(&'t str),
    Mark(char),
}

/// Words that may stand before a parenthesis and call nothing.
const KEYWORDS: [&str; 7] = ["and", "or", "not", "in", "if", "else", "is"];

/// The first that there is none of, as a sentence tells it. `fails` says how an expression fails, if it does.
pub(crate) fn unknown(text: &str, fails: impl Fn(&str) -> Option<ErrorKind>) -> Option<String> {
    let tokens = tokens(text);
    let lacks = |name: &str, sample: String, kind, what| {
        (fails(&sample) == Some(kind)).then(|| format!("there is no {what} `{name}`"))
    };
    let filter = |name: &str| lacks(name, format!("x|{name}"), ErrorKind::UnknownFilter, "filter");
    let test = |name: &str| lacks(name, format!("x is {name}"), ErrorKind::UnknownTest, "test");
    let function = |name: &str| lacks(name, format!("{name}()"), ErrorKind::UnknownFunction, "function");
    (0..tokens.len()).find_map(|at| {
        let before = at.checked_sub(1).map(|before| tokens[before]);
        match &tokens[at..] {
            [Token::Mark('|'), Token::Word(name), rest @ ..] => {
                filter(name).or_else(|| match (*name, rest) {
                    ("map", [Token::Mark('('), Token::Text(name), ..]) => filter(name),
                    ("select" | "reject", [Token::Mark('('), Token::Text(name), ..]) => test(name),
                    (
                        "selectattr" | "rejectattr",
                        [Token::Mark('('), Token::Text(_), Token::Mark(','), Token::Text(name), ..],
                    ) => test(name),
                    _ => None,
                })
            }
            [Token::Word("is"), Token::Word("not"), Token::Word(name), ..]
            | [Token::Word("is"), Token::Word(name), ..]
                if before != Some(Token::Mark('.')) && *name != "not" =>
            {
                test(name)
            }
            [Token::Word(name), Token::Mark('('), ..]
                if !KEYWORDS.contains(name)
                    && !matches!(before, Some(Token::Mark('.' | '|') | Token::Word("is")))
                    && !tokens[..at].ends_with(&[Token::Word("is"), Token::Word("not")]) =>
            {
                function(name)
            }
            _ => None,
        }
    })
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(next) = rest.chars().next() {
        let is_of_word = |next: char| next.is_alphanumeric() || next == '_';
        let length = match next {
            '\'' | '"' => {
                let mut is_escaped = false;
                let ends = |of: char| {
                    let was_escaped = is_escaped;
                    is_escaped = of == '\\' && !was_escaped;
                    of == next && !was_escaped
                };
                let inner = rest[1..].find(ends).unwrap_or(rest.len() - 1);
                tokens.push(Token::Text(&rest[1..=inner]));
                (inner + 2).min(rest.len())
            }
            next if is_of_word(next) => {
                let end = rest.find(|next| !is_of_word(next)).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..end]));
                end
            }
            next => {
                tokens.extend((!next.is_whitespace()).then_some(Token::Mark(next)));
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

#[cfg(test)]
mod tests {
    use crate::expression::Expression;

    #[test]
    fn what_there_is_none_of_is_found_wherever_it_stands() {
        for (text, told) in [
            ("y|nope if x else 1", "filter `nope`"),
            ("1 if x else y|nope", "filter `nope`"),
            ("x is not defined or x is matchin('a')", "test `matchin`"),
            ("x is defined and x is not matchin", "test `matchin`"),
            ("x and y|map('nope')|list", "filter `nope`"),
            ("x and y|selectattr('a', 'nope', 1)|list", "test `nope`"),
            ("x and y|reject('nope')|list", "test `nope`"),
            ("x and nope(1)", "function `nope`"),
            ("x and not nope(1)", "function `nope`"),
            ("'it\\'s' if x else y|nope", "filter `nope`"),
        ] {
            let message = Expression::parse(text).map(|_| ()).unwrap_err();
            assert!(message.contains(told), "{text}: {message}");
        }
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        for text in [
            "'a|nope' ~ \" is nope \"",
            "x.is.nope if x else y.nope(1)",
            "x is not none and (x is in [1, 2]) and not (y)",
            "dict({'a': 1}|with(b), c=1) if x in (1, 2) else x|map(attribute='nope')|list",
            "x is eq 1 or x is divisibleby(2) or x|select('gt', 1)|list|length",
            "x|replace('|nope', '\\\\')|upper",
        ] {
            assert!(Expression::parse(text).is_ok(), "{text}: {:?}", Expression::parse(text));
        }
    }
}
