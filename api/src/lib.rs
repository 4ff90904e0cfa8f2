//! HTTP: the REST API

pub mod relay;
