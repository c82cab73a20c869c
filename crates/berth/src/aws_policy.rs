//! `berth aws policy`: what makes a role that Berth can assume.
#![expect(clippy::print_stdout, reason = "the policies are the command's output")]

use aws::{Clouds, Connector, Link};
use domain::link::is_account;

use crate::{
    Error,
    cli::{Aws, AwsCommand, Policy},
};

/// What the role may do. The same is in docs/, for those who have no database at hand.
const PERMISSIONS: &str = include_str!("../../../docs/iam-policy.json");

pub(crate) async fn run(options: Aws) -> Result<(), Error> {
    let AwsCommand::Policy {
        namespace,
        account,
        only,
        database,
    } = options.command;
    if only != Some(Policy::Permissions) {
        let pool = store::reach(&database.database_url, 1).await?;
        if !store::is_migrated(&pool).await? {
            return Err(Error::NotMigrated);
        }
        let mut connection = pool.acquire().await.map_err(store::Error::from)?;
        let external_id = store::link::external_id(&mut connection, &namespace).await?;
        let external_id = external_id.ok_or_else(|| {
            Error::Usage(format!(
                "there is no namespace {namespace:?}: `berth user add` makes one with its user"
            ))
        })?;
        let account = match account {
            Some(account) => account,
            None => own_account().await?,
        };
        if !is_account(&account) {
            return Err(Error::Usage(format!(
                "--account {account}: an AWS account is 12 digits, as 123456789012"
            )));
        }
        println!("{}", trust(&account, &external_id));
    }
    if only != Some(Policy::Trust) {
        print!("{PERMISSIONS}");
    }
    Ok(())
}

/// The account of this process's credentials.
async fn own_account() -> Result<String, Error> {
    let identity = Connector::ambient().identity(&Link::AMBIENT).await;
    let identity = identity.map_err(|error| {
        Error::Usage(format!(
            "AWS does not tell this server's account; give it with --account: {error}"
        ))
    })?;
    Ok(identity.account)
}

/// "How to use an external ID when granting access to your AWS resources to a third party". Both are nothing but digits,
/// letters and dashes.
fn trust(account: &str, external_id: &str) -> String {
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Statement": [{{
    "Sid": "LetBerthIn",
    "Effect": "Allow",
    "Principal": {{"AWS": "arn:aws:iam::{account}:root"}},
    "Action": "sts:AssumeRole",
    "Condition": {{"StringEquals": {{"sts:ExternalId": "{external_id}"}}}}
  }}]
}}"#
    )
}
