//! Sealing, opening, team keys, passwords, tickets and tokens

pub mod ticket;
