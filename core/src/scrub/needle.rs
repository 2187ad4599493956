use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use memchr::memmem::Finder;

use super::spelling::{self, ESCAPES, Match};

/// Shorter values would blot out ordinary words.
pub const SECRET_BYTES_MIN: usize = 8;
/// How often a URL may have been put into another one.
const PERCENT_LEVELS: usize = 3;
/// No character takes more in any spelling.
const SPELLING_BYTES_MAX: usize = 40;

/// One form of a secret, to be looked for.
pub struct Needle {
    chars: Vec<char>,
    verbatim: Finder<'static>,
}

/// All forms of a secret; none where it is too short.
pub fn forms(secret: &str) -> Vec<String> {
    if secret.len() < SECRET_BYTES_MIN {
        return Vec::new();
    }
    // A secret of several lines shows up a line at a time in a log.
    let lines = secret.lines().filter(|line| line.len() >= SECRET_BYTES_MIN);
    let mut forms: Vec<String> = lines.map(str::to_owned).collect();
    forms.push(secret.to_owned());
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret));
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.extend((0..3).map(|before| inside_base64(engine, secret, before)));
    }
    forms
}

/// What base64 makes of a secret that others come before and after: the characters
/// that are made of it alone. Three bytes make four characters, so it depends on
/// how many come `before`.
fn inside_base64(engine: &base64::engine::GeneralPurpose, secret: &str, before: usize) -> String {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    let mut encoded = engine.encode(&bytes);
    if bytes.len() % 3 != 0 {
        encoded.pop();
    }
    // One byte before takes part in two characters, two in three.
    encoded.split_off(if before == 0 { 0 } else { before + 1 })
}

impl Needle {
    pub fn new(form: &str) -> Self {
        Self {
            chars: form.chars().collect(),
            verbatim: Finder::new(form).into_owned(),
        }
    }

    /// Adds where it is, from and to.
    pub fn find_all(&self, text: &[u8], is_escaped: bool, found: &mut Vec<(usize, usize)>) {
        let length = self.verbatim.needle().len();
        let places = self.verbatim.find_iter(text);
        found.extend(places.map(|start| (start, start + length)));
        if is_escaped {
            let starts = (0..text.len()).filter(|at| self.may_begin_with(text[*at]));
            found.extend(starts.filter_map(|at| Some((at, self.escaped_at(text, at)?))));
        }
    }

    /// Where the beginning of it begins with which the text ends, if it does.
    pub fn begun_at_end(&self, text: &[u8]) -> Option<usize> {
        let longest = self.chars.len() * SPELLING_BYTES_MAX;
        let mut starts = text.len().saturating_sub(longest)..text.len();
        starts.find(|at| {
            self.may_begin_with(text[*at])
                && (0..PERCENT_LEVELS)
                    .any(|level| spelling::compare(text, *at, &self.chars, level) == Match::RunsOut)
        })
    }

    fn escaped_at(&self, text: &[u8], at: usize) -> Option<usize> {
        (0..PERCENT_LEVELS).find_map(|level| {
            match spelling::compare(text, at, &self.chars, level) {
                Match::Whole(end) => Some(end),
                Match::RunsOut | Match::No => None,
            }
        })
    }

    fn may_begin_with(&self, byte: u8) -> bool {
        self.verbatim.needle().first() == Some(&byte) || ESCAPES.contains(&byte)
    }
}
