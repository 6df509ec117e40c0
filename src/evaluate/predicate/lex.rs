//! Which words does an expression consist of?
//!
//! Cuts source text into tokens, each with its place. Keywords are plain words
//! here: whether `in` is an operator or the name of a property is known only
//! to the parser.

use super::{ExpressionError, value::Number};

/// One token.
#[derive(Clone, Debug)]
pub(super) enum Token<'s> {
    /// A keyword, root, function or property name.
    Word(&'s str),
    /// A number as written, without a sign.
    Number(Number),
    /// A number with a unit, in milliseconds.
    Duration(i64),
    /// A text in single quotes.
    Text(Box<str>),
    /// A text in double quotes: a name in brackets, never a value.
    Name(Box<str>),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// Behind the last one.
    End,
}

/// A token and the bytes it covers.
#[derive(Clone, Debug)]
pub(super) struct Placed<'s> {
    /// What.
    pub(super) token: Token<'s>,
    /// First byte.
    pub(super) start: usize,
    /// Behind the last byte.
    pub(super) end: usize,
}

/// Longer symbols stand before their own beginnings.
const SYMBOLS: [&str; 15] = [
    "==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "+",
];

/// Cuts the source into tokens; the last one is `End`.
pub(super) fn lex(source: &str) -> Result<Vec<Placed<'_>>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = &source[at..];
        let start = at + (rest.len() - rest.trim_start().len());
        let (token, length) =
            next(&source[start..]).map_err(|(offset, message)| ExpressionError {
                position: start + offset,
                message,
            })?;
        at = start + length;
        let is_end = matches!(token, Token::End);
        tokens.push(Placed {
            token,
            start,
            end: at,
        });
        if is_end {
            return Ok(tokens);
        }
    }
}

type Fault = (usize, String);

/// The first token of the text and its length in bytes.
fn next(text: &str) -> Result<(Token<'_>, usize), Fault> {
    let Some(first) = text.chars().next() else {
        return Ok((Token::End, 0));
    };
    match first {
        '\'' => quoted(text, '\'').map(|(content, length)| (Token::Text(content), length)),
        '"' => quoted(text, '"').map(|(content, length)| (Token::Name(content), length)),
        '-' => Ok((Token::Symbol("-"), 1)),
        '0'..='9' => number(text),
        c if begins_word(c) => {
            let length = text.find(|c| !continues_word(c)).unwrap_or(text.len());
            Ok((Token::Word(&text[..length]), length))
        }
        _ => match SYMBOLS.iter().find(|symbol| text.starts_with(**symbol)) {
            Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
            None => Err((
                0,
                format!("found {first:?}, expected a value, an operator, AND or OR"),
            )),
        },
    }
}

fn begins_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphabetic()
}

fn continues_word(c: char) -> bool {
    begins_word(c) || c.is_numeric()
}

/// A text between quotes; the quote itself is written twice inside.
fn quoted(text: &str, quote: char) -> Result<(Box<str>, usize), Fault> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != quote {
            content.push(c);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            content.push(quote);
        } else {
            return Ok((content.into(), at + 1));
        }
    }
    Err((
        0,
        format!("found a text without an end, expected a closing {quote}"),
    ))
}

fn number(text: &str) -> Result<(Token<'_>, usize), Fault> {
    let digits_from = |at: usize| text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits_from(0);
    let mut length = whole;
    if text[length..].starts_with('.') && digits_from(length + 1) > 0 {
        length += 1 + digits_from(length + 1);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits_from(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let unit = text[length..]
        .find(|c| !continues_word(c))
        .map_or(&text[length..], |end| &text[length..length + end]);
    if !unit.is_empty() {
        let duration = (length == whole)
            .then(|| milliseconds(&text[..whole], unit))
            .flatten();
        let total = length + unit.len();
        return match duration {
            Some(ms) => Ok((Token::Duration(ms), total)),
            None => Err((
                0,
                format!(
                    "found {:?}, expected a number, or a duration with one of the units s, m, h, d, w",
                    &text[..total]
                ),
            )),
        };
    }
    let digits = &text[..length];
    let number = match digits.parse() {
        Ok(whole) => Number::Whole(whole),
        Err(_) => Number::Float(digits.parse().unwrap_or(f64::INFINITY)),
    };
    match number {
        Number::Float(float) if !float.is_finite() => Err((
            0,
            format!("found {digits:?}, expected a number below 1e308"),
        )),
        finite => Ok((Token::Number(finite), length)),
    }
}

fn milliseconds(digits: &str, unit: &str) -> Option<i64> {
    let factor: i64 = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}
