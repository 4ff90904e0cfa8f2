//! Before a team is known: the SECURITY DEFINER functions of the schema, one Rust function each. Each returns ids (and
//! what the next step needs to make an [`crate::Access`]); none returns a tenant's data.
