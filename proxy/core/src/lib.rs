//! Clockless state machines of the proxy: load estimate, balancer choice, drain, rate limit.
