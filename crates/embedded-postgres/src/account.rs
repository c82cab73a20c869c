//! Whom the server runs as. Postgres refuses to run as root, which is what a container usually gives us.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// An unprivileged user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What `nobody` is nearly everywhere.
const NOBODY: Account = Account {
    uid: 65534,
    gid: 65534,
};

/// Whom to become, or `None` when we are an ordinary user and stay ourselves.
///
/// Data that exists keeps its owner: the `postgres` user may have been created after the database was.
pub(crate) fn choose(existing_data: &Path) -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let owner = fs::metadata(existing_data)
        .ok()
        .filter(|data| data.uid() != 0)
        .map(|data| Account {
            uid: data.uid(),
            gid: data.gid(),
        });
    let users = || fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(owner.unwrap_or_else(|| pick(&users())))
}

fn pick(passwd: &str) -> Account {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| passwd.lines().find_map(|line| parse(line, name)))
        .unwrap_or(NOBODY)
}

/// `name:password:uid:gid:…`
fn parse(line: &str, wanted: &str) -> Option<Account> {
    let mut fields = line.split(':');
    if fields.next()? != wanted {
        return None;
    }
    let uid = fields.nth(1)?.parse().ok().filter(|uid| *uid != 0)?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_postgres_user_is_preferred_then_nobody() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:99:98::/:/bin/false\n";
        assert_eq!(pick(passwd), Account { uid: 99, gid: 98 });
        let passwd = format!("{passwd}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n");
        assert_eq!(pick(&passwd), Account { uid: 101, gid: 104 });
        assert_eq!(pick("postgres:x:0:0::/:/bin/sh\nbroken"), NOBODY);
    }
}
