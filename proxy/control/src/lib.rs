//! The mesh control plane: streams a service's ready endpoints to the proxies.
