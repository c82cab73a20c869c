//! A client that does not read.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::*;
use tests::{Socket, wait_for};

/// How many events one commit makes.
const BURST: usize = 1000;
/// Twice what the system's buffers for a connection hold, and what is kept in memory for those who are behind.
const BURSTS: usize = 24;
/// Enough for a machine under load; without a slow neighbor it is less than a second.
const PROMPT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_slow_reader_is_dropped_and_slows_nobody_down() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let before = log(&world).await.len();
    let mut slow = Socket::open_narrow(&world.client, EVENTS).await;
    let mut quick = Socket::open(&world.client, EVENTS).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let reader = {
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            for _ in 0..BURSTS * BURST {
                let frame = quick.frame().await;
                told.lock().unwrap().push(frame);
            }
        })
    };
    for burst in 1..=BURSTS {
        flood(&world, &cluster, i32::try_from(BURST).unwrap()).await;
        let made = Instant::now();
        wait_for("the quick reader to have everything", || async {
            (told.lock().unwrap().len() >= burst * BURST).then_some(())
        })
        .await;
        assert!(made.elapsed() < PROMPT, "{:?}", made.elapsed());
    }
    reader.await.unwrap();
    let expected = frames(&log(&world).await[before..], "");
    assert!(
        *told.lock().unwrap() == expected,
        "the quick one has everything, once, in order"
    );

    // What it reads now is what was on its way to it, and then that it was too slow.
    let (heard, code, reason) = slow.rest().await;
    assert_eq!(code, 1013);
    assert!(reason.contains("?since="), "{reason}");
    assert!(
        !heard.is_empty() && heard.len() < expected.len(),
        "{}",
        heard.len()
    );
    assert!(
        heard == expected[..heard.len()],
        "without a gap up to there"
    );

    // And this is the way out that the reason names.
    let path = format!("{EVENTS}?since={}", text(heard.last().unwrap(), "uuid"));
    let mut again = Socket::open(&world.client, &path).await;
    let missed = again.frames(expected.len() - heard.len()).await;
    assert!(
        missed == expected[heard.len()..],
        "what it had missed, once, in order"
    );
    drop((slow, again));
    world.finish().await;
}
