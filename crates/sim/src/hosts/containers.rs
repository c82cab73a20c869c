//! The containers of a machine's engine, as the answers of Docker's API ("Docker Engine API") show them. There is one
//! image, and what is started of it says its few words and ends at once: enough for `docker run` to be acted out.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::engine::Answer;
use crate::state::{Ids, Millis};

/// The only image that can be pulled.
const IMAGE: &str = "hello-world:latest";
const IMAGE_ID: &str = "sha256:74cc54e27dc41bb10dc4b2226072d469509f2f22f1a3ce74f4a59661a1d44602";
const COMMAND: &str = "/hello";
/// What it says.
const WORDS: &str =
    "Hello from a virtual host! Its Docker engine is acted out: this container ran nothing.\n";
/// The stream of a frame of Docker's multiplexed streams ("Stream format").
const STDOUT: u8 = 1;

/// All images and containers of a machine; they survive its reboots.
#[derive(Debug, Default)]
pub(super) struct Containers {
    has_image: bool,
    made: u32,
    all: Vec<Container>,
}

#[derive(Debug)]
struct Container {
    id: String,
    name: String,
    created: Millis,
    /// Whether it was started, which is also the end of it.
    has_ended: bool,
    /// `docker run --rm`: it is removed when it ends.
    is_removed_at_its_end: bool,
    has_terminal: bool,
}

impl Container {
    fn state(&self) -> &'static str {
        if self.has_ended { "exited" } else { "created" }
    }

    fn shown(&self) -> Value {
        json!({
            "Id": self.id, "Names": [format!("/{}", self.name)], "Image": "hello-world", "ImageID": IMAGE_ID,
            "Command": COMMAND, "Created": self.created / 1000, "Ports": [], "Labels": {}, "Mounts": [],
            "State": self.state(), "Status": if self.has_ended { "Exited (0)" } else { "Created" },
        })
    }

    fn inspected(&self) -> Value {
        let created = DateTime::from_timestamp_millis(self.created.try_into().unwrap_or_default());
        let created = created.unwrap_or_default();
        json!({
            "Id": self.id, "Name": format!("/{}", self.name), "Image": IMAGE_ID, "Path": COMMAND, "Args": [],
            "Created": created.to_rfc3339_opts(SecondsFormat::Millis, true),
            "State": {"Status": self.state(), "Running": false, "ExitCode": 0},
            "Config": {"Image": "hello-world", "Tty": self.has_terminal, "Cmd": [COMMAND]},
            "HostConfig": {"AutoRemove": self.is_removed_at_its_end, "LogConfig": {"Type": "json-file"}},
        })
    }

    /// What it has said, as a terminal shows it or in a frame of its own.
    fn log(&self) -> Vec<u8> {
        let words = if self.has_ended { WORDS } else { "" }.as_bytes();
        if self.has_terminal || words.is_empty() {
            return words.to_vec();
        }
        let length = u32::try_from(words.len()).unwrap_or_default();
        [&[STDOUT, 0, 0, 0], &length.to_be_bytes()[..], words].concat()
    }
}

