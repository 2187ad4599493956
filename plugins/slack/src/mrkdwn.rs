//! Text as Slack reads it: `&`, `<` and `>` are control characters, and every text
//! has a limit, after which Slack refuses the whole message.

const CUT: &str = "… (cut)";
const MAX_TAIL_LINES: usize = 10;
const MAX_TAIL_CHARS: usize = 1_000;

/// Escapes a text, and cuts it so that it has at most `max_chars` when escaped.
/// Never cuts within a character or an escape; a cut is visible.
pub(crate) fn escape(text: &str, max_chars: usize) -> String {
    let cut_chars = CUT.chars().count();
    let mut escaped = String::with_capacity(text.len());
    let mut chars = 0;
    // Where to go back to if it turns out too long.
    let mut cut_at = 0;
    for char in text.chars() {
        let width = match char {
            '&' => 5,
            '<' | '>' => 4,
            _ => 1,
        };
        if chars + width > max_chars {
            escaped.truncate(cut_at);
            return escaped + CUT;
        }
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
        chars += width;
        if chars + cut_chars <= max_chars {
            cut_at = escaped.len();
        }
    }
    escaped
}

/// Between back-ticks, which must not end early.
pub(crate) fn code(text: &str, max_chars: usize) -> String {
    let text = text.replace('`', "'");
    format!("`{}`", escape(&text, max_chars.saturating_sub(2)))
}

/// Lines as they are, in a box.
pub(crate) fn code_block(text: &str, max_chars: usize) -> String {
    let text = text.replace("```", "'''");
    format!("```\n{}\n```", escape(&text, max_chars.saturating_sub(8)))
}

/// The end of an output in a box: whole lines, since the last ones say most.
pub(crate) fn log_tail(lines: &[String]) -> Option<String> {
    let mut room = MAX_TAIL_CHARS - code_block("", MAX_TAIL_CHARS).len();
    let fits = |line: &&String| {
        let chars = escape(line, usize::MAX).chars().count() + 1;
        let fits = chars <= room;
        room = room.saturating_sub(chars);
        fits
    };
    let newest = lines.iter().rev().take(MAX_TAIL_LINES);
    // One that is too long by itself is cut.
    let told = newest.take_while(fits).count().max(1);
    let told = &lines[lines.len().checked_sub(told)?..];
    Some(code_block(&told.join("\n"), MAX_TAIL_CHARS))
}

/// A link to an address that has no line breaks.
pub(crate) fn link(address: &str, label: &str) -> String {
    let address = address
        .replace('|', "%7C")
        .replace('<', "%3C")
        .replace('>', "%3E");
    format!("<{}|{}>", address.replace('&', "&amp;"), escape(label, 150))
}

#[cfg(test)]
mod tests {
    use super::{code_block, escape, link, log_tail};

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("<!channel> & co", 100), "&lt;!channel&gt; &amp; co");
    }

    #[test]
    fn a_text_at_its_limit_stays_whole() {
        assert_eq!(escape("ninechars", 9), "ninechars");
        assert_eq!(escape("&&", 10), "&amp;&amp;");
    }

    #[test]
    fn a_longer_text_is_cut_visibly_and_between_characters() {
        assert_eq!(escape("a very long story", 12), "a ver… (cut)");
        assert_eq!(escape("🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀", 9), "🚀🚀… (cut)");
        for max_chars in 8..60 {
            let cut = escape(&"a&b<c>é🚀".repeat(20), max_chars);
            assert!(cut.chars().count() <= max_chars, "{max_chars}: {cut}");
            assert!(cut.ends_with("… (cut)"), "{max_chars}: {cut}");
            let entities = cut.matches('&').count();
            assert_eq!(entities, cut.matches(';').count(), "{max_chars}: {cut}");
        }
    }

    #[test]
    fn output_cannot_leave_its_box() {
        assert_eq!(code_block("a ``` <b>", 100), "```\na ''' &lt;b&gt;\n```");
    }

    #[test]
    fn of_an_output_the_end_is_shown() {
        assert_eq!(log_tail(&[]), None);
        let lines = ["a".repeat(600), "b&".repeat(200), "c".to_owned()];
        let shown = log_tail(&lines[..1]).expect("a line");
        assert_eq!(shown, code_block(&lines[0], 1_000));
        // The second has 1,200 characters when it is escaped.
        assert_eq!(log_tail(&lines).as_deref(), Some("```\nc\n```"));
        let shown = log_tail(&["d".repeat(2_000)]).expect("a line");
        assert!(shown.ends_with("… (cut)\n```"), "{shown}");
        let many: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert!(log_tail(&many).expect("lines").starts_with("```\n20\n"));
    }

    #[test]
    fn an_address_cannot_end_its_link() {
        assert_eq!(
            link("https://a.example/e?x=1&y=<|>", "open"),
            "<https://a.example/e?x=1&amp;y=%3C%7C%3E|open>"
        );
    }
}
