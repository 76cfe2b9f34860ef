//! How a policy takes over without a jump: it decides beside the old autoscaler first, and writes once that is gone.

use autoscaler_api::Mode;

use crate::draft::{Draft, Handover, Source};

/// The steps for one policy of that mode, in order; `commented`: it is only suggested.
pub(crate) fn steps(
    source: &Source,
    policy: &str,
    draft: &Draft,
    mode: Mode,
    commented: bool,
) -> Vec<String> {
    let n = source.namespace.as_deref().map(|n| format!(" -n {n}")).unwrap_or_default();
    let name = &source.name;
    let apply =
        if commented { "Take the policy out of the comment, and apply it" } else { "Apply the policy" };
    let mut steps = vec![
        match mode {
            Mode::Shadow => format!("{apply} in mode Shadow: it decides and records, and writes nothing."),
            Mode::Paused => format!(
                "{apply} in mode Paused, which holds as the pause before it did; set mode to Shadow to see what it \
                 would do."
            ),
            Mode::Active => {
                "Do not apply it yet: it is Active, and the old autoscaler writes too. Import it again \
                             without --mode, for mode Shadow."
                    .to_owned()
            }
        },
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
            if *restores {
                steps.push(
                    "Set advanced.restoreToOriginalReplicaCount of the ScaledObject to false, or the next step makes the \
                     replicas jump to what KEDA once found."
                        .to_owned(),
                );
            }
            steps.push(format!("When you trust it: kubectl{n} delete scaledobject {name}."));
            steps.push(format!(
                "Back again before that: mode Shadow by the same command, then kubectl{n} annotate scaledobject {name} \
                 autoscaling.keda.sh/paused-"
            ));
        }
    }
    steps
}
