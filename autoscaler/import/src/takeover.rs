//! How a policy takes over without a jump: it decides beside the old autoscaler first, and writes once that is gone.

use crate::draft::{Draft, Handover, Source};

/// The steps for one policy, in order.
pub(crate) fn steps(source: &Source, policy: &str, draft: &Draft) -> Vec<String> {
    let n = source.namespace.as_deref().map(|n| format!(" -n {n}")).unwrap_or_default();
    let name = &source.name;
    let mut steps = vec![
        "Apply the policy as it is here, in mode Shadow: it decides and records, and writes nothing."
            .to_owned(),
        format!(
            "Watch it for a peak and for the time that scaling down takes: kubectl{n} get scalingpolicy {policy} -o wide. \
             Evidence has to be True, and DESIRED near what is there."
        ),
    ];
    let activate = format!(
        "kubectl{n} patch scalingpolicy {policy} --type=merge -p '{{\"spec\":{{\"mode\":\"Active\"}}}}'"
    );
    let calm = "It starts from the replicas that it finds, and lowers nothing before its evidence and window allow it.";
    match &draft.handover {
        Handover::Hpa => {
            steps.push(format!(
                "Take the HPA out of whatever applies it, keep a copy, and delete it: kubectl{n} delete hpa {name}. \
                 The replicas stay as they are."
            ));
            steps.push(format!("At once: {activate}. {calm}"));
            steps.push(
                "Back again: mode Shadow by the same command, then apply the copy of the HPA: never both at once."
                    .to_owned(),
            );
        }
        Handover::Keda { restores, from_zero } => {
            if *from_zero {
                steps.push(format!(
                    "If nothing runs at the moment: kubectl{n} scale {} {} --replicas=1, since a policy takes zero \
                     for switched off.",
                    draft.target.kind.to_lowercase(),
                    draft.target.name
                ));
            }
            if draft.paused {
                steps.push("It is paused already; leave it so.".to_owned());
            } else {
                steps.push(format!(
                    "Pause it: kubectl{n} annotate scaledobject {name} autoscaling.keda.sh/paused=true. KEDA deletes \
                     its HPA, and the replicas stay as they are."
                ));
            }
            steps.push(format!("At once: {activate}. {calm}"));
            let restore = if *restores {
                " First set advanced.restoreToOriginalReplicaCount to false, or the replicas jump to what KEDA once found."
            } else {
                ""
            };
            steps.push(format!("When you trust it: kubectl{n} delete scaledobject {name}.{restore}"));
            steps.push(format!(
                "Back again before that: mode Shadow by the same command, then kubectl{n} annotate scaledobject {name} \
                 autoscaling.keda.sh/paused-"
            ));
        }
    }
    steps
}
