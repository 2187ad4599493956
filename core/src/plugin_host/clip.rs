/// Of a text that may repeat what somebody else has written, however long that is.
const BYTES_MAX: usize = 4 << 10;

pub fn clipped(mut text: String) -> String {
    if text.len() > BYTES_MAX {
        text.truncate(text.floor_char_boundary(BYTES_MAX));
        text.push('…');
    }
    text
}
