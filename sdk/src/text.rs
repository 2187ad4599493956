//! Text that fits its target.

use std::borrow::Cow;

/// At most `max_chars` characters of a text, the last of them `…` where something
/// was cut. Never cuts within a character.
///
/// ```
/// # use tiny_forge_plugin::text::shorten;
/// assert_eq!(shorten("naïve", 5), "naïve");
/// assert_eq!(shorten("naïveté", 5), "naïv…");
/// ```
pub fn shorten(text: &str, max_chars: usize) -> Cow<'_, str> {
    shorten_with(text, max_chars, "…")
}

/// As [`shorten`], with a notice of your own at the cut.
pub fn shorten_with<'a>(text: &'a str, max_chars: usize, notice: &str) -> Cow<'a, str> {
    if text.chars().nth(max_chars).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = max_chars.saturating_sub(notice.chars().count());
    let head: String = text.chars().take(kept).collect();
    let notice: String = notice.chars().take(max_chars).collect();
    Cow::Owned(head + &notice)
}

#[cfg(test)]
mod tests {
    use super::{shorten, shorten_with};

    #[test]
    fn a_text_that_fits_stays_and_a_longer_one_shows_the_cut() {
        assert_eq!(shorten("four", 4), "four");
        assert_eq!(shorten("fives", 4), "fiv…");
        assert_eq!(shorten("🚀🚀🚀", 2), "🚀…");
        assert_eq!(shorten("anything", 0), "");
        assert_eq!(shorten_with("a long story", 9, " (cut)"), "a l (cut)");
    }
}
