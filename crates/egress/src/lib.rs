//! The one guard in front of every address a tenant chose.
