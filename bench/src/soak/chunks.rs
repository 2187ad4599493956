use anyhow::bail;

/// Takes the chunks of an HTTP/1.1 body apart, wherever they are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    /// The digits of its length that have come say this.
    Length(usize),
    LengthEnd(usize),
    /// So many bytes are still to come.
    Data(usize),
    DataEnd(&'static [u8]),
    /// The last chunk has come.
    Ended,
}

const LINE_END: &[u8] = b"\r\n";

impl Chunks {
    pub const BEGIN: Self = Self::Length(0);

    pub fn take(
        &mut self,
        mut bytes: &[u8],
        mut found: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while let Some((first, rest)) = bytes.split_first() {
            let mut taken = 1;
            *self = match (*self, *first) {
                (Self::Length(length), b'\r') => Self::LengthEnd(length),
                (Self::Length(length), digit) if digit.is_ascii_hexdigit() => {
                    let digit = char::from(digit).to_digit(16).unwrap_or_default();
                    Self::Length(length << 4 | digit as usize)
                }
                (Self::LengthEnd(0), b'\n') => Self::Ended,
                (Self::LengthEnd(length), b'\n') => Self::Data(length),
                (Self::Data(left), _) => {
                    taken = left.min(bytes.len());
                    found(&bytes[..taken])?;
                    match left - taken {
                        0 => Self::DataEnd(LINE_END),
                        left => Self::Data(left),
                    }
                }
                (Self::DataEnd(end), byte) if byte == end[0] => match &end[1..] {
                    [] => Self::BEGIN,
                    end => Self::DataEnd(end),
                },
                (Self::Ended, _) => return Ok(()),
                (state, byte) => bail!("a chunk is broken: {byte:?} at {state:?}, then {rest:?}"),
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    #[test]
    fn chunks_are_found_wherever_a_body_is_cut() {
        let body = b"5\r\nhello\r\n1a\r\n, this is twenty-six bytes\r\n0\r\n\r\n";
        for cut in 0..body.len() {
            let (mut chunks, mut found) = (Chunks::BEGIN, Vec::new());
            for piece in [&body[..cut], &body[cut..]] {
                let taken = chunks.take(piece, |bytes| {
                    found.extend_from_slice(bytes);
                    Ok(())
                });
                taken.expect("chunks");
            }
            assert_eq!(found, b"hello, this is twenty-six bytes", "cut at {cut}");
            assert_eq!(chunks, Chunks::Ended);
        }
    }

    #[test]
    fn a_chunk_that_is_longer_than_it_says_is_refused() {
        let mut chunks = Chunks::BEGIN;
        let taken = chunks.take(b"4\r\nhello\r\n", |_| Ok(()));
        assert!(taken.is_err());
    }
}
