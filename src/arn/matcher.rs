//! Matches a pattern as IAM does: `*` is any run of characters, including none, and `?` any single
//! one.

/// A piece of the text that a pattern is compared with.
#[derive(Clone, Copy)]
pub(super) enum Piece {
    Byte(u8),
    /// One byte or more of a kind, whichever they are.
    Run(fn(&u8) -> bool),
}

/// Whether a pattern can match a text, as a whole.
///
/// It reads the text once, and for each beginning of the pattern notes whether that matches what
/// has been read. At worst that takes time proportional to the lengths of both multiplied: half a
/// millisecond for the longest pattern and the longest names.
pub(super) fn can_match(pattern: &str, text: impl Iterator<Item = Piece>) -> bool {
    // Before anything is read, beginnings match that are empty or stars alone. The empty one stands
    // by itself.
    let stars = pattern.bytes().take_while(|wildcard| *wildcard == b'*');
    let mut longest = stars.count();
    let mut matches_empty = true;
    let mut beginnings: Vec<bool> = (0..pattern.len()).map(|at| at < longest).collect();
    for piece in text {
        if longest == pattern.len() && pattern.ends_with('*') {
            // The last star takes the rest.
            return true;
        }
        // Of the beginning that is shorter by one: whether it matched before this piece, and
        // whether it does with it.
        let (mut before, mut with) = (matches_empty, false);
        matches_empty = false;
        let earlier = std::mem::take(&mut longest);
        let wildcards = (1..).zip(pattern.bytes());
        for (matches, (length, wildcard)) in beginnings.iter_mut().zip(wildcards) {
            if length > earlier + 1 && !with {
                // No longer one matched before, or can match now.
                break;
            }
            let matched = *matches;
            *matches = match (wildcard, piece) {
                (b'*', _) => matched || with,
                (b'?', Piece::Byte(_)) => before,
                (b'?', Piece::Run(_)) => before || with,
                (literal, Piece::Byte(byte)) => before && literal == byte,
                (literal, Piece::Run(is_of_kind)) => (before || with) && is_of_kind(&literal),
            };
            if *matches {
                longest = length;
            }
            (before, with) = (matched, *matches);
        }
    }
    longest == pattern.len() && (longest > 0 || matches_empty)
}
