//! What there is to choose from: providers, regions, zones and node types.

use serde_json::Value;

use super::{all, assert_table, good, row, still_world, table, text, user};

/// The last segment of a URI.
fn name_of(uri: &Value) -> String {
    let uri = uri.as_str().expect("a URI").trim_end_matches('/');
    uri.rsplit('/').next().expect("a segment").to_owned()
}

#[tokio::test]
async fn providers_and_regions_are_listed_and_chosen_by_provider() {
    let world = still_world().await;
    let cli = user(&world);
    let printed = good(cli.run(&["nodecluster", "provider"]).await);
    assert_table(
        &printed,
        &["NAME", "LABEL"],
        &[row(&["aws", "Amazon Web Services"])],
    );
    let printed = good(cli.run(&["nodecluster", "provider", "-q"]).await);
    assert_eq!(printed, "aws\n");

    let heading = ["NAME", "LABEL", "PROVIDER"];
    let regions: Vec<Vec<String>> = all(&world, "/api/infra/v1/region/")
        .await
        .iter()
        .map(|region| row(&[text(region, "name"), text(region, "label"), "aws"]))
        .collect();
    assert!(regions.len() > 25, "more than a page: {}", regions.len());
    for arguments in [
        &["nodecluster", "region"][..],
        &["nodecluster", "region", "-p", "aws"],
    ] {
        let printed = good(cli.run(arguments).await);
        assert_table(&printed, &heading, &regions);
        let virginia = row(&["us-east-1", "US East (N. Virginia)", "aws"]);
        assert!(table(&printed).contains(&virginia), "{printed}");
    }
    let printed = good(cli.run(&["nodecluster", "region", "-p", "packet"]).await);
    assert_table(&printed, &heading, &[row(&["", "", ""])]);
    world.finish().await;
}

#[tokio::test]
async fn zones_are_listed_with_their_uris() {
    let world = still_world().await;
    let cli = user(&world);
    let zones = all(&world, "/api/infra/v1/az/").await;
    let rows: Vec<Vec<String>> = zones
        .iter()
        .map(|zone| row(&[text(zone, "name"), "Yes", text(zone, "resource_uri")]))
        .collect();
    let printed = good(cli.run(&["nodecluster", "az"]).await);
    assert_table(&printed, &["NAME", "AVAILABLE", "RESOURCE URI"], &rows);
    let one = row(&[
        "sa-east-1b",
        "Yes",
        "/api/infra/v1/az/aws/sa-east-1/sa-east-1b/",
    ]);
    assert!(table(&printed).contains(&one), "{printed}");
    let names: String = zones
        .iter()
        .map(|zone| format!("{}\n", text(zone, "name")))
        .collect();
    assert_eq!(good(cli.run(&["nodecluster", "az", "-q"]).await), names);
    world.finish().await;
}

#[tokio::test]
async fn node_types_are_listed_and_chosen_by_provider_and_region() {
    let world = still_world().await;
    let cli = user(&world);
    let heading = ["NAME", "LABEL", "PROVIDER", "REGIONS"];
    let types: Vec<(Vec<String>, Vec<String>)> = all(&world, "/api/infra/v1/nodetype/")
        .await
        .iter()
        .map(|found| {
            let regions: Vec<String> = found["regions"]
                .as_array()
                .expect("a list")
                .iter()
                .map(name_of)
                .collect();
            let cells = [
                text(found, "name"),
                text(found, "label"),
                "aws",
                &regions.join(", "),
            ];
            (row(&cells), regions)
        })
        .collect();
    let rows: Vec<Vec<String>> = types.iter().map(|(row, _)| row.clone()).collect();
    assert!(rows.len() > 50, "more than two pages: {}", rows.len());
    let printed = good(cli.run(&["nodecluster", "nodetype"]).await);
    assert_table(&printed, &heading, &rows);

    let there: Vec<Vec<String>> = types
        .iter()
        .filter(|(_, regions)| regions.iter().any(|name| name == "ca-west-1"))
        .map(|(row, _)| row.clone())
        .collect();
    assert!(!there.is_empty() && there.len() < rows.len());
    let arguments = ["nodecluster", "nodetype", "-p", "aws", "-r", "ca-west-1"];
    let printed = good(cli.run(&arguments).await);
    assert_table(&printed, &heading, &there);
    let micro = table(&printed)
        .into_iter()
        .find(|cells| cells[0] == "t3.micro")
        .expect("it is offered everywhere");
    assert_eq!(micro[1], super::TYPE_LABEL);

    for chosen in [["-p", "packet"], ["-r", "ams1"]] {
        let arguments = [&["nodecluster", "nodetype"], &chosen[..]].concat();
        let printed = good(cli.run(&arguments).await);
        assert_table(&printed, &heading, &[row(&["", "", "", ""])]);
    }
    world.finish().await;
}
