//! The budget, in paused time.

use std::sync::Arc;

use uuid::Uuid;

use super::*;

fn cluster(n: u128) -> Flow {
    Some(ClusterId(Uuid::from_u128(n)))
}

/// Makes calls one after the other; when, in milliseconds, each could be made.
async fn calls(
    budget: &Arc<Budget>,
    action: &'static str,
    instances: u32,
    count: usize,
) -> Vec<u128> {
    let begin = Instant::now();
    let mut times = Vec::new();
    for _ in 0..count {
        budget.take(action, None, instances).await.used();
        times.push(begin.elapsed().as_millis());
    }
    times
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_the_rest_at_the_refill() {
    let times = calls(&Arc::default(), "RunInstances", 1, 8).await;
    // The first refilled token comes after the time that a call may travel.
    assert_eq!(times, [0, 0, 0, 0, 0, 750, 1250, 1750]);
    let times = calls(&Arc::default(), "DescribeInstances", 0, 101).await;
    assert_eq!((times[99], times[100]), (0, 300));
    let times = calls(&Arc::default(), "CreateVpc", 0, 51).await;
    assert_eq!((times[49], times[50]), (0, 450));
}

#[tokio::test(start_paused = true)]
async fn instances_have_a_bucket_of_their_own() {
    // The calls would do with 5 at once and 2 a second after that; the instances are what is short from 1000 on.
    let times = calls(&Arc::default(), "RunInstances", 100, 11).await;
    assert_eq!(times[4], 0);
    assert!(times[9] <= 2750, "{times:?}");
    // 100 more at 2 a second, less what was refilled meanwhile.
    assert!((47_000..=50_250).contains(&times[10]), "{times:?}");
    let times = calls(&Arc::default(), "TerminateInstances", 1000, 2).await;
    assert_eq!(times, [0, 50_250]);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_bucket_holds_is_taken_when_it_is_full() {
    let times = calls(&Arc::default(), "TerminateInstances", 1500, 2).await;
    // 500 below empty, then 1000 again.
    assert_eq!(times, [0, 75_250]);
}

#[tokio::test(start_paused = true)]
async fn actions_do_not_wait_for_each_other() {
    let budget = Arc::<Budget>::default();
    calls(&budget, "RunInstances", 100, 10).await;
    assert_eq!(calls(&budget, "TerminateInstances", 10, 1).await, [0]);
    assert_eq!(calls(&budget, "DescribeInstances", 0, 1).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_empties_the_bucket_and_slows_its_refill_until_it_has_recovered() {
    let budget = Arc::<Budget>::default();
    budget.refused("CreateVpc");
    // Half of 5 a second.
    assert_eq!(calls(&budget, "CreateVpc", 0, 2).await, [400, 800]);
    tokio::time::advance(BURST).await;
    calls(&budget, "CreateVpc", 0, 2).await;
    budget.refused("CreateVpc");
    assert_eq!(calls(&budget, "CreateVpc", 0, 1).await, [800]);
    tokio::time::advance(2 * RECOVERY).await;
    // It has doubled once by the look after the pause, and once more at the next.
    calls(&budget, "CreateVpc", 0, 60).await;
    tokio::time::advance(RECOVERY).await;
    calls(&budget, "CreateVpc", 0, 50).await;
    let times = calls(&budget, "CreateVpc", 0, 1).await;
    assert_eq!(times, [450]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_launch_goes_again_soon_and_refused_ones_again_and_again_go_rarely() {
    let budget = Arc::<Budget>::default();
    calls(&budget, "RunInstances", 100, 3).await;
    budget.refused("RunInstances");
    let times = calls(&budget, "RunInstances", 100, 1).await;
    assert!(times[0] <= 1250, "{times:?}");
    for _ in 0..10 {
        tokio::time::advance(BURST).await;
        budget.refused("RunInstances");
    }
    let times = calls(&budget, "RunInstances", 100, 1).await;
    assert!(times[0] > 30_000, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn the_refusals_of_one_burst_count_once() {
    let (one, many) = (Arc::<Budget>::default(), Arc::<Budget>::default());
    one.refused("RunInstances");
    let times = calls(&one, "RunInstances", 100, 4).await;
    for _ in 0..20 {
        many.refused("RunInstances");
    }
    assert_eq!(calls(&many, "RunInstances", 100, 4).await, times);
    assert_eq!(times, [1000, 2000, 3000, 4000], "half of two a second");
}

#[tokio::test(start_paused = true)]
async fn what_another_worker_has_launched_is_taken_from_the_buckets() {
    let budget = Arc::<Budget>::default();
    let s = Duration::from_secs;
    // 900 of 1000 instances, of which 2 a second have come back since; the calls have all come back.
    budget.launched_before(&[(s(20), 400), (s(10), 500)]);
    let times = calls(&budget, "RunInstances", 100, 2).await;
    assert_eq!(times[0], 0, "{times:?}");
    // 900 were taken, 400 were 20 s ago and 500 10 s ago: 40 are back, and 100 more are taken.
    assert!((29_500..=30_500).contains(&times[1]), "{times:?}");
    // Twice the same news takes nothing twice.
    let budget = Arc::<Budget>::default();
    budget.launched_before(&[(s(200), 900)]);
    budget.launched_before(&[(s(200), 900)]);
    assert_eq!(calls(&budget, "RunInstances", 100, 5).await, [0; 5]);
    // With launches of a moment ago there may have been dry runs, which are calls, too.
    let budget = Arc::<Budget>::default();
    budget.launched_before(&[(s(1), 1)]);
    assert_eq!(calls(&budget, "RunInstances", 1, 2).await, [500, 1000]);
}

#[tokio::test(start_paused = true)]
async fn a_refill_never_comes_to_a_stop() {
    let budget = Arc::<Budget>::default();
    for _ in 0..100 {
        tokio::time::advance(BURST).await;
        budget.refused("CreateVpc");
    }
    let times = calls(&budget, "CreateVpc", 0, 1).await;
    assert!(times[0] <= 13_000, "{times:?}");
}

/// What was served, in order, where these calls wait at the same moment.
async fn served(budget: Arc<Budget>, asked: &[(u128, u32)]) -> Vec<u128> {
    let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (flow, instances) in asked.iter().copied() {
        let (budget, sender) = (Arc::clone(&budget), sender.clone());
        tokio::spawn(async move {
            let turn = budget.take("RunInstances", cluster(flow), instances).await;
            turn.used();
            let _ = sender.send(flow);
        });
        // It has its place before the next one asks.
        tokio::task::yield_now().await;
    }
    drop(sender);
    let mut flows = Vec::new();
    while let Some(flow) = order.recv().await {
        flows.push(flow);
    }
    flows
}

#[tokio::test(start_paused = true)]
async fn a_small_deploy_does_not_stand_behind_all_batches_of_a_large_one() {
    let budget = Arc::new(Budget::default());
    calls(&budget, "RunInstances", 100, 10).await;
    let mut asked = vec![(1, 100); 10];
    asked.push((2, 2));
    let order = served(budget, &asked).await;
    // Behind the one that the large deploy was already promised.
    assert_eq!(
        order.iter().position(|flow| *flow == 2),
        Some(1),
        "{order:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn equal_deploys_are_served_in_turns() {
    let budget = Arc::new(Budget::default());
    calls(&budget, "RunInstances", 100, 10).await;
    let asked: Vec<(u128, u32)> = [vec![(1, 100); 5], vec![(2, 100); 5]].concat();
    let order = served(budget, &asked).await;
    assert_eq!(order, [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_holds_up_nobody() {
    let budget = Arc::new(Budget::default());
    calls(&budget, "RunInstances", 100, 10).await;
    let impatient = tokio::time::timeout(
        Duration::from_secs(1),
        budget.take("RunInstances", cluster(1), 1000),
    );
    let begin = Instant::now();
    let (gave_up, ()) = tokio::join!(impatient, async {
        tokio::task::yield_now().await;
        budget.take("RunInstances", cluster(2), 2).await.used();
    });
    assert!(gave_up.is_err());
    assert!(
        begin.elapsed() <= Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_not_used_goes_back() {
    let budget = Arc::<Budget>::default();
    for _ in 0..20 {
        drop(budget.take("RunInstances", cluster(1), 1000).await);
    }
    assert_eq!(calls(&budget, "RunInstances", 200, 5).await, [0; 5]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_again_and_again_does_not_lose_his_turn_to_others() {
    let budget = Arc::<Budget>::default();
    calls(&budget, "RunInstances", 100, 10).await;
    // A cluster that gives up and asks anew ten times is not counted as if it had been served.
    for _ in 0..10 {
        let wait = budget.take("RunInstances", cluster(1), 100);
        let gave_up = tokio::time::timeout(Duration::from_millis(1), wait).await;
        assert!(gave_up.is_err());
    }
    let order = served(budget, &[(2, 100), (2, 100), (1, 100)]).await;
    assert_eq!(order, [2, 1, 2]);
}
