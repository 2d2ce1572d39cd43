//! What others wrote, fit for a message: short, and in one line.

use std::borrow::Cow;

/// The most characters of a quotation.
const LONGEST_QUOTATION: usize = 80;

/// A text of any length in quotes, cut where it is too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTATION) {
        Some((end, _)) => {
            let beginning = text.get(..end).unwrap_or_default();
            format!("`{}...`", one_line(beginning))
        }
        None => format!("`{}`", one_line(text)),
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

/// A text without control characters: nothing that somebody wrote into an event may look like a line of the log.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.into()
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
    fn control_characters_are_written_out() {
        assert_eq!(one_line("a\n\u{1b}[31mé"), "a\\n\\u{1b}[31mé");
        assert!(matches!(one_line("é"), Cow::Borrowed(_)));
    }
}
