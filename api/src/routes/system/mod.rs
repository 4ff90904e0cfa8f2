//! About the process itself.

pub mod openapi;
pub mod readyz;
pub mod up;
