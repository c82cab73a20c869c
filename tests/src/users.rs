//! Other users than the one that every world has.

use crate::{Client, World};

/// Makes another user, with a namespace of their own.
///
/// # Panics
/// Where the database refuses.
pub async fn add_user(world: &World, name: &str, key: &str) -> Client {
    let mut connection = world.pool.acquire().await.expect("a connection");
    store::access::add_key(&mut connection, name, &api::auth::key_digest(key))
        .await
        .expect("a user");
    world.client.as_user(name, key)
}
