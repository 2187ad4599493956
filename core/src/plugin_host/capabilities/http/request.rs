use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use super::{
    super::secrets::{SecretRefused, SecretsFor},
    Error,
};
use crate::plugin_host::sandbox::v1::http::{Header, Request};

const TIMEOUT_MS_DEFAULT: u32 = 10_000;
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Kept back from what is left of the call, for the guest to answer a timeout.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// Headers that the connection needs for itself, or that name another host; and
/// those that let a target repeat a secret so that it is not found: compressed, or
/// a piece at a time.
const RESERVED: [HeaderName; 11] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
    header::ACCEPT_ENCODING,
    header::RANGE,
    header::IF_RANGE,
];

/// How long the target has to answer: the guest is still alive afterwards.
pub(super) fn timeout(asked_ms: Option<u32>, time_left: Duration) -> Result<Duration, Error> {
    let asked = asked_ms.unwrap_or(TIMEOUT_MS_DEFAULT);
    if asked == 0 {
        return Err(Error::Invalid("a timeout is at least 1 ms".into()));
    }
    let kept = ANSWER_TIME.min(time_left / 4);
    Ok(Duration::from_millis(asked.into()).min(time_left - kept))
}

/// A request to a `url` whose origin was checked, with its secrets filled in.
pub(super) fn build(
    client: &Client,
    url: Url,
    request: Request,
    secrets: SecretsFor<'_>,
) -> Result<RequestBuilder, Error> {
    let Request {
        method,
        url: _,
        headers: named,
        body,
        timeout_ms: _,
    } = request;
    let url = fill_url(url, secrets)?;
    let headers = fill_headers(&named, secrets)?;
    let mut ready = client.request(parse_method(&method)?, url);
    ready = ready.header(header::ACCEPT_ENCODING, "identity");
    if let Some(body) = body {
        ready = ready.body(fill_body(&body, &headers, secrets)?);
    }
    Ok(ready.headers(headers))
}

fn parse_method(method: &str) -> Result<Method, Error> {
    match Method::from_bytes(method.as_bytes()) {
        Ok(Method::CONNECT | Method::TRACE) | Err(_) => Err(Error::Invalid(format!(
            "`{method}` is no method for a request"
        ))),
        Ok(method) => Ok(method),
    }
}

/// Never touches scheme, host and port.
fn fill_url(mut url: Url, secrets: SecretsFor<'_>) -> Result<Url, Error> {
    let path = text(secrets.fill_path(url.path(), |value| percent(value, b"-._~!$&'()*+,;=:@/")))?;
    url.set_path(&path);
    if let Some(query) = url.query() {
        let query = text(secrets.fill(query.as_bytes(), |value| percent(value, b"-._~")))?;
        url.set_query(Some(&query));
    }
    url.set_fragment(None);
    Ok(url)
}

fn fill_headers(named: &[Header], secrets: SecretsFor<'_>) -> Result<HeaderMap, Error> {
    let bytes: usize = named
        .iter()
        .map(|header| header.name.len() + header.value.len())
        .sum();
    if named.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "a request has at most {HEADERS_MAX} headers of {HEADER_BYTES_MAX} bytes in all, \
             this one has {} of {bytes}",
            named.len()
        )));
    }
    let mut headers = HeaderMap::new();
    for Header { name, value } in named {
        let (name, value) = fill_header(name, value, secrets)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn fill_header(
    name: &str,
    value: &str,
    secrets: SecretsFor<'_>,
) -> Result<(HeaderName, HeaderValue), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes());
    let Ok(parsed) = parsed else {
        return Err(Error::Invalid(format!("`{name}` is no name for a header")));
    };
    if RESERVED.contains(&parsed) {
        return Err(Error::Invalid(format!(
            "header `{name}` is set by the host"
        )));
    }
    let filled = secrets.fill(value.as_bytes(), str::to_owned);
    // The value itself stays out of the message: it may be a secret.
    let mut value = HeaderValue::from_bytes(&filled.map_err(refused)?)
        .map_err(|_| Error::Invalid(format!("header `{name}` has a value that cannot be sent")))?;
    // Neither shown nor kept by those who see it on its way.
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn fill_body(body: &[u8], headers: &HeaderMap, secrets: SecretsFor<'_>) -> Result<Vec<u8>, Error> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_lowercase();
    let filled = match kind.as_str() {
        "application/x-www-form-urlencoded" => secrets.fill(body, |value| percent(value, b"-._~")),
        kind if kind.ends_with("/json") || kind.ends_with("+json") => secrets.fill(body, json),
        _ => secrets.fill(body, str::to_owned),
    };
    filled.map_err(refused)
}

