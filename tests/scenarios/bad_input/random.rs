//! Hundreds of bodies and queries that nobody thought of; the same ones in every run.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ACTIONS, CLUSTERS, NODE_TYPE, NODES, REGION, assert_refused, body_with, rows, still_world,
};

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("it is below a usize")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Some value of JSON.
    fn value(&mut self, depth: usize) -> Value {
        let texts = [
            "",
            "web",
            "us-east-1",
            REGION,
            NODE_TYPE,
            "vpc-0a1b2c3d",
            "subnet-0a1b2c3d",
            "sg-0a1b2c3d",
            "\0",
            "a\u{0}b",
            "\u{feff}",
            "\u{202e}",
            "🍺",
            "'; DROP TABLE cluster; --",
            "${jndi:x}",
            "%00",
            "../..",
            "-1",
            "1e9",
            "0x10",
        ];
        match self.below(if depth > 0 { 12 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(2000)),
            3 => json!(-1),
            4 => json!(*self.pick(&[0.5, -0.0, 1e300, 1e-300, 4294967296.0, 9.3e18])),
            5 => json!(*self.pick(&[i64::MIN, i64::MAX, 4_294_967_296, 2_147_483_648])),
            6 | 7 => json!(*self.pick(&texts)),
            8 => json!("x".repeat(self.below(300))),
            9 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            10 => json!([{"name": self.value(0)}]),
            _ => {
                let names = [
                    "id",
                    "name",
                    "subnets",
                    "security_groups",
                    "vpc",
                    "iam",
                    "instance_profile_name",
                    "\0",
                ];
                let members = (0..self.below(4))
                    .map(|_| ((*self.pick(&names)).to_owned(), self.value(depth - 1)));
                Value::Object(members.collect())
            }
        }
    }

    /// A body that would be taken, spoiled in a few places.
    fn body(&mut self, name: &str) -> Vec<u8> {
        let mut body = body_with(&json!({
            "name": name,
            "nickname": "Web",
            "disk": 60,
            "tags": [{"name": "a"}],
            "provider_options": {
                "vpc": {"id": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"]},
                "iam": {"instance_profile_name": "p"},
            },
        }));
        for _ in 0..self.below(3) {
            let pointer = *self.pick(&[
                "/name",
                "/region",
                "/node_type",
                "/target_num_nodes",
                "/disk",
                "/nickname",
                "/tags",
                "/tags/0",
                "/tags/0/name",
                "/provider_options",
                "/provider_options/vpc",
                "/provider_options/vpc/id",
                "/provider_options/vpc/subnets",
                "/provider_options/vpc/subnets/0",
                "/provider_options/vpc/security_groups",
                "/provider_options/iam",
                "/provider_options/iam/instance_profile_name",
            ]);
            let value = self.value(3);
            if let Some(place) = body.pointer_mut(pointer) {
                *place = value;
            }
        }
        let mut bytes = body.to_string().into_bytes();
        if self.below(3) == 0 {
            for _ in 0..=self.below(4) {
                let at = self.below(bytes.len());
                match self.below(4) {
                    0 => bytes[at] = u8::try_from(self.below(256)).expect("a byte"),
                    1 => bytes.insert(at, *self.pick(b"{}[]\",:\\\0\xff 0-e.")),
                    2 => bytes.truncate(at.max(1)),
                    _ => {
                        bytes.remove(at);
                        bytes.push(b'}');
                    }
                }
            }
        }
        bytes
    }

    /// A query for a list, more or less.
    fn query(&mut self) -> String {
        let names = [
            "limit",
            "offset",
            "uuid",
            "uuid__startswith",
            "name",
            "state",
            "region",
            "node_type",
            "node_cluster",
            "object",
            "flavor",
            "",
            "%00",
            "%ff",
        ];
        let values = [
            "1",
            "0",
            "-1",
            "99999999999999999999",
            "",
            "%00",
            "%ff",
            "%",
            "%zz",
            "a%26b",
            "Deployed",
            "00cc59e1",
            "00cc59e1-c605-403c-a5fb-3269b6a0d6bf",
            "/api/infra/v1/region/aws/us-east-1/",
            "_",
            "%25",
            "\\",
            "'",
            "1.5",
            "+",
            "🍺",
        ];
        let pairs: Vec<String> = (0..self.below(4))
            .map(|_| format!("{}={}", self.pick(&names), self.pick(&values)))
            .collect();
        pairs.join("&")
    }
}

#[tokio::test]
async fn whatever_comes_is_answered_and_never_with_a_fault_of_ours() {
    let world = still_world().await;
    let target = world
        .create("us-east-1", "t3.micro", 1, json!({"name": "target"}))
        .await;
    let target_uri = target["resource_uri"].as_str().unwrap();
    let deployed = world
        .create("us-east-1", "t3.micro", 1, json!({"name": "deployed"}))
        .await;
    let deploy = format!("{}deploy/", deployed["resource_uri"].as_str().unwrap());
    let deployed = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node_uri = deployed["nodes"][0].as_str().unwrap();

    let mut random = Random(20_160_601);
    let (mut created, mut changed, mut refused) = (2, 0, 0);
    for round in 0..500 {
        let body = random.body(&format!("fuzz-{round}"));
        let (method, path) = match random.below(4) {
            0 => (Method::PATCH, target_uri),
            1 => (Method::PATCH, node_uri),
            _ => (Method::POST, CLUSTERS),
        };
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = world.client.send(method.clone(), path, Some(body)).await;
        match answer.status {
            201 => created += 1,
            202 => changed += 1,
            400 | 409 => {
                refused += 1;
                assert_refused(&answer, answer.status, &shown);
            }
            other => panic!(
                "{method} {path} {shown} was answered with {other}: {}",
                answer.text
            ),
        }
    }
    for _ in 0..200 {
        let list = *random.pick(&[
            CLUSTERS,
            NODES,
            ACTIONS,
            "/nodetype",
            "/region/",
            "/az",
            "/provider",
        ]);
        let path = format!("{list}?{}", random.query());
        let answer = world.client.get(&path).await;
        assert!(
            matches!(answer.status, 200 | 400),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
    }
    assert!(
        created > 50 && changed > 20 && refused > 100,
        "{created} {changed} {refused}"
    );

    // Each success has left exactly what it says, each refusal nothing.
    let counts = rows(&world).await;
    let count = |table: &str| {
        counts
            .iter()
            .find(|(name, _)| name == table)
            .expect("a table")
            .1
    };
    assert_eq!(count("cluster"), created);
    assert_eq!(count("action"), created + changed + 1);
    assert_eq!(count("node"), 1);
    // What was taken can be read again.
    for offset in (0..created).step_by(100) {
        let page = format!("{CLUSTERS}?limit=100&offset={offset}");
        let page = world.client.get(&page).await.expect(200).body;
        assert_eq!(page["meta"]["total_count"], created);
    }
    world
        .client
        .get(&format!("{ACTIONS}?limit=1000"))
        .await
        .expect(200);
    world.client.get("/readyz").await.expect(200);
    world.finish().await;
}
