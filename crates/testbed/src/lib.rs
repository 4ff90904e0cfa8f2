//! Real servers on loopback for tests and the demo
