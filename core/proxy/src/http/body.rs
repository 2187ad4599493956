//! Where the body of a message ends.

use super::Unframed;

/// How many bytes belong to what was being read, and whether it ends with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub bytes: usize,
    pub is_end: bool,
}

#[derive(Debug)]
pub enum Body {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunks),
}

/// What is to come next in a chunked body. Line ends are CRLF or the message is
/// not followed: who is lenient may see another end than the upstream does.
#[derive(Debug, Clone, Copy)]
pub enum Chunks {
    Size { size: u64, digits: u8 },
    Extension(u64),
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
    End,
}

impl Body {
    pub const fn chunked() -> Self {
        Self::Chunked(Chunks::START)
    }

    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, Unframed> {
        match self {
            Self::Length(left) => {
                let taken = skip(left, bytes);
                Ok(Taken {
                    bytes: taken,
                    is_end: *left == 0,
                })
            }
            Self::Chunked(chunks) => chunks.take(bytes),
        }
    }
}

impl Chunks {
    const START: Self = Self::Size { size: 0, digits: 0 };

    fn take(&mut self, bytes: &[u8]) -> Result<Taken, Unframed> {
        let mut at = 0;
        while at < bytes.len() && !matches!(self, Self::End) {
            if let Self::Data(left) = self {
                at += skip(left, &bytes[at..]);
                if *left == 0 {
                    *self = Self::DataReturn;
                }
            } else {
                *self = self.after(bytes[at])?;
                at += 1;
            }
        }
        Ok(Taken {
            bytes: at,
            is_end: matches!(self, Self::End),
        })
    }

    fn after(self, byte: u8) -> Result<Self, Unframed> {
        match (self, byte) {
            (
                Self::Size {
                    size,
                    digits: 0..16,
                },
                _,
            ) if byte.is_ascii_hexdigit() => Ok(self.with_digit(size, byte)),
            (Self::Size { size, digits: 1.. }, b'\r') => Ok(Self::SizeLineFeed(size)),
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Ok(Self::Extension(size)),
            (Self::Extension(size), b'\r') => Ok(Self::SizeLineFeed(size)),
            (Self::SizeLineFeed(0), b'\n') => Ok(Self::TrailerStart),
            (Self::SizeLineFeed(size), b'\n') => Ok(Self::Data(size)),
            (Self::DataReturn, b'\r') => Ok(Self::DataLineFeed),
            (Self::DataLineFeed, b'\n') => Ok(Self::START),
            (Self::TrailerStart, b'\r') => Ok(Self::LastLineFeed),
            (Self::Trailer, b'\r') => Ok(Self::TrailerLineFeed),
            (Self::TrailerLineFeed, b'\n') => Ok(Self::TrailerStart),
            (Self::LastLineFeed, b'\n') => Ok(Self::End),
            (Self::Extension(_), byte) if byte != b'\n' => Ok(self),
            (Self::TrailerStart | Self::Trailer, byte) if byte != b'\n' => Ok(Self::Trailer),
            _ => Err(Unframed),
        }
    }

    fn with_digit(self, size: u64, digit: u8) -> Self {
        let value = char::from(digit).to_digit(16).unwrap_or(0);
        match self {
            Self::Size { digits, .. } => Self::Size {
                size: size << 4 | u64::from(value),
                digits: digits + 1,
            },
            other => other,
        }
    }
}

/// Passes over what is left of a run of bytes.
fn skip(left: &mut u64, bytes: &[u8]) -> usize {
    let available = bytes.len() as u64;
    let taken = available.min(*left);
    *left -= taken;
    usize::try_from(taken).unwrap_or(bytes.len())
}
