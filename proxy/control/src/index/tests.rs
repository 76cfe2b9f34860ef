use std::collections::BTreeMap;

use linkerd2_proxy_api::destination::{DestinationProfile, Update, update};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::*;

const DOMAINS: [&str; 1] = ["cluster.local"];

fn index() -> Arc<Index> {
    let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
    Arc::new(Index::new(DOMAINS[0], metrics))
}

fn names(text: &str) -> Names {
    Names::parse(text, Some("n0"), &DOMAINS.map(str::to_owned)).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn pod(name: &str, app: &str, ip: &str, ready: bool) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "n0", "labels": {"app": app}},
        "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

fn service(name: &str, app: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "n0"},
        "spec": {"selector": {"app": app}, "ports": [{"port": 80}], "clusterIP": "10.0.0.1"},
    })
}

/// What a proxy knows that reads a stream.
#[derive(Debug)]
struct Reader {
    following: Following,
    told: Option<Arc<Version>>,
    known: Known,
}

#[derive(Debug, Default, PartialEq)]
struct Known {
    exists: bool,
    addresses: BTreeMap<String, BTreeMap<String, String>>,
    profile: Option<DestinationProfile>,
}

impl Known {
    fn read(&mut self, question: Question, version: &Version, before: Option<&Version>) {
        for message in version.messages_since(before).iter() {
            match question {
                Question::Profile => self.profile = Some(DestinationProfile::decode(&message[..]).unwrap()),
                Question::Endpoints => self.apply(Update::decode(&message[..]).unwrap().update.unwrap()),
            }
        }
    }

    fn apply(&mut self, update: update::Update) {
        let addr =
            |a: linkerd2_proxy_api::net::TcpAddress| std::net::SocketAddr::try_from(a).unwrap().to_string();
        match update {
            update::Update::Add(set) => {
                self.exists = true;
                for one in set.addrs {
                    let labels = set.metric_labels.clone().into_iter().chain(one.metric_labels).collect();
                    self.addresses.insert(addr(one.addr.unwrap()), labels);
                }
            }
            update::Update::Remove(set) => {
                set.addrs.into_iter().for_each(|a| drop(self.addresses.remove(&addr(a))));
            }
            update::Update::NoEndpoints(none) => {
                self.addresses.clear();
                self.exists = none.exists;
            }
        }
    }
}

impl Reader {
    fn new(index: &Arc<Index>, question: Question, text: &str) -> Self {
        let following = index.follow(question, names(text)).unwrap();
        Self { following, told: None, known: Known::default() }
    }

    /// Reads what there is; whether that was anything.
    fn read(&mut self) -> bool {
        let now = self.following.newest().unwrap();
        let any = !now.messages_since(self.told.as_deref()).is_empty();
        self.known.read(self.following.topic.0, &now, self.told.as_deref());
        self.told = Some(now);
        any
    }

    fn addresses(&mut self) -> Vec<String> {
        self.read();
        self.known.addresses.keys().cloned().collect()
    }

    fn woken(&self) -> bool {
        self.following.receiver.as_ref().unwrap().has_changed().unwrap()
    }
}

#[test]
fn an_event_touches_only_what_it_may_change() {
    let index = index();
    let (mut web, mut other) =
        (Reader::new(&index, Question::Endpoints, "web"), Reader::new(&index, Question::Endpoints, "other"));
    assert!(web.read() && !web.known.exists);
    other.read();
    index.service(Event::Apply(read(&service("web", "web"))));
    index.service(Event::Apply(read(&service("other", "other"))));
    assert_eq!(index.publish(), 2);
    index.pod(Event::Apply(read(&pod("a", "web", "127.1.0.1", true))));
    assert_eq!(index.inner.lock().touched.len(), 1);
    assert_eq!(index.publish(), 1);
    assert_eq!((web.addresses(), other.addresses()), (vec!["127.1.0.1:80".to_owned()], Vec::new()));

    // Whatever is not read of a pod changes nothing.
    let mut same = pod("a", "web", "127.1.0.1", true);
    same["metadata"]["resourceVersion"] = json!("7");
    same["metadata"]["annotations"] = json!({"note": "x"});
    same["status"]["conditions"][0]["lastProbeTime"] = json!("2026-01-01T00:00:00Z");
    index.pod(Event::Apply(read(&same)));
    assert!(index.inner.lock().touched.is_empty());
    assert_eq!(index.publish(), 0);
    assert!(!web.woken());

    // From one service to another: both.
    index.pod(Event::Apply(read(&pod("a", "other", "127.1.0.1", true))));
    assert_eq!(index.publish(), 2);
    assert_eq!((web.addresses(), other.addresses()), (Vec::new(), vec!["127.1.0.1:80".to_owned()]));
}