impl Containers {
    /// Those that are there, and the images.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.all.len(), usize::from(self.has_image))
    }

    /// `POST /images/create`.
    pub(super) fn pull(&mut self, name: &str, tag: &str) -> Answer {
        let asked = full_name(name, tag);
        if asked != IMAGE {
            let why = format!("{asked}: a virtual engine can pull {IMAGE} and nothing else");
            return Answer::refusal(StatusCode::NOT_FOUND, &why);
        }
        self.has_image = true;
        let lines = [
            "Pulling from library/hello-world",
            "Status: Downloaded newer image for hello-world:latest",
        ];
        let lines = lines.map(|line| format!("{}\r\n", json!({"status": line})));
        Answer::stream("application/json", lines.concat().into_bytes())
    }

    /// `GET /images/json`.
    pub(super) fn images(&self) -> Answer {
        let image = json!({
            "Id": IMAGE_ID, "RepoTags": [IMAGE], "RepoDigests": [], "ParentId": "", "Labels": {}, "Created": 0,
            "Size": 10_072, "SharedSize": -1, "Containers": -1,
        });
        Answer::json(&json!(self.has_image.then_some(image).as_slice()))
    }

    /// `POST /containers/create`.
    pub(super) fn create(
        &mut self,
        machine: &str,
        name: Option<&str>,
        body: &Value,
        now: Millis,
    ) -> Answer {
        let image = body["Image"].as_str().unwrap_or_default();
        if !self.has_image || full_name(image, "") != IMAGE {
            let why = format!("No such image: {}", full_name(image, ""));
            return Answer::refusal(StatusCode::NOT_FOUND, &why);
        }
        if let Some(taken) = name.and_then(|name| self.place(name)) {
            let why = format!(
                "Conflict. The container name is already in use by container {:?}",
                self.all[taken].id
            );
            return Answer::refusal(StatusCode::CONFLICT, &why);
        }
        self.made += 1;
        let mut ids = Ids::new(&[machine, "container", &self.made.to_string()]);
        let id: String = (0..4).map(|_| format!("{:016x}", ids.number())).collect();
        let answer = json!({"Id": id, "Warnings": []});
        self.all.push(Container {
            id,
            name: name.map_or_else(|| format!("virtual_{}", self.made), str::to_owned),
            created: now,
            has_ended: false,
            is_removed_at_its_end: body["HostConfig"]["AutoRemove"] == true,
            has_terminal: body["Tty"] == true,
        });
        Answer::json(&answer).with(StatusCode::CREATED)
    }

    /// `GET /containers/json`.
    pub(super) fn list(&self, is_all: bool) -> Answer {
        // None ever runs.
        let shown = self.all.iter().rev().filter(|_| is_all);
        Answer::json(&shown.map(Container::shown).collect())
    }

    /// What is asked of one container, by its id, the beginning of it, or its name.
    pub(super) fn of_one(&mut self, method: &str, id: &str, what: &str) -> Answer {
        let Some(place) = self.place(id) else {
            return Answer::refusal(StatusCode::NOT_FOUND, &format!("No such container: {id}"));
        };
        let container = &mut self.all[place];
        match (method, what) {
            ("POST", "start") => {
                container.has_ended = true;
                if container.is_removed_at_its_end {
                    self.all.remove(place);
                }
                Answer::nothing()
            }
            // None runs, so that there is nothing to wait for.
            ("POST", "wait") => Answer::json(&json!({"StatusCode": 0})),
            ("GET", "json") => Answer::json(&container.inspected()),
            ("GET", "logs") if container.has_terminal => {
                Answer::stream("application/vnd.docker.raw-stream", container.log())
            }
            ("GET", "logs") => {
                Answer::stream("application/vnd.docker.multiplexed-stream", container.log())
            }
            ("DELETE", "") => {
                self.all.remove(place);
                Answer::nothing()
            }
            _ => Answer::refusal(
                StatusCode::NOT_IMPLEMENTED,
                &format!("a simulated engine can't do this with a container: {method} {what}"),
            ),
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        let by_name = self.all.iter().position(|it| it.name == id);
        by_name.or_else(|| {
            let begins = |it: &Container| !id.is_empty() && it.id.starts_with(id);
            self.all.iter().position(begins)
        })
    }
}

/// `hello-world`, `library/hello-world` and `docker.io/library/hello-world:latest` are the same image.
fn full_name(name: &str, tag: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    match tag {
        "" if name.contains(':') => name.to_owned(),
        "" => format!("{name}:latest"),
        tag => format!("{name}:{tag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_one_full_name() {
        for (name, tag) in [
            ("hello-world", ""),
            ("hello-world:latest", ""),
            ("library/hello-world", "latest"),
            ("docker.io/library/hello-world", "latest"),
        ] {
            assert_eq!(full_name(name, tag), IMAGE, "{name} {tag}");
        }
        assert_eq!(full_name("hello-world", "linux"), "hello-world:linux");
    }
}
