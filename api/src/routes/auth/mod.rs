//! Getting in, staying in, getting out.

pub mod confirm_password;
pub mod end_other_sessions;
pub mod end_session;
pub mod forgot_password;
pub mod list_sessions;
pub mod login;
pub mod logout;
pub mod register;
pub mod resend_verification;
pub mod reset_password;
pub mod setup;
pub mod two_factor;
pub mod verify_email;

use crate::validation::{Fields, Presence, texts};
use holdfast_vault::password;
use validator::ValidateEmail;

/// Longest e-mail address.
const EMAIL_CHARS: usize = 255;

/// The e-mail address in a body.
pub(in crate::routes) fn email(fields: &mut Fields, name: &str) -> Option<String> {
    let email = fields.string(name, Presence::Required)?;
    if email.chars().count() > EMAIL_CHARS {
        fields.fail(name, texts::too_long(name, EMAIL_CHARS));
        return None;
    }
    if !email.validate_email() {
        fields.fail(name, texts::must_be(name, "a valid email address"));
        return None;
    }
    Some(email)
}

/// A password to be set.
pub(in crate::routes) fn new_password(fields: &mut Fields, name: &str) -> Option<String> {
    let password = fields.secret(name, Presence::Required, false)?;
    if let Err(problem) = password::check_new(&password) {
        fields.fail_invalid(name, &problem);
        return None;
    }
    Some(password)
}

/// The answer to every wish for a mail, whoever has the address.
pub(in crate::routes) const MAIL_ON_ITS_WAY: &str =
    "If that is possible for this address, a mail with a link is on its way. The link holds for 30 minutes.";
