//! Makes text from outside safe for a message: short, and without characters that could break it.

use std::borrow::Cow;

/// The maximum length of a quotation, in characters.
const LONGEST_QUOTATION: usize = 80;

/// Quotes a text, cut if it is too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTATION) {
        Some((end, _)) => format!("`{}...`", text.split_at(end).0),
        None => format!("`{text}`"),
    }
}

/// Cuts a text that is longer than `most` bytes.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let (beginning, _) = text.split_at(text.floor_char_boundary(most));
    format!("{beginning}...").into()
}

/// Replaces quotation marks, backslashes and control characters. They would break a template that
/// is filled in as plain text, such as that of an email, and a forged log line begins with one.
///
/// The replacement is never longer.
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
        assert_eq!(quoted(&"é".repeat(80)), format!("`{}`", "é".repeat(80)));
        assert_eq!(quoted(&"é".repeat(81)), format!("`{}...`", "é".repeat(80)));
    }

    #[test]
    fn a_plain_text_has_nothing_that_breaks_a_template() {
        assert_eq!(plain("a\n\u{1b}[31mé\u{85}\u{2028}"), "a  [31mé  ");
        assert_eq!(plain(r#"say "C:\""#), "say 'C:|'");
    }
}
