//! Tokens, credentials, and the services that there are not, to the letter.

use std::collections::BTreeSet;

use serde_json::json;
use tests::{Options, World};

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_token_has_32_hexadecimal_digits_is_never_the_same_and_is_not_kept() {
    let world = still_world().await;
    let mut tokens = BTreeSet::new();
    for path in ["/api/infra/v1/token/", "/api/infra/v1/dev/token", "/token"] {
        let answer = world.client.post(path, &json!({})).await.expect(201);
        let members: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["token"]);
        let token = answer.body["token"].as_str().unwrap().to_owned();
        assert!(
            token.len() == 32 && token.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            "{token}"
        );
        let action = world.fetch(&answer.action_uri()).await;
        assert_eq!(
            (&action["action"], &action["state"], &action["object"]),
            (
                &json!("Token Create"),
                &json!("Success"),
                &json!("/api/infra/v1/token/")
            )
        );
        assert!(!action.to_string().contains(&token));
        tokens.insert(token);
    }
    assert_eq!(tokens.len(), 3);
    let kept: Vec<String> = sqlx::query_scalar("SELECT node_token::text FROM node_token")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter()
            .all(|row| tokens.iter().all(|token| !row.contains(token)))
    );
    world.finish().await;
}

#[tokio::test]
async fn credentials_are_checked_at_the_root() {
    let world = still_world().await;
    let expected = json!({
        "meta": {"limit": 25, "next": null, "offset": 0, "previous": null, "total_count": 1},
        "objects": [{"username": "dev"}],
    });
    for path in ["/auth/", "/auth"] {
        assert_eq!(world.fetch(path).await, expected);
    }
    let wrong = reqwest::Client::new()
        .get(format!("{}/auth/", world.client.base))
        .basic_auth("dev", Some("wrong"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    world.finish().await;
}

#[tokio::test]
async fn there_are_no_services() {
    let world = still_world().await;
    let expected = json!({
        "meta": {"limit": 25, "next": null, "offset": 0, "previous": null, "total_count": 0},
        "objects": [],
    });
    for path in [
        "/api/app/v1/service/",
        "/api/app/v1/dev/service/",
        "/api/app/v1/service/?uuid__startswith=web",
        "/api/app/v1/service/?name=web",
    ] {
        assert_eq!(world.fetch(path).await, expected, "{path}");
    }
    for path in ["/api/app/v1/service/", "/api/app/v1/dev/service/"] {
        let path = format!("{path}00cc59e1-c605-403c-a5fb-3269b6a0d6bf/");
        world.client.get(&path).await.expect(404);
    }
    world
        .client
        .get("/api/app/v1/service/?flavor=x")
        .await
        .expect(400);
    world.finish().await;
}
