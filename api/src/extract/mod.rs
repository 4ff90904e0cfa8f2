//! What a handler's arguments are made of. A handler reaches a tenant's rows only through [`Authorized`], whose type
//! says which ability the route needs.

pub mod authorized;
pub mod body;
pub mod client_address;
pub mod deletion;
pub mod form;
pub mod id;
pub mod page;
pub mod same_origin;
pub mod session_cookie;

pub use authorized::{Authorized, Need, may};
pub use body::{OurBody, PageBody};
pub use client_address::ClientAddress;
pub use deletion::Deletion;
pub use id::Id;
pub use page::{ByLabel, Paging};
