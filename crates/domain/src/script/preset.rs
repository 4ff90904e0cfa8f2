//! Scripts that come with the product: stopping and starting services.

use super::{Interpreter, Parameter, words};

/// The one parameter of both.
pub const SERVICES: &str = "SERVICES";

/// Services of one value at most.
const SERVICES_MAX: usize = 20;

words! {
    /// A script without a text of one's own.
    Preset {
        /// Stops what `SERVICES` names, in this order.
        StopServices = "stop_services",
        /// Starts it, in the opposite order.
        StartServices = "start_services",
    }
}

impl Preset {
    /// Its text.
    #[must_use]
    pub fn body(self) -> &'static str {
        match self {
            Self::StopServices => concat!("verb=stop wanted=inactive\n", include_str!("services.sh")),
            Self::StartServices => concat!("verb=start wanted=active\n", include_str!("services.sh")),
        }
    }

    /// What runs it.
    #[must_use]
    pub fn interpreter(self) -> Interpreter {
        Interpreter::Sh
    }

    /// Its parameters.
    #[must_use]
    pub fn parameters(self) -> Vec<Parameter> {
        vec![Parameter { name: SERVICES.to_owned(), default: None, is_required: true }]
    }
}

/// Names of services with blanks between, as the service manager knows them.
///
/// # Errors
/// Why they are none.
pub fn services(raw: &str) -> Result<String, &'static str> {
    let is_name = |name: &str| {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b':');
        name.len() <= 200 && name.bytes().all(is_word) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let names: Vec<&str> = raw.split([' ', '\t', ',']).filter(|name| !name.is_empty()).collect();
    if names.is_empty() || names.len() > SERVICES_MAX || !names.iter().all(|name| is_name(name)) {
        return Err("it must be 1 to 20 names of services with blanks between, of letters, digits and - _ . @ :");
    }
    Ok(names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_names_and_nothing_else() {
        assert_eq!(
            services(" nginx,  php8.2-fpm.service\tpg@14-main ").as_deref(),
            Ok("nginx php8.2-fpm.service pg@14-main")
        );
        let many = "a ".repeat(21);
        for bad in ["", " ", "--now", "a;id", "$(id)", "a\nb", "a/b", "*", "a|b", "é", "-a", many.as_str()] {
            assert!(services(bad).is_err(), "{bad:?}");
        }
    }
}
