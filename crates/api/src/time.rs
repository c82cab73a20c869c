//! Docker Cloud's date form, which the original clients parse to the letter.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// `Tue, 16 Sep 2014 17:01:15 +0000`
pub(crate) fn wire(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Reads a time in Docker Cloud's form or as ISO 8601, in UTC where it names no offset; a date alone is its beginning.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    // A plus sign that was not escaped stands for a space in a query.
    let with_plus = |(front, offset): (&str, &str)| format!("{}+{offset}", front.trim_end());
    let texts = [Some(text.to_owned()), text.rsplit_once(' ').map(with_plus)];
    texts.into_iter().flatten().find_map(|text| {
        DateTime::parse_from_rfc2822(&text.replace('+', " +"))
            .or_else(|_| DateTime::parse_from_rfc3339(&text))
            .map(|time| time.to_utc())
            .ok()
            .or_else(|| plain(&text))
    })
}

fn plain(text: &str) -> Option<DateTime<Utc>> {
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    NaiveDateTime::parse_from_str(&text.replace('T', " "), "%Y-%m-%d %H:%M:%S%.f")
        .ok()
        .or_else(|| date().map(|date| date.and_time(NaiveTime::MIN)))
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_its_own_form_and_as_iso_8601() {
        let expected = DateTime::parse_from_rfc3339("2014-09-16T17:01:15Z").unwrap();
        for text in [
            "Tue, 16 Sep 2014 17:01:15 +0000",
            "Tue, 16 Sep 2014 17:01:15  0000",
            "16 Sep 2014 17:01:15 +0000",
            "2014-09-16T17:01:15Z",
            "2014-09-16T19:01:15+02:00",
            "2014-09-16T19:01:15 02:00",
            "2014-09-16T17:01:15",
            " 2014-09-16 17:01:15 ",
        ] {
            assert_eq!(parse(text), Some(expected.to_utc()), "{text}");
        }
        let day = DateTime::parse_from_rfc3339("2014-09-16T00:00:00Z").unwrap();
        assert_eq!(parse("2014-09-16"), Some(day.to_utc()));
        for text in ["", "now", "2014-13-01", "1410886875", "17:01:15", " "] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_docker_cloud_wrote_it() {
        let time = DateTime::parse_from_rfc3339("2014-09-16T19:01:15.987+02:00").unwrap();
        assert_eq!(wire(time.to_utc()), "Tue, 16 Sep 2014 17:01:15 +0000");
        let first = DateTime::parse_from_rfc3339("2026-02-01T00:00:00Z").unwrap();
        assert_eq!(wire(first.to_utc()), "Sun, 01 Feb 2026 00:00:00 +0000");
    }
}
