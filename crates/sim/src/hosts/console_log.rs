//! What an instance has written to its serial console, as GetConsoleOutput shows it.

use std::sync::{Arc, Mutex};

use super::locked;

/// "The most recent 64 KB of console output".
const MOST: usize = 64 * 1024;

/// The console's log; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsoleLog(Arc<Mutex<String>>);

impl ConsoleLog {
    /// Adds a line, and forgets the oldest ones that are too many.
    pub(super) fn say(&self, line: &str) {
        let mut text = locked(&self.0);
        // A serial line ends so.
        text.push_str(line);
        text.push_str("\r\n");
        if text.len() > MOST {
            let too_many = text.len() - MOST;
            let end = text
                .bytes()
                .skip(too_many)
                .position(|byte| byte == b'\n')
                .map_or(text.len(), |at| too_many + at + 1);
            text.drain(..end);
        }
    }

    pub(crate) fn text(&self) -> String {
        locked(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_when_there_are_too_many() {
        let log = ConsoleLog::default();
        log.say("first");
        assert_eq!(log.text(), "first\r\n");
        let long = "ä".repeat(1000);
        (0..100).for_each(|_| log.say(&long));
        log.say("last");
        let text = log.text();
        assert!(text.len() <= MOST && text.len() > MOST - 3000);
        assert!(text.starts_with('ä') && text.ends_with("last\r\n"));
        assert!(text.lines().rev().skip(1).all(|line| line == long));
    }
}
