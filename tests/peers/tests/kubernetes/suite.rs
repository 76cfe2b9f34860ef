//! What clients may rely on, as a table: the same cases for the embedded API server and for the real one.
//!
//! Each case has a namespace of its own, so that one server takes all of them, a few at a time.

mod apply;
mod definitions;
mod kubectl;
mod lists;
mod objects;
mod patches;
mod policies;
mod protocol;
mod refusals;
mod scale;
mod settled;
mod watches;
mod workloads;

use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt as _;

use crate::subject::{Server, Subject};

/// Cases under way at once.
const AT_ONCE: usize = 4;

/// One promise.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Subject) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// `cases![module::function, …]`.
macro_rules! cases {
    ($($module:ident :: $case:ident),* $(,)?) => {
        &[$(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |subject| Box::pin($module::$case(subject)),
        }),*]
    };
}

/// What an API server alone does.
pub(crate) const API: &[Case] = cases![
    objects::come_and_go,
    objects::stale_writes_conflict,
    objects::a_write_of_the_same_is_no_change,
    objects::dry_runs_change_nothing,
    objects::names_can_be_generated,
    objects::namespaces_must_exist,
    objects::what_is_invalid_names_the_field,
    objects::deletions_have_preconditions,
    objects::finalizers_hold,
    objects::fields_that_may_not_change,
    objects::leases_have_one_taker,
    objects::events_read_the_same_in_both_groups,
    lists::selectors_select,
    lists::come_in_pages,
    lists::collections_go_together,
    lists::take_other_forms,
    lists::versions_are_looked_at,
    watches::tell_everything_from_where_they_start,
    watches::begin_with_the_present,
    watches::stream_their_list,
    watches::too_old_is_gone,
    watches::end_when_asked,
    patches::json,
    patches::merge,
    patches::strategic,
    patches::keep_their_order,
    patches::merge_by_the_keys_of_their_types,
    patches::wrong_types_are_told,
    patches::unknown_fields_are_told,
    apply::creates_and_keeps,
    apply::conflicts_name_manager_and_field,
    apply::what_is_no_longer_applied_goes,
    apply::lists_merge_by_key,
    apply::options_are_checked,
    scale::is_read_and_written_apart,
    scale::status_is_written_apart,
    definitions::add_kinds,
    definitions::default_prune_and_judge,
    definitions::have_rules,
    definitions::must_be_sound,
    definitions::have_scale_and_columns,
    policies::good_ones_apply,
    policies::bad_ones_are_refused_with_field_and_fix,
    protocol::errors_are_statuses,
    protocol::discovery_finds_everything,
    protocol::bodies_may_be_yaml,
    protocol::booleans_are_true_unless_they_say_otherwise,
    protocol::media_types_have_no_case,
    protocol::doubled_keys_are_told,
    protocol::reviews_are_answered,
    refusals::pods,
    refusals::workloads,
    refusals::services,
    refusals::small_kinds,
    refusals::what_may_not_change,
    settled::defaults_are_written,
    settled::equal_spellings_are_no_change,
    settled::secrets_take_text,
    settled::leases_say_which_version_they_replace,
    kubectl::reads_and_writes,
    kubectl::creates,
    kubectl::applies_lists_and_mixed_files,
];

/// What it does together with workload controllers and a node.
pub(crate) const WORKLOADS: &[Case] = cases![
    workloads::what_is_owned_goes_with_its_owner,
    workloads::namespaces_end_with_what_is_in_them,
    workloads::deployments_scale_and_roll,
    workloads::stateful_sets_keep_their_order,
    kubectl::runs_workloads,
];

/// Runs every case and tells of all that failed. To be called within a `LocalSet`: cases need not be `Send`.
pub(crate) async fn run(server: &Arc<Server>, cases: &[Case]) {
    let only = std::env::var("CASE").unwrap_or_default();
    let chosen = cases.iter().filter(|c| c.name.contains(&only));
    let runs = futures::stream::iter(chosen.enumerate()).map(|(n, case)| {
        let (server, run) = (server.clone(), case.run);
        async move {
            let began = std::time::Instant::now();
            let namespace = format!("{}-{n}", case.name.replace("::", "-").replace('_', "-"));
            let namespace = namespace.chars().take(60).collect::<String>();
            // A panic ends the case, not the suite.
            let ended =
                tokio::task::spawn_local(async move { run(Subject::new(server, &namespace).await).await })
                    .await;
            (case.name, ended.err(), began.elapsed())
        }
    });
    let mut failed = Vec::new();
    let mut runs = runs.buffer_unordered(AT_ONCE);
    while let Some((name, error, took)) = runs.next().await {
        tracing::info!(case = name, ok = error.is_none(), took_ms = took.as_millis() as u64, "case");
        if let Some(error) = error {
            let text = error.try_into_panic().map(|p| {
                let text = p.downcast_ref::<String>().cloned();
                text.or_else(|| p.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
            });
            failed.push(format!("{name}: {}", text.unwrap_or_else(|e| e.to_string())));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n\n")
    );
}
