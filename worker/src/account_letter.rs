//! What mails about an account say. Pure: a kind and a body in, subject and text out. Nothing of what a person typed is
//! pasted but addresses and a browser's own description, both one printable line.

use holdfast_domain::account_mail::{AccountMailBody, AccountMailKind};
use holdfast_domain::failure::printable;

/// Longest piece of somebody else's text.
const PIECE_CHARS: usize = 255;

/// To somebody who did not ask.
const NO_STREAM: &str = "If you expect none, do nothing: none is sent.";

/// A mail to be sent.
pub struct Written {
    /// One line.
    pub subject: &'static str,
    /// Plain text.
    pub text: String,
}

/// Writes a mail. `is_taken`: the address that is to be confirmed has an account already; none = nothing to say then.
#[must_use]
pub fn write(kind: AccountMailKind, is_taken: bool, body: &AccountMailBody) -> Option<Written> {
    let (subject, text) = match (kind, is_taken) {
        (AccountMailKind::Register, false) => (
            "Confirm your address",
            with_link(
                "Somebody, most likely you, asked for a Holdfast account with this address. Confirm it within 30 minutes, \
                 with the password you chose:",
                "verify-email",
                body,
                "If it was not you, do nothing: no account is made.",
            ),
        ),
        (AccountMailKind::Register, true) => (
            "You have an account already",
            "Somebody, most likely you, asked for a Holdfast account with this address, which has one. Log in with it, or \
             ask for a new password if you do not know it any more. If it was not you, do nothing."
                .to_owned(),
        ),
        (AccountMailKind::Reset, _) => (
            "Set a new password",
            with_link(
                "Somebody, most likely you, asked for a new password of your Holdfast account. Choose it within 30 \
                 minutes:",
                "reset-password",
                body,
                "If it was not you, do nothing: your password stays.",
            ),
        ),
        (AccountMailKind::Email, true) => return None,
        (AccountMailKind::Email, false) => (
            "Confirm your new address",
            with_link(
                "This is to be the address of your Holdfast account. Confirm it within 30 minutes:",
                "confirm-email",
                body,
                "If you did not ask for it, do nothing.",
            ),
        ),
        (AccountMailKind::Stream, _) => {
            let who = printable(body.asked_by.as_deref().unwrap_or("Somebody"), PIECE_CHARS);
            let why = format!("{who} wants to have messages about backups sent to this address. Agree within 7 days:");
            ("May messages about backups be sent here?", with_link(&why, "confirm-stream", body, NO_STREAM))
        }
        (AccountMailKind::Digest, _) => ("Your week of backups", body.text.clone()?),
        (kind, _) => told(kind, body),
    };
    Some(Written { subject, text })
}

fn with_link(why: &str, page: &str, body: &AccountMailBody, otherwise: &str) -> String {
    let (base, secret) = (body.base.as_deref().unwrap_or_default(), body.secret.as_deref().unwrap_or_default());
    format!("{why}\n\n{base}/{page}?token={secret}\n\nThe link works once; a newer one takes its place.\n\n{otherwise}")
}

/// Something that happened to an account.
fn told(kind: AccountMailKind, body: &AccountMailBody) -> (&'static str, String) {
    let (subject, what) = match kind {
        AccountMailKind::EmailChanged => {
            let new = printable(body.new_email.as_deref().unwrap_or_default(), PIECE_CHARS);
            let what = format!("The address of your Holdfast account is {new} now. This one is not used any more.");
            ("The address of your account changed", what)
        }
        AccountMailKind::PasswordChanged => {
            ("Your password changed", "The password of your Holdfast account was changed.".to_owned())
        }
        AccountMailKind::NewLogIn => (
            "A log-in with a new browser",
            "Somebody logged in to your Holdfast account with a browser that was not used for it before.".to_owned(),
        ),
        AccountMailKind::TwoFactorOn => {
            ("Two-factor log-in is on", "Two-factor log-in of your Holdfast account was turned on.".to_owned())
        }
        AccountMailKind::TwoFactorOff => {
            ("Two-factor log-in is off", "Two-factor log-in of your Holdfast account was turned off.".to_owned())
        }
        _ => {
            let left = body.codes_left.unwrap_or_default();
            let few = if left <= 3 { " Make new ones soon." } else { "" };
            let what = format!("A recovery code of your Holdfast account was used. Codes left: {left}.{few}");
            ("A recovery code was used", what)
        }
    };
    let place = |text: &Option<String>| printable(text.as_deref().unwrap_or("unknown"), PIECE_CHARS);
    let (at, address, agent) = (place(&body.at), place(&body.address), place(&body.user_agent));
    let text = format!(
        "{what}\n\nWhen: {at}\nFrom: {address}\nBrowser: {agent}\n\nIf it was not you, set a new password at once, end all \
         sessions and look at your tokens."
    );
    (subject, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> AccountMailBody {
        AccountMailBody {
            base: Some("https://backup.example.com".to_owned()),
            secret: Some("hfl_1".to_owned()),
            address: Some("203.0.113.1".to_owned()),
            user_agent: Some("x\r\nBcc: everybody@example.com".to_owned()),
            at: Some("2026-11-29 04:00 UTC".to_owned()),
            codes_left: Some(2),
            new_email: Some("new@example.com".to_owned()),
            text: Some("Your backups of the week. There were none at all.".to_owned()),
            asked_by: Some("ann@example.com\r\nBcc: everybody@example.com".to_owned()),
        }
    }

    #[test]
    fn every_kind_says_something_on_one_subject_line() {
        for kind in AccountMailKind::ALL {
            let mail = write(*kind, false, &body()).unwrap();
            assert!(!mail.subject.contains(['\r', '\n']) && mail.text.len() > 40, "{}", kind.as_str());
            assert!(!mail.text.contains("\nBcc"), "{}", kind.as_str());
        }
    }

    #[test]
    fn a_link_goes_where_it_belongs_and_never_to_an_address_that_has_an_account() {
        let link = |kind, is_taken| write(kind, is_taken, &body()).map(|mail| mail.text);
        let text = link(AccountMailKind::Reset, false).unwrap();
        assert!(text.contains("\nhttps://backup.example.com/reset-password?token=hfl_1\n"), "{text}");
        let taken = link(AccountMailKind::Register, true).unwrap();
        assert!(!taken.contains("hfl_1") && !taken.contains("http"), "{taken}");
        assert!(link(AccountMailKind::Email, true).is_none());
    }
}
