//! SSH: connect, pin host keys, run constant programs
