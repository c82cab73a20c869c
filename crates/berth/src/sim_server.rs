//! `berth sim`: the simulated AWS alone.
#![expect(
    clippy::print_stdout,
    reason = "how to use it goes to the user's terminal"
)]

use crate::{
    Error,
    cli::Sim,
    local::{self, SimServer},
    replica, sim_flags,
};

pub(crate) async fn run(options: Sim) -> Result<(), Error> {
    let listener = replica::bind(options.listen).await?;
    let simulator = local::fresh_simulator();
    sim_flags::apply(&options.behavior, &simulator)?;
    let scenario = options.scenario.as_deref();
    let scenario = scenario
        .map(|file| sim_flags::scenario(file, &simulator))
        .transpose()?;
    let server = SimServer::start(simulator, listener)?;
    println!(
        "A simulated AWS (EC2, IAM, STS, Route 53) listens on http://{address}. Any access key will do; each is of account {}.

  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws --endpoint-url http://{address} --region us-east-1 \\
    ec2 describe-vpcs",
        sim::default_account(),
        address = server.address,
    );
    replica::asked_to_stop().await;
    if let Some(scenario) = scenario {
        scenario.abort();
    }
    server.stop().await;
    Ok(())
}