#[test]
fn what_nobody_follows_any_more_is_forgotten() {
    let index = index();
    index.service(Event::Apply(read(&service("web", "web"))));
    let all: Vec<_> = ["web", "web:81", "10.0.0.1:80", "127.1.0.1:80", "web-1.web.n0.svc"]
        .iter()
        .flat_map(|t| [Question::Endpoints, Question::Profile].map(|q| Reader::new(&index, q, t)))
        .collect();
    let again = Reader::new(&index, Question::Endpoints, "web");
    assert_eq!(index.metrics.followed.get(), 10);
    drop(all);
    assert_eq!(index.metrics.followed.get(), 1);
    drop(again);
    let inner = index.inner.lock();
    assert!(inner.followed.is_empty() && inner.by_service.is_empty() && inner.by_ip.is_empty());
}

#[test]
fn a_list_counts_once_it_is_whole() {
    let index = index();
    index.service(Event::Apply(read(&service("web", "web"))));
    index.pod(Event::Apply(read(&pod("a", "web", "127.1.0.1", true))));
    let mut web = Reader::new(&index, Question::Endpoints, "web");
    web.read();
    index.pod(Event::Init);
    index.pod(Event::InitApply(read(&pod("b", "web", "127.1.0.2", true))));
    assert_eq!(index.publish(), 0);
    // It broke off, and begins anew.
    index.pod(Event::Init);
    index.pod(Event::InitApply(read(&pod("c", "web", "127.1.0.3", true))));
    assert_eq!(index.publish(), 0);
    index.pod(Event::InitDone);
    assert_eq!(index.publish(), 1);
    assert_eq!(web.addresses(), ["127.1.0.3:80"]);
}

#[test]
fn names_are_tried_in_the_order_of_a_resolver_and_hosts_outside_are_refused() {
    let index = index();
    let follow = |text: &str| index.follow(Question::Endpoints, names(text)).map(|f| f.topic.1.to_string());
    assert_eq!(follow("www.example.com").unwrap_err(), FollowError::Outside);
    assert_eq!(follow("web-1.web").unwrap(), "web-1.web:80");
    index.service(Event::Apply(read(&service("web", "web"))));
    index.pod(Event::Apply(read(&pod("web-1", "web", "127.1.0.1", true))));
    assert_eq!(follow("web-1.web").unwrap(), "web-1.web.n0:80");
    assert_eq!(follow("web-1.web.n0").unwrap(), "web-1.web.n0:80");
    assert_eq!(follow("web-2.web.n0").unwrap_err(), FollowError::Outside);
}

#[test]
fn a_slow_reader_is_told_the_newest_alone() {
    let index = index();
    index.service(Event::Apply(read(&service("web", "web"))));
    let mut web = Reader::new(&index, Question::Endpoints, "web");
    web.read();
    for n in 1..=50 {
        index.pod(Event::Apply(read(&pod(&format!("p{n}"), "web", &format!("127.1.0.{n}"), true))));
        index.pod(Event::Delete(read(&pod(&format!("p{}", n - 1), "web", "", true))));
        index.publish();
    }
    let now = web.following.newest().unwrap();
    assert_eq!(now.messages_since(web.told.as_deref()).len(), 1);
    assert_eq!(web.addresses(), ["127.1.0.50:80"]);
    assert!(!web.woken());
}

const QUESTIONS: [&str; 14] = [
    "s0.n0",
    "s1.n0:81",
    "s2.n1",
    "s0.n1:5432",
    "p1.s0.n0.svc",
    "p2.s1.n1.svc:81",
    "10.0.0.1:80",
    "10.0.0.2:81",
    "127.1.0.1:8080",
    "127.1.0.2:80",
    "127.1.0.3:3306",
    "s3.n0",
    "[fd00::1]:80",
    "p0.s2.n0.svc",
];

