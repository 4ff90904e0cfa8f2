//! Whole runs, from the job to the committed backup, and every way out.

use crate::harness::World;
use holdfast_worker::faults::FaultPoints;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_succeeds_end_to_end() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", world.log(run).await);
    worker.stop().await;
    world.assert_no_residue().await;
}
