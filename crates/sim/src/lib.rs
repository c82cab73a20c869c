//! An AWS simulator: a server that speaks the EC2 Query protocol (and what is needed of IAM, STS and Route 53) over HTTP.
//!
//! It is the test bed, so it is stricter than AWS, never kinder: parameters that an action does not read are refused,
//! and what EC2 would leave half undefined is an error. It shares no code with the crates that it tests, but for the
//! agent, which is a program on its instances.
//!
//! How a request goes: `server` reads the caller from the signature's scope, records the call and looks for a fault to
//! play; the action's function in `ec2`, `iam`, `route53` or `sts` reads its parameters from a `call::Call`, which gives
//! it the state only after every parameter was read and the permission was checked, and gives it the state to change only
//! when this is no dry run. Time is lazy: each call first brings its region to the present (`state::Region::settle`).
//!
//! A new EC2 action is one function in `ec2/` and one line in its table.
//!
//! What makes life hard has its place each: token buckets in `limits`, policy documents in `permissions`, eventual
//! consistency in `consistency`, lists that lag behind in `hiding`, calls that go wrong in `faults`. All of it is off unless
//! a [`Config`] or the control API (`control`) turns it on.
//!
//! With [`Config::hosts`], instances are more than rows: what has booted lives as a host with an agent (`hosts`).
//!
//! Signatures are not verified: any access key is accepted and only chooses the account.

mod call;
mod catalogue;
mod clock;
mod config;
mod consistency;
mod console;
mod control;
mod ec2;
mod faults;
mod hiding;
mod hosts;
mod iam;
mod limits;
mod network_view;
mod permissions;
mod protocol;
mod route53;
mod server;
mod simulator;
mod state;
mod sts;
#[cfg(test)]
mod tests;
mod view;

pub use config::{Config, Quotas};
pub use control::Scenario;
pub use faults::{Fault, FaultRule, FaultState, PlayedFault};
pub use hiding::HideRule;
pub use hosts::{HostConfig, HostView};
pub use limits::{Bucket, Buckets};
pub use network_view::{GatewayView, GroupView, NetworkView, RouteTableView, SubnetView, VpcView};
pub use simulator::Simulator;
pub use view::{InstanceView, RecordedCall};

/// The account that access keys belong to by default.
pub fn default_account() -> &'static str {
    protocol::auth::DEFAULT_ACCOUNT
}
