//! The head of a message, as far as it says where the message ends.

use super::{
    Unframed,
    body::{Body, Taken},
};

/// A longer head is not followed.
const HEAD_BYTES_MAX: usize = 64 << 10;

const HEADERS_MAX: usize = 128;

/// No method has a longer name.
const METHOD_BYTES_MAX: usize = 32;

/// The part of a head that has come.
#[derive(Debug, Default)]
pub struct HeadBytes(Vec<u8>);

/// What of a request decides how the response to it is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Head,
    Connect,
    Other,
}

#[derive(Debug)]
pub struct RequestHead {
    pub method: Method,
    /// Its body may never come, if the answer is not what the client hopes for.
    pub awaits_continue: bool,
    /// The connection ends with the response.
    pub is_last: bool,
    pub body: Option<Body>,
}

#[derive(Debug)]
pub struct ResponseHead {
    pub status: u16,
    pub is_last: bool,
    /// Without one, a response that has a body lasts until the connection ends.
    pub body: Option<Body>,
}

/// The fields that decide about framing.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
    awaits_continue: bool,
}

impl HeadBytes {
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, Unframed> {
        let before = self.0.len();
        self.0.extend_from_slice(bytes);
        // The blank line may have begun in what came before.
        let from = before.saturating_sub(3);
        let blank = self.0[from..].windows(4).position(|it| it == b"\r\n\r\n");
        let end = blank.map(|at| from + at + 4);
        self.0.truncate(end.unwrap_or(self.0.len()));
        if self.0.len() > HEAD_BYTES_MAX {
            return Err(Unframed);
        }
        Ok(Taken {
            bytes: self.0.len() - before,
            is_end: end.is_some(),
        })
    }

    /// Whether it can still become a request, so that other protocols are not
    /// collected in vain.
    pub fn may_be_request(&self) -> bool {
        let method = self.0.split(|byte| *byte == b' ').next().unwrap_or(&[]);
        let is_name = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
        method.len() <= METHOD_BYTES_MAX && method.iter().all(is_name)
    }

    pub fn request(&self) -> Result<RequestHead, Unframed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        self.whole(request.parse(&self.0))?;
        let fields = Fields::of(request.headers)?;
        Ok(RequestHead {
            method: match request.method {
                Some("HEAD") => Method::Head,
                Some("CONNECT") => Method::Connect,
                _ => Method::Other,
            },
            awaits_continue: fields.awaits_continue,
            is_last: fields.is_last(request.version),
            body: fields.body(request.version)?,
        })
    }

    pub fn response(&self) -> Result<ResponseHead, Unframed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        self.whole(response.parse(&self.0))?;
        let fields = Fields::of(response.headers)?;
        Ok(ResponseHead {
            status: response.code.ok_or(Unframed)?,
            is_last: fields.is_last(response.version),
            body: fields.body(response.version)?,
        })
    }

    /// Two readers that disagree about a head's end may disagree about more.
    fn whole(&self, parsed: httparse::Result<usize>) -> Result<(), Unframed> {
        match parsed {
            Ok(httparse::Status::Complete(end)) if end == self.0.len() => Ok(()),
            Ok(_) | Err(_) => Err(Unframed),
        }
    }
}

impl Fields {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Unframed> {
        let mut fields = Self::default();
        for header in headers {
            let value = header.value.trim_ascii();
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let length = length(value)?;
                if fields.length.replace(length).is_some() {
                    return Err(Unframed);
                }
            } else if is("transfer-encoding") {
                if fields.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Unframed);
                }
                fields.is_chunked = true;
            } else if is("connection") {
                fields.says_close |= has_token(value, b"close");
                fields.says_keep_alive |= has_token(value, b"keep-alive");
            } else if is("expect") {
                fields.awaits_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        Ok(fields)
    }

    fn is_last(&self, version: Option<u8>) -> bool {
        self.says_close || (version == Some(0) && !self.says_keep_alive)
    }

    fn body(&self, version: Option<u8>) -> Result<Option<Body>, Unframed> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Unframed),
            (None, true) if version == Some(0) => Err(Unframed),
            (None, true) => Ok(Some(Body::chunked())),
            (Some(length), false) => Ok(Some(Body::Length(length))),
            (None, false) => Ok(None),
        }
    }
}

fn length(value: &[u8]) -> Result<u64, Unframed> {
    // `parse` alone would take a sign.
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Unframed);
    }
    let digits = str::from_utf8(value).map_err(|_| Unframed)?;
    digits.parse().map_err(|_| Unframed)
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    let mut tokens = value.split(|byte| *byte == b',');
    tokens.any(|it| it.trim_ascii().eq_ignore_ascii_case(token))
}
