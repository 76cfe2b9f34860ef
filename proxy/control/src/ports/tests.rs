use super::*;

fn ports(meta: &str, spec: &str) -> Ports {
    let yaml = format!("{{metadata: {{name: web, {meta}}}, spec: {spec}}}");
    Ports::of(&thanos_telemetry::cli::parse_yaml(&yaml).unwrap())
}

const APP: &str = "{name: app, ports: [{containerPort: 8080, name: http}, {containerPort: 9090, name: api}]}";

fn with(sidecar: &str) -> String {
    format!("{{containers: [{APP}, {sidecar}]}}")
}

#[test]
fn only_what_a_sidecar_forwards_goes_through_it() {
    let mesh = "ports: [{containerPort: 4143}, {containerPort: 4191, name: admin}]";
    let args = |args: &str| with(&format!("{{name: proxy, {mesh}, args: [{args}]}}"));
    let forwards = args("--inbound-listen=$(POD_IP):4143, --inbound-forward=127.0.0.1:8080");
    let annotated = "annotations: {config.gauntlet.dev/inbound-ports: 'api,7000-7010'}";
    let nothing = with(&format!("{{name: proxy, {mesh}}}"));
    for (meta, spec, port, want) in [
        ("", format!("{{containers: [{APP}]}}"), 8080, 8080),
        ("", forwards.clone(), 8080, 4143),
        // The other app, the sidecar's own ports, one that nobody declares.
        ("", forwards.clone(), 9090, 9090),
        ("", forwards.clone(), 4191, 4191),
        ("", forwards.clone(), 4143, 4143),
        ("", forwards.clone(), 80, 80),
        ("", args("--inbound-forward, '$(POD_IP):9090'"), 9090, 4143),
        ("", args("'--inbound-listen=[::]:5000', '--inbound-forward=[::1]:8080'"), 8080, 5000),
        ("", with("{name: p, command: [sh, -c, 'exec g --inbound-forward=127.0.0.1:8080']}"), 8080, 4143),
        (
            "",
            format!(
                "{{containers: [{APP}], initContainers: [{{name: p, restartPolicy: Always, \
                 args: ['--inbound-forward=127.0.0.1:8080']}}]}}"
            ),
            8080,
            4143,
        ),
        // Not said which port: no port of the app is the sidecar's.
        ("", nothing.clone(), 8080, 8080),
        ("", args("'--inbound-forward=127.0.0.1:$(PORT)'"), 8080, 8080),
        ("", args("--inbound-forward"), 8080, 8080),
        // The annotation says it instead.
        (annotated, nothing.clone(), 9090, 4143),
        (annotated, nothing.clone(), 7005, 4143),
        (annotated, nothing, 8080, 8080),
        (annotated, args("'--inbound-forward=127.0.0.1:$(PORT)'"), 9090, 4143),
        (annotated, forwards.clone(), 8080, 8080),
        (annotated, format!("{{containers: [{APP}]}}"), 9090, 9090),
        // Left alone.
        (
            "annotations: {config.linkerd.io/skip-inbound-ports: '1-3, 8000-8080'}",
            forwards.clone(),
            8080,
            8080,
        ),
        ("annotations: {config.linkerd.io/skip-inbound-ports: 'x,9-,8081'}", forwards.clone(), 8080, 4143),
        ("annotations: {config.linkerd.io/opaque-ports: http}", forwards, 8080, 8080),
        ("", args("--inbound-forward=127.0.0.1:5432"), 5432, 5432),
        (
            "annotations: {config.linkerd.io/opaque-ports: ''}",
            args("--inbound-forward=127.0.0.1:5432"),
            5432,
            4143,
        ),
        // Linkerd's own proxy.
        ("", with("{name: linkerd-proxy, ports: [{containerPort: 4143}]}"), 8080, 8080),
        (annotated, with("{name: linkerd-proxy, ports: [{containerPort: 4143}]}"), 9090, 9090),
    ] {
        assert_eq!(ports(meta, &spec).reached_at(port), want, "{meta} {spec} {port}");
    }
}

#[test]
fn ports_are_declared_by_what_runs_as_long_as_the_pod() {
    let first = "initContainers: [{name: init, ports: [{containerPort: 1, name: once}]}, \
                 {name: side, restartPolicy: Always, ports: [{containerPort: 2, name: side}]}]";
    let ports = ports(
        "",
        &format!(
            "{{containers: [{APP}, {{name: u, ports: [{{containerPort: 53, protocol: UDP}}]}}], {first}}}"
        ),
    );
    assert_eq!(
        [ports.named("http"), ports.named("once"), ports.named("side"), ports.named("")],
        [Some(8080), None, Some(2), None]
    );
    assert_eq!([8080, 1, 2, 53].map(|p| ports.declares(p)), [true, false, true, false]);
    assert_eq!([5432, 8080].map(|p| ports.is_opaque(p)), [true, false]);
}

#[test]
fn lists_of_ports_are_read_as_far_as_they_are_ones() {
    let named = |name: &str| (name == "pg").then_some(5432);
    let set = PortSet::parse("80, 90-95,pg,x,9-,-3,95-90,70000", named);
    assert_eq!(
        [80, 89, 90, 95, 96, 5432, 9, 3].map(|p| set.has(p)),
        [true, false, true, true, false, true, false, false]
    );
    assert!(!PortSet::parse("", named).has(0));
    assert!(!PortSet::parse(&"1,".repeat(5000).replace("1,", "2,"), named).has(1));
}
