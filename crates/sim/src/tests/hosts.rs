//! Virtual hosts, as far as the simulator alone goes: machines that follow their instances. Time stands still here, and
//! nobody answers the agents; the scenarios have them live with a Berth.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Client, Net, text};
use crate::hosts::{HostConfig, HostView};
use crate::{Simulator, default_account};

/// Longer than any phase or boot.
const LONG: u64 = 1000;

fn living() -> Client {
    Client::with(|config| config.hosts = Some(HostConfig::fast()))
}

/// User data of Berth's, in Base64. Nobody listens at that port.
fn user_data() -> String {
    let file = json!({
        "path": "/etc/dockercloud/agent/dockercloud-agent.conf",
        "content": "{\"Host\": \"http://127.0.0.1:9\", \"Token\": \"abc\"}",
        "permissions": "0600",
    });
    STANDARD.encode(format!(
        "#cloud-config\n{}\n",
        json!({"write_files": [file]})
    ))
}

fn launch(c: &Client, net: &Net, user_data: &str) -> String {
    let more = [
        ("UserData", user_data),
        ("SecurityGroupId.1", net.group.as_str()),
    ];
    c.launch(&net.subnet, &more).remove(0)
}

fn host(c: &Client, id: &str) -> Option<HostView> {
    let hosts = c.sim.hosts(default_account(), c.region);
    hosts.into_iter().find(|host| host.instance_id == id)
}

/// Whether the machine is on, and what has become of its agent.
fn seen(c: &Client, id: &str) -> (bool, String) {
    let host = host(c, id).unwrap();
    (host.is_on, host.agent)
}

fn console(c: &Client, id: &str) -> String {
    let answer = c.ok("GetConsoleOutput", &[("InstanceId", id)]);
    let output = STANDARD.decode(text(&answer, "output")).unwrap();
    String::from_utf8(output).unwrap()
}

#[tokio::test]
async fn a_machine_follows_its_instance() {
    let c = living();
    let net = c.net();
    let id = launch(&c, &net, &user_data());
    let waiting = (false, "waiting".to_owned());
    let lives = (true, "runs".to_owned());
    assert_eq!(seen(&c, &id), waiting);
    // The instance runs before its system is up.
    c.sim.advance(60);
    assert_eq!(c.states(), ["running"]);
    assert_eq!(seen(&c, &id), waiting);
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &id), lives);

    let ids = [("InstanceId.1", id.as_str())];
    c.ok("RebootInstances", &ids);
    assert_eq!(
        (c.states(), seen(&c, &id)),
        (vec!["running".to_owned()], waiting.clone())
    );
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &id), lives);

    c.ok("StopInstances", &ids);
    assert_eq!(seen(&c, &id), waiting);
    c.sim.advance(LONG);
    c.ok("StartInstances", &ids);
    assert_eq!(seen(&c, &id), waiting);
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &id), lives);

    c.ok("TerminateInstances", &ids);
    assert_eq!(host(&c, &id), None);
}

#[tokio::test]
async fn a_dry_run_reboots_nothing() {
    let c = living();
    let net = c.net();
    let id = launch(&c, &net, &user_data());
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &id), (true, "runs".to_owned()));
    let ask = [("InstanceId.1", id.as_str()), ("DryRun", "true")];
    assert_eq!(c.code("RebootInstances", &ask), "DryRunOperation");
    assert_eq!(seen(&c, &id), (true, "runs".to_owned()));
}

#[tokio::test]
async fn the_console_shows_a_boot_and_what_the_agent_met() {
    let c = living();
    let net = c.net();
    let (id, mute) = (launch(&c, &net, &user_data()), launch(&c, &net, ""));
    assert_eq!(console(&c, &id), "");
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &id), (true, "runs".to_owned()));
    let log = console(&c, &id);
    for words in [
        "Linux version",
        "cloud-init[612]: wrote /etc/dockercloud/agent/dockercloud-agent.conf",
        "Docker daemon 26.1.5 has started",
        "Started berth-agent.service",
    ] {
        assert!(log.contains(words), "{words:?} is missing:\n{log}");
    }
    // The subnet has no route to the internet. The agent says so as soon as it has its turn.
    let said = "POST http://127.0.0.1:9/api/agent/v1/node/: cannot connect";
    let shown = async {
        while !console(&c, &id).contains(said) {
            tokio::task::yield_now().await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(60), shown).await;
    assert!(shown.is_ok(), "{}", console(&c, &id));
    assert_eq!(seen(&c, &mute), (true, "none".to_owned()));
    assert!(!console(&c, &mute).contains("berth-agent"));
}

#[tokio::test]
async fn a_boot_takes_the_same_time_whenever_it_is_repeated() {
    let boots = || {
        let c = living();
        let net = c.net();
        let ids: Vec<String> = (0..5).map(|_| launch(&c, &net, "")).collect();
        let ups = (0..200).map(|_| {
            c.sim.advance(1);
            ids.iter().filter(|id| seen(&c, id).0).count()
        });
        ups.collect::<Vec<_>>()
    };
    let once = boots();
    assert_eq!((once[0], once[199]), (0, 5));
    assert_eq!(once, boots());
}

