/// Of a text that may repeat what somebody else has written, however long that is.
const BYTES_MAX: usize = 4 << 10;

/// Without what would move a terminal's cursor, or turn the direction of text.
pub fn visible(text: String) -> String {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_hidden) {
        return text;
    }
    text.replace(is_hidden, "\u{fffd}")
}

pub fn clipped(mut text: String) -> String {
    if text.len() > BYTES_MAX {
        text.truncate(text.floor_char_boundary(BYTES_MAX));
        text.push('…');
    }
    text
}
