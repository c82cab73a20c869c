//! Lists: pages, filters, and what is in them for how long.

use serde_json::{Value, json};
use tests::{Options, World};

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";
const NODES: &str = "/api/infra/v1/node/";
const ACTIONS: &str = "/api/audit/v1/action/";

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().expect("a text")
}

/// One member of each object of a page.
fn each<'a>(page: &'a Value, member: &str) -> Vec<&'a str> {
    let objects = page["objects"].as_array().expect("objects");
    objects.iter().map(|object| text(object, member)).collect()
}

async fn create(world: &World, name: &str, region: &str, node_type: &str) -> Value {
    world
        .create(region, node_type, 1, json!({"name": name}))
        .await
}

/// Puts a cluster's nodes into the database; there is no worker to make them real.
async fn deploy(world: &World, cluster: &Value) -> Value {
    let path = format!("{}deploy/", text(cluster, "resource_uri"));
    world.client.post(&path, &json!({})).await.expect(202).body
}

#[tokio::test]
async fn a_list_comes_in_pages_that_lead_to_each_other() {
    let world = still_world().await;
    let mut names = Vec::new();
    for n in 0..30 {
        let name = format!("web-{n:02}");
        create(&world, &name, "us-east-1", "t3.micro").await;
        names.push(name);
    }
    let first = world.fetch(CLUSTERS).await;
    assert_eq!(
        first["meta"],
        json!({
            "limit": 25,
            "next": "/api/infra/v1/nodecluster/?limit=25&offset=25",
            "offset": 0,
            "previous": null,
            "total_count": 30,
        })
    );
    assert_eq!(each(&first, "name"), names[..25], "oldest first");
    let second = world.fetch(text(&first["meta"], "next")).await;
    assert_eq!(
        second["meta"],
        json!({
            "limit": 25,
            "next": null,
            "offset": 25,
            "previous": "/api/infra/v1/nodecluster/?limit=25&offset=0",
            "total_count": 30,
        })
    );
    assert_eq!(each(&second, "name"), names[25..]);
    let back = world.fetch(text(&second["meta"], "previous")).await;
    assert_eq!(back, first);

    // Every object once, whatever the size of the pages, forwards and backwards.
    for limit in [1, 7, 10, 30, 31] {
        let mut path = format!("{CLUSTERS}?limit={limit}");
        let mut seen = Vec::new();
        let mut last = String::new();
        while !path.is_empty() {
            let page = world.fetch(&path).await;
            assert_eq!(
                (&page["meta"]["limit"], &page["meta"]["total_count"]),
                (&json!(limit), &json!(30))
            );
            seen.extend(each(&page, "name").into_iter().map(str::to_owned));
            last = path;
            path = page["meta"]["next"].as_str().unwrap_or_default().to_owned();
        }
        assert_eq!(seen, names, "limit={limit}");
        let mut pages = 0;
        while !last.is_empty() {
            let page = world.fetch(&last).await;
            last = page["meta"]["previous"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            pages += 1;
        }
        assert_eq!(pages, 30_usize.div_ceil(limit), "limit={limit}");
    }
    // Asked at the root or with a namespace, the next page can be asked for in the same form.
    let next = |page: &Value| text(&page["meta"], "next").to_owned();
    let at_root = world.fetch("/nodecluster?limit=29").await;
    assert_eq!(
        next(&at_root),
        "/api/infra/v1/nodecluster/?limit=29&offset=29"
    );
    let spaced = world.fetch("/api/infra/v1/dev/nodecluster?limit=29").await;
    assert_eq!(
        next(&spaced),
        "/api/infra/v1/dev/nodecluster/?limit=29&offset=29"
    );
    let rest = world.fetch(&next(&spaced)).await;
    assert_eq!(each(&rest, "name"), ["web-29"]);
    assert!(each(&rest, "resource_uri")[0].starts_with("/api/infra/v1/dev/nodecluster/"));
    world.finish().await;
}

#[tokio::test]
async fn the_bounds_of_limit_and_offset_are_kept() {
    let world = still_world().await;
    for n in 0..3 {
        create(&world, &format!("web-{n}"), "us-east-1", "t3.micro").await;
    }
    for (query, limit, offset, shown) in [
        ("limit=1", 1, 0, 1),
        ("limit=2&offset=2", 2, 2, 1),
        ("limit=1000", 1000, 0, 3),
        ("limit=1001", 1000, 0, 3),
        ("limit=99999999999999999999999", 1000, 0, 3),
        ("offset=3", 25, 3, 0),
        ("offset=1000000", 25, 1_000_000, 0),
        ("limit=1&limit=2", 2, 0, 2),
    ] {
        let page = world.fetch(&format!("{CLUSTERS}?{query}")).await;
        let meta = &page["meta"];
        assert_eq!(
            (&meta["limit"], &meta["offset"]),
            (&json!(limit), &json!(offset)),
            "{query}"
        );
        assert_eq!(meta["total_count"], 3, "{query}");
        assert_eq!(each(&page, "name").len(), shown, "{query}");
    }
    let lists = [
        CLUSTERS,
        NODES,
        ACTIONS,
        "/api/infra/v1/provider/",
        "/api/infra/v1/region/",
        "/api/infra/v1/az/",
        "/api/infra/v1/nodetype/",
    ];
    for list in lists {
        for (query, front) in [
            ("limit=0", "limit: must be at least 1"),
            ("limit=-1", "limit: \"-1\""),
            ("limit=x", "limit: \"x\""),
            ("limit=", "limit: \"\""),
            ("limit=2.0", "limit: \"2.0\""),
            ("offset=-1", "offset: \"-1\""),
            ("offset=+1", "offset: \" 1\""),
            ("flavor=web", "\"flavor\": is no filter of this list"),
            (
                "name__contains=web",
                "\"name__contains\": is no filter of this list",
            ),
            ("order_by=name", "\"order_by\": is no filter of this list"),
        ] {
            let answer = world
                .client
                .get(&format!("{list}?{query}"))
                .await
                .expect(400);
            assert!(
                answer.error().starts_with(front),
                "{list}?{query}: {}",
                answer.error()
            );
        }
        let unknown = world.client.get(&format!("{list}?flavor=web")).await;
        let ways_out = if list == ACTIONS {
            ["object", "limit"]
        } else {
            ["name", "limit"]
        };
        if list != NODES {
            assert!(
                ways_out.iter().all(|name| unknown.error().contains(name)),
                "{}",
                unknown.error()
            );
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn clusters_are_found_by_each_of_their_filters_and_the_links_carry_them() {
    let world = still_world().await;
    let web = create(&world, "web", "us-east-1", "t3.micro").await;
    create(&world, "web-2", "us-east-1", "t3.small").await;
    create(&world, "WEB", "eu-west-1", "t3.micro").await;
    let db = create(&world, "db", "eu-west-1", "t3.small").await;
    deploy(&world, &db).await;

    let uuid = text(&web, "uuid");
    let uuid_upper = format!("uuid={}", uuid.to_uppercase());
    let (whole, start) = (
        format!("uuid={uuid}"),
        format!("uuid__startswith={}", &uuid[..13]),
    );
    let start_upper = format!("uuid__startswith={}", uuid[..13].to_uppercase());
    let contradiction = format!("{whole}&name=db");
    let filters: [(&str, &[&str]); 26] = [
        ("name=web", &["web"]),
        ("name=WEB", &["WEB"]),
        ("name=we", &[]),
        ("name=%25", &[]),
        ("name=", &[]),
        (&whole, &["web"]),
        (&uuid_upper, &["web"]),
        (&start, &["web"]),
        (&start_upper, &["web"]),
        ("uuid__startswith=", &["web", "web-2", "WEB", "db"]),
        ("uuid__startswith=%25", &[]),
        ("uuid__startswith=_", &[]),
        ("uuid__startswith=zz", &[]),
        ("uuid=00cc59e1-c605-403c-a5fb-3269b6a0d6bf", &[]),
        ("state=Init", &["web", "web-2", "WEB"]),
        ("state=Deploying", &["db"]),
        ("state=init", &[]),
        ("region=/api/infra/v1/region/aws/eu-west-1/", &["WEB", "db"]),
        (
            "region=%2Fapi%2Finfra%2Fv1%2Fregion%2Faws%2Feu-west-1%2F",
            &["WEB", "db"],
        ),
        ("region=/api/infra/v1/region/aws/us-middle-1/", &[]),
        (
            "node_type=/api/infra/v1/nodetype/aws/t3.small/",
            &["web-2", "db"],
        ),
        (
            "node_type=/api/infra/v1/nodetype/aws/t3.small/&region=/api/infra/v1/region/aws/us-east-1/",
            &["web-2"],
        ),
        (
            "state=Init&region=/api/infra/v1/region/aws/eu-west-1/",
            &["WEB"],
        ),
        (&contradiction, &[]),
        // Of a filter given twice the last one counts, as in Django.
        ("name=db&name=web", &["web"]),
        ("state=Init&limit=2", &["web", "web-2"]),
    ];
    for (query, names) in filters {
        let page = world.fetch(&format!("{CLUSTERS}?{query}")).await;
        assert_eq!(each(&page, "name"), names, "{query}");
        if !query.contains("limit") {
            assert_eq!(page["meta"]["total_count"], names.len(), "{query}");
        }
    }
    for (query, front) in [
        ("uuid=web", "uuid: \"web\" is not a uuid"),
        ("uuid=", "uuid: \"\" is not a uuid"),
        ("region=a/b/c", "region: "),
        ("node_type=/api/infra/v1/nodetype/", "node_type: "),
        ("name=%00", "name: "),
    ] {
        let answer = world
            .client
            .get(&format!("{CLUSTERS}?{query}"))
            .await
            .expect(400);
        assert!(
            answer.error().starts_with(front),
            "{query}: {}",
            answer.error()
        );
    }

    let path = format!("{CLUSTERS}?state=Init&region=/api/infra/v1/region/aws/us-east-1/&limit=1");
    let page = world.fetch(&path).await;
    let carried = "state=Init&region=/api/infra/v1/region/aws/us-east-1/&limit=1&offset=";
    assert_eq!(page["meta"]["next"], format!("{CLUSTERS}?{carried}1"));
    assert_eq!(page["meta"]["total_count"], 2);
    let second = world.fetch(text(&page["meta"], "next")).await;
    assert_eq!(each(&second, "name"), ["web-2"]);
    assert_eq!(second["meta"]["next"], Value::Null);
    assert_eq!(second["meta"]["previous"], format!("{CLUSTERS}?{carried}0"));
    // What a value has of a query's own signs survives the way.
    let path = format!("{CLUSTERS}?state=a%26b%3Dc%20%2B%25%C3%A4&offset=1");
    let page = world.fetch(&path).await;
    let previous = text(&page["meta"], "previous");
    assert_eq!(
        previous,
        format!("{CLUSTERS}?state=a%26b%3Dc%20%2B%25%C3%A4&limit=25&offset=0")
    );
    assert_eq!(world.fetch(previous).await["meta"]["total_count"], 0);
    world.finish().await;
}

#[tokio::test]
async fn nodes_and_actions_are_found_by_each_of_their_filters() {
    let world = still_world().await;
    let web = create(&world, "web", "us-east-1", "t3.micro").await;
    let db = create(&world, "db", "eu-west-1", "t3.small").await;
    let web = deploy(&world, &web).await;
    deploy(&world, &db).await;
    let node = world.fetch(web["nodes"][0].as_str().unwrap()).await;
    let (id, uri) = (text(&node, "uuid"), text(&web, "resource_uri"));
    let web_id = text(&web, "uuid");

    let found = [
        format!("uuid={id}"),
        format!("uuid__startswith={}", &id[..8]),
        format!("node_cluster={uri}"),
        format!("node_cluster={}", uri.replace("/v1/", "/v1/dev/")),
        "region=/api/infra/v1/region/aws/us-east-1/".to_owned(),
        "node_type=/api/infra/v1/nodetype/aws/t3.micro/".to_owned(),
        format!("node_cluster={uri}&state=Deploying"),
    ];
    for query in &found {
        let page = world.fetch(&format!("{NODES}?{query}")).await;
        assert_eq!(each(&page, "uuid"), [id], "{query}");
    }
    let both = world.fetch(&format!("{NODES}?state=Deploying")).await;
    assert_eq!(
        (&both["meta"]["total_count"], &both["objects"][0]),
        (&json!(2), &node)
    );
    for query in [
        "state=Unreachable",
        "node_cluster=00cc59e1-c605-403c-a5fb-3269b6a0d6bf",
    ] {
        let page = world.fetch(&format!("{NODES}?{query}")).await;
        assert_eq!(page["meta"]["total_count"], 0, "{query}");
    }
    for query in [
        "node_cluster=web",
        "node_cluster=/api/infra/v1/node/1/",
        "uuid=1",
    ] {
        world
            .client
            .get(&format!("{NODES}?{query}"))
            .await
            .expect(400);
    }

    // The newest first.
    let actions = world.fetch(ACTIONS).await;
    let expected = [
        "Node Cluster Deploy",
        "Node Cluster Deploy",
        "Node Cluster Create",
        "Node Cluster Create",
    ];
    assert_eq!(each(&actions, "action"), expected);
    let of_web: Vec<&Value> = actions["objects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|action| action["object"] == uri)
        .collect();
    let page = world.fetch(&format!("{ACTIONS}?object={uri}")).await;
    assert_eq!(page["objects"], json!(of_web));
    let newest = text(of_web[0], "uuid");
    for (query, ids) in [
        (format!("object={uri}&state=In progress"), vec![newest]),
        (format!("object={uri}&limit=1"), vec![newest]),
        (format!("uuid={newest}"), vec![newest]),
        (format!("uuid__startswith={}", &newest[..8]), vec![newest]),
        (
            format!("object={web_id}&state=Success"),
            vec![text(of_web[1], "uuid")],
        ),
        ("state=Canceled".to_owned(), vec![]),
        (
            "object=/api/infra/v1/node/00cc59e1-c605-403c-a5fb-3269b6a0d6bf/".to_owned(),
            vec![],
        ),
    ] {
        let page = world.fetch(&format!("{ACTIONS}?{query}")).await;
        assert_eq!(each(&page, "uuid"), ids, "{query}");
    }
    let page = world.fetch(&format!("{ACTIONS}?limit=3")).await;
    let rest = world.fetch(text(&page["meta"], "next")).await;
    assert_eq!(rest["objects"], json!([actions["objects"][3]]));
    world
        .client
        .get(&format!("{ACTIONS}?object=web"))
        .await
        .expect(400);
    world.finish().await;
}

#[tokio::test]
async fn the_terminated_are_listed_for_an_hour_and_readable_for_ever() {
    let world = World::start().await;
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 2, json!({})).await;
    let nodes: Vec<String> = cluster["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|uri| uri.as_str().unwrap().to_owned())
        .collect();
    let gone = world.terminate(&cluster).await;
    assert_eq!(gone["state"], "Terminated");
    let (uri, id) = (text(&cluster, "resource_uri"), text(&cluster, "uuid"));
    let by_cluster = format!("{NODES}?node_cluster={uri}");

    let page = world.fetch(&format!("{CLUSTERS}?state=Terminated")).await;
    assert_eq!(page["objects"], json!([gone]));
    let page = world.fetch(&by_cluster).await;
    assert_eq!(each(&page, "resource_uri"), nodes);
    assert_eq!(each(&page, "state"), ["Terminated", "Terminated"]);

    // A name finds one cluster: the live one, else the one that lived last. A command line with a name needs that.
    let by_name = format!("{CLUSTERS}?name=web");
    assert_eq!(each(&world.fetch(&by_name).await, "uuid"), [id]);
    let second = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    assert_eq!(
        each(&world.fetch(&by_name).await, "uuid"),
        [text(&second, "uuid")]
    );
    world
        .client
        .delete(text(&second, "resource_uri"))
        .await
        .expect(202);
    let found = world.fetch(&by_name).await;
    assert_eq!(each(&found, "uuid"), [text(&second, "uuid")]);
    assert_eq!(found["meta"]["total_count"], 1);
    let all = world.fetch(CLUSTERS).await;
    assert_eq!(each(&all, "uuid"), [id, text(&second, "uuid")]);

    // An hour later.
    for table in ["cluster", "node"] {
        let query =
            format!("UPDATE {table} SET destroyed_at = destroyed_at - interval '61 minutes'");
        sqlx::query(sqlx::AssertSqlSafe(query))
            .execute(&world.pool)
            .await
            .unwrap();
    }
    for path in [CLUSTERS, NODES, &by_name, &by_cluster] {
        let page = world.fetch(path).await;
        assert_eq!(page["meta"]["total_count"], 0, "{path}: {page:#}");
        assert_eq!(page["objects"], json!([]));
    }
    assert_eq!(world.fetch(uri).await["state"], "Terminated");
    assert_eq!(world.fetch(&nodes[0]).await["state"], "Terminated");
    let page = world.fetch(&format!("{CLUSTERS}?uuid={id}")).await;
    assert_eq!(each(&page, "uuid"), [id]);
    let actions = world.fetch(&format!("{ACTIONS}?object={uri}")).await;
    assert_eq!(actions["meta"]["total_count"], 3);
    world.finish().await;
}

#[tokio::test]
async fn the_catalogue_is_found_by_each_of_its_filters() {
    let world = still_world().await;
    let filters: [(&str, &[&str]); 12] = [
        ("provider/", &["aws"]),
        ("provider/?name=aws", &["aws"]),
        ("provider/?name=azure", &[]),
        ("region/?name=sa-east-1", &["sa-east-1"]),
        (
            "region/?name=sa-east-1&provider=/api/infra/v1/provider/aws/",
            &["sa-east-1"],
        ),
        ("region/?provider=/api/infra/v1/provider/azure/", &[]),
        (
            "az/?region=/api/infra/v1/region/aws/sa-east-1/",
            &["sa-east-1a", "sa-east-1b", "sa-east-1c"],
        ),
        ("az/?name=us-east-1e", &["us-east-1e"]),
        (
            "az/?name=us-east-1e&region=/api/infra/v1/region/aws/sa-east-1/",
            &[],
        ),
        (
            "nodetype/?name=t2.micro&regions=/api/infra/v1/region/aws/sa-east-1/",
            &["t2.micro"],
        ),
        (
            "nodetype/?name=t2.micro&availability_zones=/api/infra/v1/az/aws/sa-east-1/sa-east-1a/",
            &["t2.micro"],
        ),
        (
            "nodetype/?name=t2.micro&availability_zones=/api/infra/v1/az/aws/sa-east-1/sa-east-1b/",
            &[],
        ),
    ];
    for (path, names) in filters {
        let page = world.fetch(&format!("/api/infra/v1/{path}")).await;
        assert_eq!(each(&page, "name"), names, "{path}");
        assert_eq!(page["meta"]["total_count"], names.len(), "{path}");
    }
    // The page of types offered in a region has those that say so themselves, and no others.
    let region = "/api/infra/v1/region/aws/eu-west-2/";
    let all = world.fetch("/api/infra/v1/nodetype/?limit=1000").await;
    let offered = world
        .fetch(&format!(
            "/api/infra/v1/nodetype/?limit=1000&regions={region}"
        ))
        .await;
    let says_so: Vec<&Value> = all["objects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|ty| {
            ty["regions"]
                .as_array()
                .is_some_and(|regions| regions.contains(&json!(region)))
        })
        .collect();
    assert!(says_so.len() > 50 && says_so.len() < each(&all, "name").len());
    assert_eq!(offered["objects"], json!(says_so));
    // Its pages lead through all of it.
    let mut path = "/api/infra/v1/nodetype/?limit=50".to_owned();
    let mut names = Vec::new();
    while !path.is_empty() {
        let page = world.fetch(&path).await;
        names.extend(each(&page, "name").into_iter().map(str::to_owned));
        path = page["meta"]["next"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(names, each(&all, "name"));
    world.finish().await;
}
