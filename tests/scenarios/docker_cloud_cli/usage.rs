//! What needs no service: the version, the helps, and what is no command.

use tests::{Client, DockerCloud};

use super::good;

/// A user whose service is not there.
fn alone() -> DockerCloud {
    let nowhere = Client::new("http://127.0.0.1:1".to_owned(), "dev", "dev");
    DockerCloud::new(&nowhere)
}

/// The commands that a help offers: the first list in braces.
fn offered(help: &str) -> Vec<&str> {
    let (_, rest) = help.split_once('{').expect("a list");
    rest.split_once('}')
        .expect("its end")
        .0
        .split(',')
        .collect()
}

#[tokio::test]
async fn version_helps_and_login_need_no_service() {
    let cli = alone();
    assert_eq!(good(cli.run(&["--version"]).await), "docker-cloud 1.0.9\n");
    assert_eq!(
        good(cli.run(&["login"]).await),
        r#"
Please use "docker login" to log into Docker Cloud with you Docker ID"

Alternatively, you can set the following environment variables:

    export DOCKERCLOUD_USER=<docker username>
    export DOCKERCLOUD_PASS=<docker password>

"#
    );
    let help = good(cli.run(&[]).await);
    assert!(help.starts_with("usage: docker-cloud [-h] [-v]"), "{help}");
    assert_eq!(help, good(cli.run(&["--help"]).await));
    for command in ["action", "event", "login", "node", "nodecluster", "tag"] {
        assert!(offered(&help).contains(&command), "{help}");
    }
    // These are the commands that the other stories run.
    for (command, expected) in [
        (
            "nodecluster",
            "az create inspect ls nodetype provider region rm scale",
        ),
        ("node", "byo inspect ls rm upgrade"),
        ("tag", "add ls rm set"),
        ("action", "cancel inspect logs ls retry"),
    ] {
        let help = good(cli.run(&[command]).await);
        assert_eq!(offered(&help).join(" "), expected);
    }
    let help = good(cli.run(&["nodecluster", "create", "--help"]).await);
    for option in [
        "--target-num-nodes",
        "--sync",
        "--disk",
        "--tag",
        "--aws-vpc-id",
        "--aws-vpc-subnet",
        "--aws-vpc-security-group",
        "--aws-iam-instance-profile-name",
    ] {
        assert!(help.contains(option), "{option}: {help}");
    }
}

#[tokio::test]
async fn what_is_no_command_ends_with_2_and_the_usage() {
    let cli = alone();
    for (line, error) in [
        (
            "nodecluster upgrade web",
            "argument subcmd: invalid choice: upgrade",
        ),
        (
            "node healthcheck web",
            "argument subcmd: invalid choice: healthcheck",
        ),
        ("cluster ls", "argument cmd: invalid choice: cluster"),
        (
            "nodecluster create web aws",
            "the following arguments are required: region, nodetype",
        ),
        (
            "nodecluster create -t two web aws us-east-1 t3.micro",
            "argument -t/--target-num-nodes: invalid int value: two",
        ),
        (
            "nodecluster scale web many",
            "argument target-num-nodes: invalid int value: many",
        ),
        (
            "tag add web",
            "the following arguments are required: -t/--tag",
        ),
        (
            "action ls -l all",
            "argument -l/--last: invalid int value: all",
        ),
        ("node byo now", "unrecognized arguments: now"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = cli.run(&arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{line}");
        assert!(ended.stderr.starts_with("usage: docker-cloud"), "{line}");
        // Newer Pythons leave the quotes out.
        let said = ended.stderr.replace('\'', "");
        let last = said.lines().last().expect("an error");
        assert!(last.contains(&format!("error: {error}")), "{line}: {last}");
    }
}
