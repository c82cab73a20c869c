//! Serves a simulator with fast phases and no other part of Berth, on the address in the first argument: what
//! `tests/clients/sim/drive_with_boto3.py` needs.
//!
//!     cargo run -p sim --example serve -- 127.0.0.1:4566

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:4566".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    sim::Simulator::new(sim::Config::fast())
        .serve(listener, std::future::pending())
        .await
}
