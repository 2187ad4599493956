use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// On the wire: RFC 3339 in UTC with three fractional digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_ms: i64,
}

impl Timestamp {
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 is as good as none.
        let unix_ms = since.map_or(0, |since| since.as_millis());
        Self::from_unix_ms(i64::try_from(unix_ms).unwrap_or(i64::MAX))
    }

    pub const fn from_unix_ms(unix_ms: i64) -> Self {
        Self { unix_ms }
    }

    pub const fn unix_ms(self) -> i64 {
        self.unix_ms
    }

    /// `None` when the text is not RFC 3339 (any offset, any precision).
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .map(Self::from_offset)
    }

    /// Milliseconds from `earlier` to `self`; zero when the clock stepped back.
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.unix_ms - earlier.unix_ms).unwrap_or(0)
    }

    pub fn plus_ms(self, ms: u64) -> Self {
        Self {
            unix_ms: self.unix_ms.saturating_add_unsigned(ms),
        }
    }

    fn from_offset(at: OffsetDateTime) -> Self {
        let unix_ms = at.unix_timestamp_nanos().div_euclid(1_000_000);
        Self {
            unix_ms: i64::try_from(unix_ms).unwrap_or(i64::MAX),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (
            self.unix_ms.div_euclid(1_000),
            self.unix_ms.rem_euclid(1_000),
        );
        let at = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        let year = u32::try_from(at.year()).map_err(|_| fmt::Error)?;
        // Each event has two of them; through a format description they took a
        // tenth of the time of a commit.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], u8::from(at.month()).into());
        put(&mut text[8..10], at.day().into());
        put(&mut text[11..13], at.hour().into());
        put(&mut text[14..16], at.minute().into());
        put(&mut text[17..19], at.second().into());
        put(&mut text[20..23], ms as u32);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The last digits of a number, as many as there is room for.
fn put(room: &mut [u8], mut number: u32) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("expected an RFC 3339 time"))
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::DateTime,
            )))
            .description(Some("UTC, RFC 3339, milliseconds"))
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn a_time_keeps_its_milliseconds_through_text() {
        let at = Timestamp::from_unix_ms(1_774_650_625_123);
        assert_eq!(at.to_string(), "2026-03-27T22:30:25.123Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
    }

    #[test]
    fn every_kind_of_day_is_written_as_rfc_3339_has_it() {
        for text in [
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00.000Z",
            "2000-02-29T12:00:00.007Z",
            "2026-11-24T09:08:07.060Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            let at = Timestamp::parse(text).expect("RFC 3339");
            assert_eq!(at.to_string(), text);
        }
    }

    #[test]
    fn a_time_with_an_offset_is_read_as_utc() {
        let at = Timestamp::parse("2026-03-27T23:30:25.1239+01:00");
        assert_eq!(at, Some(Timestamp::from_unix_ms(1_774_650_625_123)));
    }
}
