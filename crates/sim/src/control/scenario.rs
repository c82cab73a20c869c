//! Scenario files: orders of the control API, carried out when the simulator starts, or some time later.

use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};

use super::order::Order;
use crate::simulator::Simulator;

/// A scenario that can be played.
#[derive(Debug)]
pub struct Scenario {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// Where it stands, for messages.
    place: String,
    after: Duration,
    order: Order,
}

impl Scenario {
    /// Reads a scenario: `{"orders": [{"after_ms": 0, "<name>": <body>}, …]}`, where a name is a path below `/_sim/`, a
    /// body what is POSTed there, and `after_ms` may be left out.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))?;
        if let Some(other) = file.keys().find(|key| *key != "orders") {
            return Err(format!("{other}: there is only \"orders\""));
        }
        let Some(Value::Array(entries)) = file.get("orders") else {
            return Err("orders: must be a list".to_owned());
        };
        let entries = entries.iter().enumerate();
        let steps: Result<Vec<Step>, String> = entries
            .map(|(at, entry)| Step::read(entry, &format!("orders[{at}]")))
            .collect();
        let mut steps = steps?;
        steps.sort_by_key(|step| step.after);
        Ok(Self { steps })
    }

    /// Carries out the orders of the start. What is answered carries out the others, each when its time has come.
    ///
    /// # Errors
    /// The first order that is refused, and why.
    pub fn start(
        self,
        simulator: &Simulator,
    ) -> Result<impl Future<Output = ()> + Send + use<>, String> {
        let (now, later): (Vec<Step>, Vec<Step>) =
            self.steps.into_iter().partition(|it| it.after.is_zero());
        for step in now {
            step.carry_out(simulator)?;
        }
        let simulator = simulator.clone();
        let began = tokio::time::Instant::now();
        Ok(async move {
            for step in later {
                tokio::time::sleep_until(began + step.after).await;
                match step.carry_out(&simulator) {
                    Ok(place) => tracing::info!("carried out {place} of the scenario"),
                    Err(refusal) => tracing::warn!("the scenario's {refusal}"),
                }
            }
        })
    }
}

impl Step {
    fn read(entry: &Value, place: &str) -> Result<Self, String> {
        let entry = entry
            .as_object()
            .ok_or_else(|| format!("{place}: must be an object"))?;
        let after_ms = match entry.get("after_ms") {
            None => 0,
            Some(ms) => ms
                .as_u64()
                .ok_or_else(|| format!("{place}.after_ms: {ms} is no number of milliseconds"))?,
        };
        let mut orders = entry.iter().filter(|(name, _)| *name != "after_ms");
        let (Some((name, body)), None) = (orders.next(), orders.next()) else {
            return Err(format!(
                "{place}: must have one order, and may have after_ms"
            ));
        };
        let place = format!("{place}.{name}");
        match Order::read(name, body.clone()) {
            Ok(order) => Ok(Self {
                place,
                after: Duration::from_millis(after_ms),
                order,
            }),
            Err(wrong) => Err(format!("{place}: {wrong}")),
        }
    }

    /// Answers with its place.
    fn carry_out(self, simulator: &Simulator) -> Result<String, String> {
        match self.order.carry_out(simulator) {
            Ok(_) => Ok(self.place),
            Err(refusal) => Err(format!("{}: {refusal}", self.place)),
        }
    }
}
