//! CONNECT to the simulator: the way to the engines, whose addresses exist nowhere else.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::engine;
use super::machine::Machine;
use super::registry::PORT;
use crate::simulator::Simulator;
use crate::state::PhaseKind;

/// An open way to a machine's engine.
struct Way {
    machine: Arc<Machine>,
    acceptor: TlsAcceptor,
    link: watch::Receiver<()>,
}

/// Answers a CONNECT request: 200, and what follows is the engine's; or 502 with the reason.
pub(crate) fn connect(simulator: &Simulator, asked: Request) -> Response {
    let to = asked.uri().authority();
    let way = to
        .and_then(|to| Some((to.host(), to.port_u16()?)))
        .ok_or_else(|| "CONNECT is for a host and a port".to_owned())
        .and_then(|(host, port)| Ok(SocketAddrV4::new(address(simulator, host)?, port)))
        .and_then(|to| open(simulator, to));
    let way = match way {
        Ok(way) => way,
        Err(reason) => return refuse(reason),
    };
    let simulator = simulator.clone();
    tokio::spawn(async move {
        let Way {
            machine,
            acceptor,
            mut link,
        } = way;
        let served = async {
            let stream = hyper::upgrade::on(asked)
                .await
                .map_err(std::io::Error::other)?;
            engine::serve(&simulator, &machine, acceptor, TokioIo::new(stream)).await
        };
        tokio::select! {
            served = served => {
                if let Err(error) = served {
                    tracing::debug!(instance = machine.instance, %error, "a connection to an engine ended");
                }
            }
            // Nobody sends anything: this is the end of the network.
            _ = link.changed() => {}
        }
    });
    Response::new(Body::empty())
}

/// An address as it is, or that of a name: one of EC2's, or one in a hosted zone.
fn address(simulator: &Simulator, host: &str) -> Result<Ipv4Addr, String> {
    host.parse()
        .ok()
        .or_else(|| of_ec2s_name(host))
        .or_else(|| simulator.lock().world.resolve(host))
        .ok_or_else(|| {
            format!("{host} is no address of IPv4, no name of EC2's, and in no hosted zone")
        })
}

/// The address of EC2's public name for it, `ec2-198-18-0-1.compute-1.amazonaws.com`.
fn of_ec2s_name(host: &str) -> Option<Ipv4Addr> {
    let (label, domain) = host.strip_prefix("ec2-")?.split_once('.')?;
    let is_ec2 = domain.ends_with(".amazonaws.com");
    label.replace('-', ".").parse().ok().filter(|_| is_ec2)
}

/// The reason stands in the status line, where clients of proxies look for it, and in the body.
fn refuse(reason: String) -> Response {
    let mut response = (StatusCode::BAD_GATEWAY, reason.clone() + "\n").into_response();
    if let Ok(phrase) = ReasonPhrase::try_from(reason.into_bytes()) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// Stricter than EC2 where it can't know: whoever asks comes from the internet, so a security group opens the port when it
/// opens it to everybody.
fn open(simulator: &Simulator, to: SocketAddrV4) -> Result<Way, String> {
    let hosts = simulator
        .virtual_hosts()
        .ok_or("this simulator has no virtual hosts")?;
    hosts.catch_up(simulator);
    let machine = {
        let registry = hosts.lock();
        let machines = registry.hosts.values().map(|host| &host.machine);
        machine_at(machines, *to.ip())?
    };
    let id = &machine.instance;
    let situation = machine.situation();
    if situation.phase != PhaseKind::Running {
        return Err(format!("{id} is {}", situation.phase.name()));
    }
    let link = machine.link().ok_or_else(|| {
        if machine.has_network() {
            format!("{id} boots")
        } else {
            format!("{id} has lost its network")
        }
    })?;
    if situation.public_ip == Some(*to.ip()) && !situation.leads_out {
        return Err(format!(
            "there is no route from the internet to the subnet of {id}"
        ));
    }
    if !situation.is_open {
        return Err(format!(
            "no security group of {id} opens port {PORT} to 0.0.0.0/0"
        ));
    }
    if to.port() != PORT {
        return Err(format!("nothing listens at port {} of {id}", to.port()));
    }
    let acceptor = engine::acceptor(&machine)
        .ok_or_else(|| format!("the Docker engine of {id} is not set up to listen"))?;
    Ok(Way {
        machine,
        acceptor,
        link,
    })
}

/// The machine with this address: a public one, or a private one that no other machine has.
fn machine_at<'a>(
    machines: impl Iterator<Item = &'a Arc<Machine>>,
    ip: Ipv4Addr,
) -> Result<Arc<Machine>, String> {
    let mut found = None;
    for machine in machines {
        let situation = machine.situation();
        if situation.public_ip == Some(ip) {
            return Ok(Arc::clone(machine));
        }
        if situation.private_ip == Some(ip) {
            if found.is_some() {
                return Err(format!("{ip} is a private address in several networks"));
            }
            found = Some(machine);
        }
    }
    found
        .map(Arc::clone)
        .ok_or_else(|| format!("no instance has the address {ip}"))
}

#[cfg(test)]
mod tests {
    use super::of_ec2s_name;

    #[test]
    fn ec2s_names_lead_to_their_addresses() {
        let ip = Some([198, 18, 0, 1].into());
        assert_eq!(of_ec2s_name("ec2-198-18-0-1.compute-1.amazonaws.com"), ip);
        assert_eq!(
            of_ec2s_name("ec2-198-18-0-1.eu-west-1.compute.amazonaws.com"),
            ip
        );
        for other in [
            "example.com",
            "ec2-198-18-0.compute-1.amazonaws.com",
            "ec2-198-18-0-1.example.com",
            "ec2-",
        ] {
            assert_eq!(of_ec2s_name(other), None, "{other}");
        }
    }
}