/// What the operator has not given yet may be there at the next attempt.
fn refused(refused: SecretRefused) -> Error {
    match refused {
        SecretRefused::NotGranted(line) => Error::Denied(line),
        SecretRefused::Invalid(why) => Error::Invalid(why),
    }
}

fn text(filled: Result<Vec<u8>, SecretRefused>) -> Result<String, Error> {
    let bytes = filled.map_err(refused)?;
    String::from_utf8(bytes).map_err(|_| Error::Invalid("the URL is no text".into()))
}

/// Inside the quotes of a JSON string.
fn json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn percent(value: &str, kept: &[u8]) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
    use url::Url;

    use super::{
        super::{
            super::{SecretValue, Secrets},
            Origin,
        },
        Error, Header, fill_body, fill_headers, fill_url, parse_method, timeout,
    };
    use std::time::Duration;

    fn secrets() -> Secrets {
        let values = [
            ("PATH", "T0/B0?x#y z"),
            ("TEXT", "a\"b\\c&d=é"),
            ("LINES", "one\r\nEvil: two"),
        ];
        let values = values.map(|(name, value)| {
            let value = SecretValue {
                value: value.to_owned(),
                to: None,
            };
            (name.to_owned(), value)
        });
        Secrets::new(values).expect("unbound")
    }

    fn origin() -> Origin {
        Origin::parse("https://a.test").expect("an origin")
    }

    fn filled(url: &str) -> String {
        let url = Url::parse(url).expect("a URL");
        let filled = fill_url(url, secrets().for_origin(&origin()));
        filled.map_or_else(|_| "refused".into(), String::from)
    }

    #[test]
    fn a_secret_in_a_url_stays_in_its_place() {
        assert_eq!(
            filled("https://a.test/services/{secret:PATH}/x#f"),
            "https://a.test/services/T0/B0%3Fx%23y%20z/x"
        );
        assert_eq!(
            filled("https://a.test/?k={secret:TEXT}&l=1"),
            "https://a.test/?k=a%22b%5Cc%26d%3D%C3%A9&l=1"
        );
        assert_eq!(filled("https://a.test/{secret:NONE}"), "refused");
        assert!(Url::parse("https://{secret:TEXT}.test/").is_err());
    }

    #[test]
    fn a_secret_in_a_body_is_escaped_for_its_type() {
        let body = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            let filled = fill_body(
                b"<{secret:TEXT}>",
                &headers,
                secrets().for_origin(&origin()),
            )
            .expect("filled");
            String::from_utf8(filled).expect("UTF-8")
        };
        assert_eq!(body("application/json; charset=utf-8"), r#"<a\"b\\c&d=é>"#);
        assert_eq!(body("application/problem+json"), r#"<a\"b\\c&d=é>"#);
        assert_eq!(
            body("application/x-www-form-urlencoded"),
            "<a%22b%5Cc%26d%3D%C3%A9>"
        );
        assert_eq!(body("text/plain"), "<a\"b\\c&d=é>");
    }

    #[test]
    fn headers_are_checked() {
        let problem = |name: &str, value: &str| {
            let header = Header {
                name: name.into(),
                value: value.into(),
            };
            match fill_headers(&[header], secrets().for_origin(&origin())) {
                Ok(_) => None,
                Err(error) => Some(format!("{error:?}")),
            }
        };
        assert_eq!(problem("x-token", "Bearer {secret:PATH}"), None);
        for (name, value) in [
            ("host", "evil.test"),
            ("Content-Length", "1"),
            ("Accept-Encoding", "gzip"),
            ("range", "bytes=0-3"),
            ("bad name", "x"),
            ("x", "one\r\ntwo: three"),
        ] {
            assert!(problem(name, value).is_some(), "{name}: {value}");
        }
        let split = problem("x", "{secret:LINES}").expect("refused");
        assert!(!split.contains("Evil"), "{split}");
        let header = Header {
            name: "x".into(),
            value: String::new(),
        };
        assert!(fill_headers(&vec![header; 65], secrets().for_origin(&origin())).is_err());
    }

    #[test]
    fn methods_and_timeouts_are_checked() {
        assert!(parse_method("POST").is_ok());
        for method in ["CONNECT", "TRACE", "", "GE T"] {
            assert!(parse_method(method).is_err(), "{method}");
        }
        let left = Duration::from_secs(10);
        assert!(matches!(timeout(Some(0), left), Err(Error::Invalid(_))));
        assert_eq!(
            timeout(Some(50), left).ok(),
            Some(Duration::from_millis(50))
        );
        assert!(timeout(None, left).expect("a timeout") < left);
    }
}
