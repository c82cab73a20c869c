//! Docker Cloud's date form, which the original clients parse to the letter.

use chrono::{DateTime, Utc};

/// `Tue, 16 Sep 2014 17:01:15 +0000`
pub(crate) fn wire(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_docker_cloud_wrote_it() {
        let time = DateTime::parse_from_rfc3339("2014-09-16T19:01:15.987+02:00").unwrap();
        assert_eq!(wire(time.to_utc()), "Tue, 16 Sep 2014 17:01:15 +0000");
        let first = DateTime::parse_from_rfc3339("2026-02-01T00:00:00Z").unwrap();
        assert_eq!(wire(first.to_utc()), "Sun, 01 Feb 2026 00:00:00 +0000");
    }
}
