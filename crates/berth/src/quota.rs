//! `berth quota`: how much a namespace may have.
#![expect(clippy::print_stdout, reason = "the numbers are the command's output")]

use domain::{action::ActionKind, ids::NamespaceId, quota::Limits};
use store::{PgConnection, action::ObjectType, quota};

use crate::{
    Error,
    cli::{Quota, QuotaCommand},
    people::{reach, record},
};

pub(crate) async fn run(options: Quota) -> Result<(), Error> {
    match options.command {
        QuotaCommand::Set {
            namespace,
            quota: wanted,
            database,
        } => {
            let pool = reach(&database).await?;
            let mut tx = pool.begin().await.map_err(store::Error::from)?;
            let id = find(&mut tx, &namespace).await?;
            let limits = Limits {
                clusters: wanted.clusters,
                nodes: wanted.nodes,
            };
            quota::set(&mut tx, id, limits).await?;
            let command = format!(
                "berth quota set {namespace} ({} clusters, {} nodes)",
                number(limits.clusters),
                number(limits.nodes)
            );
            record(
                &mut tx,
                id,
                &command,
                (ActionKind::SetQuota, ObjectType::Quota, id.0),
            )
            .await?;
            tx.commit().await.map_err(store::Error::from)?;
        }
        QuotaCommand::Show {
            namespace,
            database,
        } => {
            let pool = reach(&database).await?;
            let mut connection = pool.acquire().await.map_err(store::Error::from)?;
            let id = find(&mut connection, &namespace).await?;
            let limits = quota::own(&mut connection, id).await?;
            let used = quota::used(&mut connection, id).await?;
            println!("clusters\t{}\t{}", used.clusters, number(limits.clusters));
            println!("nodes\t{}\t{}", used.nodes, number(limits.nodes));
        }
    }
    Ok(())
}

async fn find(conn: &mut PgConnection, name: &str) -> Result<NamespaceId, Error> {
    quota::namespace(conn, name)
        .await?
        .ok_or_else(|| Error::Usage(format!("there is no namespace {name:?}")))
}

fn number(limit: Option<u32>) -> String {
    limit.map_or_else(|| "default".to_owned(), |limit| limit.to_string())
}
