//! HTTP: the REST API
