//! The ways to write a character: as it is, or escaped for URLs, JSON, HTML or
//! a log.

/// Backslashes before one character: each time that JSON is put into JSON doubles
/// them.
const BACKSLASHES_MAX: usize = 32;
/// `&#x0000006f;`
const ENTITY_BYTES_MAX: usize = 12;
/// What an escape may begin with; a space may also be a `+`.
pub const ESCAPES: [u8; 4] = *b"%\\&+";

/// What comes of comparing a text with a needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is there, up to here.
    Whole(usize),
    /// The text ends before the needle does.
    RunsOut,
    No,
}

pub fn may_have_escapes(text: &[u8]) -> bool {
    let [percent, backslash, ampersand, plus] = ESCAPES;
    memchr::memchr3(percent, backslash, ampersand, text).is_some()
        || memchr::memchr(plus, text).is_some()
}

/// Compares `needle` with what begins at `at`. `level` says how often the percent
/// signs of percent-encoding are encoded themselves.
pub fn compare(text: &[u8], at: usize, needle: &[char], level: usize) -> Match {
    let (mut at, mut after_backslash) = (at, false);
    let mut rest = needle;
    while let Some(&next) = rest.first() {
        if at == text.len() {
            return Match::RunsOut;
        }
        let escaped = percent(text, at, next, level).or_else(|| entity(text, at, next));
        let (end, taken) = match escaped {
            Some(end) => (end, 1),
            None => match after_backslashes(text, at, rest, after_backslash) {
                Some(found) => found,
                None if is_cut(&text[at..], next) => return Match::RunsOut,
                None => return Match::No,
            },
        };
        after_backslash = text[end - 1] == b'\\';
        at = end;
        rest = &rest[taken..];
    }
    Match::Whole(at)
}

/// `%C3%B6`, `%25C3%25B6`
fn percent(text: &[u8], at: usize, wanted: char, level: usize) -> Option<usize> {
    if text[at] != b'%' {
        return None;
    }
    let mut utf8 = [0; 4];
    let mut at = at;
    for byte in wanted.encode_utf8(&mut utf8).bytes() {
        let mut rest = text[at..].strip_prefix(b"%")?;
        for _ in 0..level {
            rest = rest.strip_prefix(b"25")?;
        }
        if number(rest.get(..2)?, 16)? != u32::from(byte) {
            return None;
        }
        at += 3 + 2 * level;
    }
    Some(at)
}

/// `&amp;`, `&#34;`, `&#x22;`
fn entity(text: &[u8], at: usize, wanted: char) -> Option<usize> {
    let inside = text[at..].strip_prefix(b"&")?;
    let length = inside
        .iter()
        .take(ENTITY_BYTES_MAX)
        .position(|byte| *byte == b';')?;
    let code = match &inside[..length] {
        b"amp" => u32::from('&'),
        b"lt" => u32::from('<'),
        b"gt" => u32::from('>'),
        b"quot" => u32::from('"'),
        b"apos" => u32::from('\''),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    };
    (code == u32::from(wanted)).then_some(at + length + 2)
}

/// With any number of backslashes before it: `\"`, `\\\"`, `\n`, `\u00f6`, or with
/// none. Says where it ends, and how many characters of the needle it is.
fn after_backslashes(
    text: &[u8],
    at: usize,
    needle: &[char],
    is_after_one: bool,
) -> Option<(usize, usize)> {
    let wanted = needle[0];
    let backslashes = run(&text[at..]);
    let end = at + backslashes;
    if (backslashes > 0 || is_after_one)
        && let Some(end) = code(text, end, wanted)
    {
        return Some((end, 1));
    }
    if wanted == '\\' {
        // Those of the needle, and those that escape them or what follows.
        let own = needle.iter().take_while(|next| **next == '\\').count();
        return (backslashes >= own.min(BACKSLASHES_MAX)).then_some((end, own));
    }
    verbatim(text, end, wanted).map(|end| (end, 1))
}

fn run(text: &[u8]) -> usize {
    let backslashes = text.iter().take(BACKSLASHES_MAX);
    backslashes.take_while(|byte| **byte == b'\\').count()
}

/// What follows the backslash of an escape: as in JSON, or as languages show bytes.
fn code(text: &[u8], at: usize, wanted: char) -> Option<usize> {
    let short = match wanted {
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        _ => 0,
    };
    if short != 0 && text.get(at) == Some(&short) {
        return Some(at + 1);
    }
    let (mut utf8, mut utf16) = ([0; 4], [0; 2]);
    let bytes = wanted.encode_utf8(&mut utf8).bytes().map(u32::from);
    let units = wanted.encode_utf16(&mut utf16).iter().copied();
    codes(text, at, b"x", 2, bytes)
        .or_else(|| codes(text, at, b"u", 4, units.map(u32::from)))
        .or_else(|| braced(text, at, wanted))
}

/// `xc3\xb6`, `ud83d\ude00`
fn codes(
    text: &[u8],
    at: usize,
    letter: &[u8],
    digits: usize,
    wanted: impl Iterator<Item = u32>,
) -> Option<usize> {
    let mut at = at;
    for (index, wanted) in wanted.enumerate() {
        if index > 0 {
            at += run(text.get(at..)?);
        }
        let code = text.get(at..)?.strip_prefix(letter)?.get(..digits)?;
        if number(code, 16)? != wanted {
            return None;
        }
        at += 1 + digits;
    }
    Some(at)
}

/// `u{f6}`
fn braced(text: &[u8], at: usize, wanted: char) -> Option<usize> {
    let inside = text.get(at..)?.strip_prefix(b"u{")?;
    let length = inside.iter().take(7).position(|byte| *byte == b'}')?;
    let code = number(&inside[..length], 16)?;
    (code == u32::from(wanted)).then_some(at + length + 3)
}

fn verbatim(text: &[u8], at: usize, wanted: char) -> Option<usize> {
    let rest = text.get(at..)?;
    if wanted == ' ' && rest.first() == Some(&b'+') {
        return Some(at + 1);
    }
    let mut utf8 = [0; 4];
    let utf8 = wanted.encode_utf8(&mut utf8).as_bytes();
    rest.starts_with(utf8).then_some(at + utf8.len())
}

/// Whether `rest`, all there is of the text, may be the beginning of a spelling.
fn is_cut(rest: &[u8], wanted: char) -> bool {
    let mut utf8 = [0; 4];
    let utf8 = wanted.encode_utf8(&mut utf8).as_bytes();
    let is_escape = rest.len() < ENTITY_BYTES_MAX && ESCAPES[..3].contains(&rest[0]);
    utf8.starts_with(rest) || is_escape && rest[1..].iter().all(u8::is_ascii_alphanumeric)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}
