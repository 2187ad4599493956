//! Headers in which a client lists what it takes, each with a quality
//! (RFC 9110, 12.4.2).

use axum::http::{HeaderMap, HeaderName};

/// From 0, which is not wanted, to 1000.
pub type Quality = u16;

const LIKED: Quality = 1_000;

/// What the client makes of `wanted`; `None` where it does not say.
pub fn quality(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> Option<Quality> {
    listed(headers, name)
        .find(|(item, _)| item.eq_ignore_ascii_case(wanted))
        .map(|(_, quality)| quality)
}

/// Whether it lists anything at all.
pub fn lists_any(headers: &HeaderMap, name: &HeaderName) -> bool {
    listed(headers, name).next().is_some()
}

fn listed<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, Quality)> {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(with_quality)
        .filter(|(item, _)| !item.is_empty())
}

fn with_quality(text: &str) -> (&str, Quality) {
    let mut parts = text.split(';').map(str::trim);
    let item = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    (item, weight.map_or(LIKED, thousandths))
}

/// What cannot be read is not wanted.
fn thousandths(weight: &str) -> Quality {
    match weight.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * f32::from(LIKED)) as Quality,
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header::ACCEPT_ENCODING};

    use super::{lists_any, quality};

    #[test]
    fn a_quality_is_read_from_any_line_and_nonsense_is_not_wanted() {
        let mut headers = HeaderMap::new();
        for line in [
            "gzip;q=0.5, BR",
            "zstd; x=1; q=0.125 , deflate;q=high,, pack;q=7",
        ] {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        for (coding, expected) in [
            ("gzip", Some(500)),
            ("br", Some(1_000)),
            ("zstd", Some(125)),
            ("deflate", Some(0)),
            ("pack", Some(0)),
            ("identity", None),
        ] {
            assert_eq!(
                quality(&headers, &ACCEPT_ENCODING, coding),
                expected,
                "{coding}"
            );
        }
        assert!(lists_any(&headers, &ACCEPT_ENCODING));
        let empty = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(" ,"))]);
        assert!(!lists_any(&empty, &ACCEPT_ENCODING));
    }
}
