//! What each proxy is started with: its defaults, two upstreams between which it chooses by power of two choices, no
//! access log, one worker, and connections that are kept.

use std::net::SocketAddr;

use peers::{Address, World};

use crate::side::{ADMIN, Kind, LISTEN};

/// Flags, as [`peers::server::Spec`] has them; writes the files that they name. `authority` is what requests ask for.
pub(crate) fn flags(
    kind: Kind,
    world: &World,
    at: &Address,
    authority: &str,
    upstreams: [SocketAddr; 2],
) -> String {
    let [a, b] = upstreams;
    match kind {
        Kind::Direct => String::new(),
        Kind::Outbound => {
            let file = world.write("endpoints.yml", &format!("\"{authority}\": [\"{a}\", \"{b}\"]\n"));
            format!(
                "proxy sidecar --outbound-listen {{ip}}:{LISTEN} --admin-listen {{ip}}:{ADMIN} --endpoints {}",
                file.display()
            )
        }
        Kind::Inbound => format!(
            "proxy sidecar --inbound-listen {{ip}}:{LISTEN} --inbound-forward {a} --admin-listen {{ip}}:{ADMIN}"
        ),
        Kind::Envoy => {
            let file = world.write("envoy.json", &envoy(at, upstreams));
            // Without hot restart another Envoy on this machine is no obstacle.
            format!("--config-path {} --concurrency 1 --disable-hot-restart --log-level warn", file.display())
        }
        Kind::Nginx => {
            let file = world.write("nginx.conf", &nginx(at, upstreams));
            format!("-p {{dir}} -e stderr -c {}", file.display())
        }
    }
}

fn envoy(at: &Address, upstreams: [SocketAddr; 2]) -> String {
    let address =
        |a: SocketAddr| serde_json::json!({"socket_address": {"address": a.ip(), "port_value": a.port()}});
    let endpoints = upstreams.map(|u| serde_json::json!({"endpoint": {"address": address(u)}}));
    let manager = serde_json::json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]
        }]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
        }]
    });
    let listener = serde_json::json!({
        "address": address(at.port(LISTEN)),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager
        }]}]
    });
    let cluster = serde_json::json!({
        "name": "upstream", "connect_timeout": "1s", "type": "STATIC", "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": endpoints}]}
    });
    let admin = serde_json::json!({"address": address(at.port(ADMIN))});
    let resources = serde_json::json!({"listeners": [listener], "clusters": [cluster]});
    serde_json::json!({"admin": admin, "static_resources": resources}).to_string()
}

/// Its own limit of a thousand requests a connection would be a handicap.
fn nginx(at: &Address, [a, b]: [SocketAddr; 2]) -> String {
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 100000000;
  upstream service {{
    random two least_conn;
    server {a}; server {b};
    keepalive 64; keepalive_requests 100000000;
  }}
  server {{
    listen {};
    location / {{
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection \"\";
    }}
  }}
  server {{
    listen {};
    location /status {{ stub_status; }}
  }}
}}
",
        at.port(LISTEN),
        at.port(ADMIN)
    )
}
