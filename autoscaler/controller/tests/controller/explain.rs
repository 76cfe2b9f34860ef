//! A policy of a running controller, explained by its records and by its status.

use crate::api::DEPLOYMENTS;
use crate::querier::Say;
use crate::world::World;

#[tokio::test]
async fn a_policy_is_explained_by_its_records_and_by_its_status() {
    let world = World::new(Say::Value(400.0)).await;
    world.deployment("web", 2);
    world.policy("web", |_| {});
    let controller = world.controller(&[]);
    let path = format!("{DEPLOYMENTS}/web");
    world.api.until("8 replicas", |_| (world.replicas(&path) == 8).then_some(())).await;
    world.last_scale_time().await;
    let flag = |flag: &str, name: &str| format!("--{flag}={}", world.dir.path().join(name).display());
    let (records, kubeconfig) = (flag("records", "records"), flag("kubeconfig", "kubeconfig"));
    for flags in [
        vec!["policy/web", &records],
        vec!["policy/web", &records, "--at=0s", "--cluster=east"],
        vec!["policy/web", &kubeconfig],
        vec!["policy/web", &kubeconfig, "--at=0s"],
    ] {
        world.explain(&flags).await.unwrap();
    }
    for (flags, words) in [
        (vec!["policy/web", &records, "--at=1h"], "the earliest is of 20"),
        (vec!["policy/web", &records, "--cluster=west"], "no record of policy default/web"),
        (vec!["policy/web", &records, "-n=shop"], "there are records of default/web in cluster east"),
        (vec!["policy/none", &kubeconfig], "there is no policy default/none on this API server"),
        (vec!["policy/web", &kubeconfig, "--at=1h"], "its status has no decision at or before"),
    ] {
        let error = world.explain(&flags).await.unwrap_err();
        assert_eq!(error.exit_code(), 64, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    controller.stop().await;
}