#[tokio::test]
async fn agents_can_be_killed_started_and_dead_on_arrival() {
    let c = living();
    let net = c.net();
    let order = |name: &str, id: &str| {
        let body = json!({"region": c.region, "instance_ids": [id]});
        c.sim.order(&format!("host/{name}"), body).map(drop)
    };
    let id = launch(&c, &net, &user_data());
    let why = order("restart-agent", &id).unwrap_err();
    assert_eq!(why, format!("'{id}' is not up"));
    c.sim.advance(LONG);
    order("kill-agent", &id).unwrap();
    assert_eq!(seen(&c, &id), (true, "killed".to_owned()));
    order("restart-agent", &id).unwrap();
    assert_eq!(seen(&c, &id), (true, "runs".to_owned()));
    // A boot starts what was killed.
    order("kill-agent", &id).unwrap();
    c.ok("RebootInstances", &[("InstanceId.1", &id)]);
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &id), (true, "runs".to_owned()));

    let dead = |on: bool| {
        let body = json!({"region": c.region, "instance_type": "t?.micro", "on": on});
        c.sim.order("host/dead-on-arrival", body).unwrap();
    };
    dead(true);
    let late = launch(&c, &net, &user_data());
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &late), (true, "dead on arrival".to_owned()));
    assert_eq!(
        seen(&c, &id),
        (true, "runs".to_owned()),
        "it has booted already"
    );
    dead(false);
    let later = launch(&c, &net, &user_data());
    c.sim.advance(LONG);
    assert_eq!(seen(&c, &later), (true, "runs".to_owned()));
}

#[tokio::test]
async fn an_agents_configuration_that_can_not_be_used_is_on_the_console() {
    let c = living();
    let net = c.net();
    let file = json!({"path": "/etc/dockercloud/agent/dockercloud-agent.conf", "content": "{}"});
    let text = format!("#cloud-config\n{}\n", json!({"write_files": [file]}));
    let id = launch(&c, &net, &STANDARD.encode(text));
    c.sim.advance(LONG);
    let (is_on, agent) = seen(&c, &id);
    assert!(
        is_on && agent.starts_with("ended: there is no Host"),
        "{agent}"
    );
    assert!(console(&c, &id).contains("berth-agent[1042]: there is no Host"));
}

/// The first line of the answer to a CONNECT.
async fn connect(simulator: Simulator, to: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served =
        tokio::spawn(async move { simulator.serve(listener, std::future::pending()).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    served.abort();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_way_to_an_engine_is_refused_with_the_reason() {
    let c = living();
    let net = c.net();
    let id = launch(&c, &net, &user_data());
    let ip = c.sim.instances(default_account(), c.region)[0]
        .private_ip
        .unwrap();
    let ask = async |to: String| connect(c.sim.clone(), &to).await;
    let engine = format!("{ip}:2376");
    assert_eq!(
        ask(engine.clone()).await,
        format!("HTTP/1.1 502 {id} is pending")
    );
    c.sim.advance(60);
    assert_eq!(
        ask(engine.clone()).await,
        format!("HTTP/1.1 502 {id} boots")
    );
    c.sim.advance(LONG);
    let closed = format!("HTTP/1.1 502 no security group of {id} opens port 2376 to 0.0.0.0/0");
    assert_eq!(ask(engine.clone()).await, closed);
    let rule = [
        ("GroupId", net.group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "2376"),
        ("IpPermissions.1.ToPort", "2376"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    c.ok("AuthorizeSecurityGroupIngress", &rule);
    let not_set_up = format!("HTTP/1.1 502 the Docker engine of {id} is not set up to listen");
    assert_eq!(ask(engine.clone()).await, not_set_up);
    let other_port = format!("HTTP/1.1 502 nothing listens at port 2375 of {id}");
    assert_eq!(ask(format!("{ip}:2375")).await, other_port);
    let body = json!({"region": c.region, "instance_ids": [id]});
    c.sim.order("host/lose-network", body).unwrap();
    assert_eq!(
        ask(engine).await,
        format!("HTTP/1.1 502 {id} has lost its network")
    );
    let nobody = "HTTP/1.1 502 no instance has the address 198.19.0.1";
    assert_eq!(ask("198.19.0.1:2376".to_owned()).await, nobody);
    let no_address =
        "HTTP/1.1 502 example.com is no address of IPv4, no name of EC2's, and in no hosted zone";
    assert_eq!(ask("example.com:2376".to_owned()).await, no_address);

    let lifeless = "HTTP/1.1 502 this simulator has no virtual hosts";
    assert_eq!(
        connect(Client::new().sim, "198.18.0.1:2376").await,
        lifeless
    );
}

#[tokio::test]
async fn two_regions_never_give_the_same_public_address() {
    let addresses = |c: &Client| {
        let net = c.net();
        let interface = [
            ("SubnetId", ""),
            ("NetworkInterface.1.DeviceIndex", "0"),
            ("NetworkInterface.1.SubnetId", net.subnet.as_str()),
            ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ];
        c.launch(&net.subnet, &interface);
        c.sim.instances(default_account(), c.region)[0]
            .public_ip
            .unwrap()
    };
    let c = living();
    let elsewhere = Client {
        sim: c.sim.clone(),
        key: c.key,
        region: "eu-west-1",
        token: None,
    };
    assert_ne!(addresses(&c), addresses(&elsewhere));
}
