//! `holdfast check-config`: every error of the configuration at once.

use crate::logging::{complain, say};
use anyhow::{Result, anyhow};
use holdfast_config::Config;
use std::path::Path;
use std::process::ExitCode;

pub fn run(file: Option<&Path>) -> Result<ExitCode> {
    match Config::load(file, super::environment()) {
        Ok(_) => {
            say("the configuration is valid");
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            for error in &errors.0 {
                complain(&anyhow!("{error}"));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}