/// One thing that happens. Numbers choose among few values, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Pod {
        name: u8,
        namespace: u8,
        app: u8,
        ip: u8,
        state: u8,
        sidecar: bool,
    },
    PodGone {
        name: u8,
        namespace: u8,
    },
    Service {
        name: u8,
        namespace: u8,
        kind: u8,
        ip: u8,
        target: u8,
    },
    ServiceGone {
        name: u8,
        namespace: u8,
    },
    Slice {
        name: u8,
        namespace: u8,
        service: u8,
        ip: u8,
    },
    SliceGone {
        name: u8,
        namespace: u8,
    },
    /// A list that misses what went while nobody watched.
    List {
        kind: u8,
        gone: u8,
    },
    /// A list that breaks off.
    HalfAList {
        kind: u8,
    },
    Follow {
        question: usize,
        profile: bool,
    },
    Leave {
        reader: usize,
    },
    Read {
        reader: usize,
    },
    Publish,
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..2u8;
    prop_oneof![
        6 => (0..5u8, n.clone(), 0..3u8, 0..5u8, 0..6u8, any::<bool>()).prop_map(
            |(name, namespace, app, ip, state, sidecar)| Step::Pod { name, namespace, app, ip, state, sidecar }),
        2 => (0..5u8, n.clone()).prop_map(|(name, namespace)| Step::PodGone { name, namespace }),
        3 => (0..4u8, n.clone(), 0..6u8, 0..4u8, 0..3u8).prop_map(
            |(name, namespace, kind, ip, target)| Step::Service { name, namespace, kind, ip, target }),
        1 => (0..4u8, n.clone()).prop_map(|(name, namespace)| Step::ServiceGone { name, namespace }),
        1 => (0..2u8, n.clone(), 0..4u8, 0..3u8).prop_map(
            |(name, namespace, service, ip)| Step::Slice { name, namespace, service, ip }),
        1 => (0..2u8, n).prop_map(|(name, namespace)| Step::SliceGone { name, namespace }),
        1 => (0..3u8, any::<u8>()).prop_map(|(kind, gone)| Step::List { kind, gone }),
        1 => (0..3u8).prop_map(|kind| Step::HalfAList { kind }),
        3 => (0..QUESTIONS.len(), any::<bool>()).prop_map(|(question, profile)| Step::Follow { question, profile }),
        1 => any::<usize>().prop_map(|reader| Step::Leave { reader }),
        2 => any::<usize>().prop_map(|reader| Step::Read { reader }),
        4 => Just(Step::Publish),
    ]
}

fn a_pod(name: u8, namespace: u8, app: u8, ip: u8, state: u8, sidecar: bool) -> Value {
    let mut pod = json!({
        "metadata": {"name": format!("p{name}"), "namespace": format!("n{namespace}"), "labels": {"app": format!("a{app}")}},
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080, "name": "http"}]}]},
        "status": {"podIP": if ip == 0 { String::new() } else { format!("127.1.0.{ip}") }, "podIPs": [{"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": if state == 1 { "False" } else { "True" }}]},
    });
    match state {
        2 => pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
        3 => pod["status"]["phase"] = json!("Failed"),
        4 => pod["spec"]["hostNetwork"] = json!(true),
        5 => pod["metadata"]["annotations"] = json!({"config.linkerd.io/opaque-ports": "80,http"}),
        _ => {}
    }
    if sidecar {
        pod["spec"]["initContainers"] = json!([{"name": "proxy", "restartPolicy": "Always", "args": ["--inbound-forward=127.0.0.1:8080"]}]);
    }
    pod
}

fn a_service(name: u8, namespace: u8, kind: u8, ip: u8, target: u8) -> Value {
    let targets = [json!("http"), json!(8080), json!(9090)];
    let mut service = json!({
        "metadata": {"name": format!("s{name}"), "namespace": format!("n{namespace}")},
        "spec": {"selector": {"app": format!("a{}", kind % 3)}, "clusterIP": format!("10.0.0.{ip}"),
            "ports": [{"port": 80, "targetPort": targets[usize::from(target)]}, {"port": 81, "name": "b"}]},
    });
    match kind {
        3 => service["spec"]["selector"] = Value::Null,
        4 => service["spec"]["type"] = json!("ExternalName"),
        5 => service["spec"]["publishNotReadyAddresses"] = json!(true),
        _ => {}
    }
    service
}

fn a_slice(name: u8, namespace: u8, service: u8, ip: u8) -> Value {
    json!({
        "metadata": {"name": format!("e{name}"), "namespace": format!("n{namespace}"),
            "labels": {"kubernetes.io/service-name": format!("s{service}")}},
        "ports": [{"port": 8080}, {"name": "b", "port": 9090}],
        "endpoints": [{"addresses": [format!("192.0.2.{}", ip + 1)], "hostname": format!("p{ip}")}],
    })
}

/// What the API server has, by kind and name.
type Truth = [BTreeMap<String, Value>; 3];

