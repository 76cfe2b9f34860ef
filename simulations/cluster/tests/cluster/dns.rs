//! Names over a real socket.

use std::net::SocketAddr;

use simulations_cluster::{Dns, Zone};
use tokio::net::UdpSocket;

use super::{Sandbox, eventually, within};

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut out = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

#[tokio::test]
async fn services_resolve_to_ready_pods() {
    let sandbox = Sandbox::start().await;
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let zones = ["a.local", "b.local"].map(|domain| Zone::new(domain, sandbox.client())).into();
    let dns = Dns::serve(free, zones).await.unwrap();
    sandbox
        .cluster
        .apply_yaml(
            r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: none, command: [sleep, "1000"]}]
"#,
        )
        .await
        .unwrap();
    let ip = sandbox.ready("web").await.status.unwrap().pod_ip.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(dns.addr()).await.unwrap();
    let ask = async |message: Vec<u8>| -> Vec<u8> {
        socket.send(&message).await.unwrap();
        let mut buffer = vec![0; 600];
        let n = within(socket.recv(&mut buffer)).await.unwrap();
        buffer.truncate(n);
        buffer
    };
    let address = eventually(async || {
        let reply = ask(query("web.default.svc.a.local", 1)).await;
        (reply[7] == 1).then(|| reply[reply.len() - 4..].to_vec())
    })
    .await;
    let octets: Vec<String> = address.iter().map(u8::to_string).collect();
    assert_eq!(octets.join("."), ip);
    // Not a query: no answer, and the next one is answered all the same.
    socket.send(b"nonsense").await.unwrap();
    let srv = ask(query("_http._tcp.web.default.svc.b.local", 33)).await;
    assert_eq!(srv[7], 1);
    assert_eq!(ask(query("web.default.svc.c.local", 1)).await[3] & 15, 3, "no such name");
    sandbox.cluster.stop().await;
}
