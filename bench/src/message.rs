//! What is published: a text with two numbers that every server carries
//! unchanged, and that is found in a stream of bytes without parsing it.

/// Begins the numbers, and is nowhere else in any stream.
const MARK: u8 = b'`';
const DIGITS: usize = 16;

/// The numbers of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// Counts the messages of a run.
    pub number: u32,
    /// What else the generator wants to find again.
    pub note: u32,
}

/// One message to publish.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    pub marked: Marked,
    pub is_critical: bool,
}

impl Message {
    pub fn new(number: u32, note: u32) -> Self {
        Self {
            marked: Marked { number, note },
            is_critical: false,
        }
    }

    pub fn text(&self) -> String {
        let Marked { number, note } = self.marked;
        format!("{}{number:08x}{note:08x}", char::from(MARK))
    }

    /// As the servers number severities.
    pub fn severity(&self) -> u8 {
        if self.is_critical { 4 } else { 1 }
    }
}

/// Finds messages in a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Digits of a message that the last piece has begun.
    begun: [u8; DIGITS],
    /// How many of them there are, and the mark.
    length: u8,
}

impl Scanner {
    pub fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(Marked)) {
        if self.length > 0 {
            let have = usize::from(self.length) - 1;
            let missing = (DIGITS - have).min(bytes.len());
            self.begun[have..have + missing].copy_from_slice(&bytes[..missing]);
            self.length += missing as u8;
            if have + missing < DIGITS {
                return;
            }
            found(marked(&self.begun));
            self.length = 0;
            bytes = &bytes[missing..];
        }
        while let Some(at) = memchr::memchr(MARK, bytes) {
            let digits = &bytes[at + 1..];
            let Some((digits, rest)) = digits.split_first_chunk::<DIGITS>() else {
                self.begun[..digits.len()].copy_from_slice(digits);
                self.length = digits.len() as u8 + 1;
                return;
            };
            found(marked(digits));
            bytes = rest;
        }
    }
}

fn marked(digits: &[u8; DIGITS]) -> Marked {
    let (number, note) = digits.split_at(DIGITS / 2);
    Marked {
        number: hex(number),
        note: hex(note),
    }
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| {
        let value = (digit & 0xf) + 9 * (digit >> 6);
        number << 4 | u32::from(value)
    })
}

#[cfg(test)]
mod tests {
    use super::{Marked, Message, Scanner};

    #[test]
    fn messages_are_found_wherever_a_stream_is_cut() {
        let expected =
            [(1, 0xffff_ffff), (0xdead_beef, 7)].map(|(number, note)| Marked { number, note });
        let texts = expected.map(|it| Message::new(it.number, it.note).text());
        let stream = format!("id: 1\ndata: {}\n\nid: 2\ndata: {}\n\n", texts[0], texts[1]);
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let (mut scanner, mut found) = (Scanner::default(), Vec::new());
                for piece in [&stream[..first], &stream[first..second], &stream[second..]] {
                    scanner.scan(piece.as_bytes(), |one| found.push(one));
                }
                assert_eq!(found, expected, "cut at {first} and {second}");
            }
        }
    }
}
