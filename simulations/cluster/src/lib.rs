//! The embedded cluster: a Kubernetes API server, workload controllers, DNS, and a node that runs pods as local processes.
