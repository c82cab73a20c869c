//! How workers pace themselves in tests: as in the product, only faster.
//!
//! What the product's times promise to each other they promise here, too: a lease runs out before a call does, so that a
//! call may be on its way for a worker that has lost its site; a new object is shown before that; and a call has ended
//! before anybody concludes from what EC2 doesn't show that it had no effect. A world whose times are its own keeps the
//! last of these at least.

use std::time::Duration;

use aws::{Connector, Endpoint};

/// How long something must be missing before it is taken to be gone; 120 s in the product.
const GRACE: Duration = Duration::from_secs(5);
/// How long AWS may take for an answer: half of [`GRACE`], as the product's 60 s are.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_millis(2500);
/// How long AWS may take for an answer in the product.
pub(crate) const PRODUCT_CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a worker holds a site without a sign of life; 15 s in the product.
const LEASE_TTL: Duration = Duration::from_secs(2);
/// When a new object is in every listing; 15 s in the product.
const NEW_OBJECTS_SHOW_WITHIN: Duration = Duration::from_secs(1);

const _: () = {
    let (grace, call) = (GRACE.as_millis(), CALL_TIMEOUT.as_millis());
    assert!(call * 2 == grace, "half of it");
    assert!(LEASE_TTL.as_millis() < call, "a lease ends before a call");
    assert!(NEW_OBJECTS_SHOW_WITHIN.as_millis() <= LEASE_TTL.as_millis());
};

/// How workers pace themselves in tests.
pub fn fast_worker() -> worker::Config {
    worker::Config {
        lease_ttl: LEASE_TTL,
        lease_interval: Duration::from_millis(300),
        look_interval: Duration::from_millis(50),
        sweep_interval: Duration::from_millis(50),
        sweep_interval_at_rest: Duration::from_millis(200),
        grace: GRACE,
        new_objects_show_within: NEW_OBJECTS_SHOW_WITHIN,
        launch_deadline: Duration::from_secs(20),
        hosts: domain::host::Settings {
            probe_again: Duration::from_millis(200),
            probe_patience: Duration::from_secs(2),
            ..domain::host::Settings::default()
        },
        secret_key: Some(secret_key()),
        engines: engine::Way::Straight,
        public_url: None,
        image: None,
        names: None,
        names_retry_interval: Duration::from_millis(500),
        names_check_interval: Duration::from_secs(2),
        // Tests count calls.
        refreshes_catalogue: false,
        ambient: domain::link::Ambient::Nobody,
    }
}

/// A worker's way to AWS that goes with [`fast_worker`].
pub fn fast_connector(endpoint: Endpoint) -> Connector {
    Connector::to(endpoint).with_call_timeout(CALL_TIMEOUT)
}

/// The secret key of every world.
fn secret_key() -> pki::SecretKey {
    pki::SecretKey::from_base64("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=").expect("a key")
}
