//! What others wrote, fit for a message: short, and without characters that could spoil it.

use std::borrow::Cow;

/// The most characters of a quotation.
const LONGEST_QUOTATION: usize = 80;

/// A text of any length in quotes, cut where it is too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTATION) {
        Some((end, _)) => {
            format!("`{}...`", text.get(..end).unwrap_or_default())
        }
        None => format!("`{text}`"),
    }
}

/// A text of any length, cut after so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let end = text.floor_char_boundary(most);
    format!("{}...", text.get(..end).unwrap_or_default()).into()
}

/// A text of any length, of which only the beginning and the end are left where it has more bytes.
pub(crate) fn cut_middle(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let beginning = text.get(..text.floor_char_boundary(most / 2));
    let end = text.get(text.ceil_char_boundary(text.len() - most / 2)..);
    let (beginning, end) = (beginning.unwrap_or_default(), end.unwrap_or_default());
    format!("{beginning}...{end}").into()
}

/// A text without quotation marks, backslashes and control characters, each of which has another in
/// its place. A template that is filled by plain text, as for an e-mail, would be spoilt by them,
/// and a forged line of the log begins with one.
///
/// What stands in their place is never longer.
pub(crate) fn plain(text: &str) -> String {
    let plain = |character: char| match character {
        '"' => '\'',
        '\\' => '|',
        // These two end a line as well.
        '\u{2028}' | '\u{2029}' => ' ',
        _ if character.is_control() => ' ',
        _ => character,
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aéb", 2), "a...");
        assert_eq!(cut_middle("aébc", 5), "aébc");
        assert_eq!(cut_middle("aéxéb", 4), "a...b");
        assert_eq!(quoted(&"é".repeat(80)), format!("`{}`", "é".repeat(80)));
        assert_eq!(quoted(&"é".repeat(81)), format!("`{}...`", "é".repeat(80)));
    }

    #[test]
    fn a_plain_text_has_nothing_that_spoils_a_template() {
        assert_eq!(plain("a\n\u{1b}[31mé\u{85}\u{2028}"), "a  [31mé  ");
        assert_eq!(plain(r#"say "C:\""#), "say 'C:|'");
    }
}
