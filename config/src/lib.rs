//! Typed configuration with embedded defaults