fn send(index: &Index, kind: u8, event: Event<Value>) {
    fn map<T: serde::de::DeserializeOwned>(event: Event<Value>) -> Event<T> {
        match event {
            Event::Apply(o) => Event::Apply(read(&o)),
            Event::Delete(o) => Event::Delete(read(&o)),
            Event::InitApply(o) => Event::InitApply(read(&o)),
            Event::Init => Event::Init,
            Event::InitDone => Event::InitDone,
        }
    }
    match kind {
        0 => index.pod(map(event)),
        1 => index.service(map(event)),
        _ => index.slice(map(event)),
    }
}

fn put(index: &Index, truth: &mut Truth, kind: u8, object: Value) {
    let key = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
    truth[usize::from(kind)].insert(key, object.clone());
    send(index, kind, Event::Apply(object));
}

fn gone(index: &Index, truth: &mut Truth, kind: u8, name: &str, namespace: u8) {
    if let Some(object) = truth[usize::from(kind)].remove(&format!("\"n{namespace}\"/\"{name}\"")) {
        send(index, kind, Event::Delete(object));
    }
}

/// What a proxy would be told that asks a control plane which has just started.
fn anew(truth: &Truth, topic: &Topic) -> Known {
    let mut state = State::default();
    let mut changes = Vec::new();
    truth[0].values().for_each(|o| state.pod(Event::Apply(read(o)), &mut changes));
    truth[1].values().for_each(|o| state.service(Event::Apply(read(o)), &mut changes));
    truth[2].values().for_each(|o| state.slice(Event::Apply(read(o)), &mut changes));
    let mut known = Known::default();
    known.read(topic.0, &Version::first(resolve(&state, topic, &DOMAINS[0].into())), None);
    known
}

fn take(step: Step, index: &Arc<Index>, truth: &mut Truth, readers: &mut Vec<Reader>) {
    let chosen = |n: usize, readers: &Vec<Reader>| (!readers.is_empty()).then(|| n % readers.len());
    match step {
        Step::Pod { name, namespace, app, ip, state, sidecar } => {
            put(index, truth, 0, a_pod(name, namespace, app, ip, state, sidecar));
        }
        Step::Service { name, namespace, kind, ip, target } => {
            put(index, truth, 1, a_service(name, namespace, kind, ip, target));
        }
        Step::Slice { name, namespace, service, ip } => {
            put(index, truth, 2, a_slice(name, namespace, service, ip))
        }
        Step::PodGone { name, namespace } => gone(index, truth, 0, &format!("p{name}"), namespace),
        Step::ServiceGone { name, namespace } => gone(index, truth, 1, &format!("s{name}"), namespace),
        Step::SliceGone { name, namespace } => gone(index, truth, 2, &format!("e{name}"), namespace),
        Step::List { kind, gone } => {
            let objects = &mut truth[usize::from(kind)];
            let mut n = 0;
            objects.retain(|_, _| {
                n += 1;
                gone & (1 << (n % 8)) == 0
            });
            send(index, kind, Event::Init);
            objects.values().for_each(|o| send(index, kind, Event::InitApply(o.clone())));
            send(index, kind, Event::InitDone);
        }
        Step::HalfAList { kind } => {
            send(index, kind, Event::Init);
            let half = truth[usize::from(kind)].values().step_by(2);
            half.for_each(|o| send(index, kind, Event::InitApply(o.clone())));
        }
        Step::Follow { question, profile } => {
            let kind = if profile { Question::Profile } else { Question::Endpoints };
            readers.push(Reader::new(index, kind, QUESTIONS[question]));
        }
        Step::Leave { reader } => drop(chosen(reader, readers).map(|n| readers.swap_remove(n))),
        Step::Read { reader } => drop(chosen(reader, readers).map(|n| readers[n].read())),
        Step::Publish => drop(index.publish()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happened_each_proxy_knows_what_one_that_asks_anew_is_told(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let (index, mut truth, mut readers) = (index(), Truth::default(), Vec::new());
        for step in steps {
            take(step, &index, &mut truth, &mut readers);
        }
        index.publish();
        for mut reader in readers {
            reader.read();
            prop_assert_eq!(&reader.known, &anew(&truth, &reader.following.topic), "{:?}", reader.following.topic);
        }
        let inner = index.inner.lock();
        prop_assert!(inner.followed.is_empty() && inner.by_service.is_empty() && inner.by_ip.is_empty());
        let counts = inner.state.counts();
        prop_assert_eq!([counts.pods, counts.services, counts.slices], [0, 1, 2].map(|k| truth[k].len()));
    }
}
