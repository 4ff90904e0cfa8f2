//! Mail to a real SMTP server.

use holdfast_notify::DeliveryCode;
use holdfast_notify::email::{MailSettings, MailTls, Mailer};
use holdfast_testbed::smtp::Smtp;

fn mailer(port: u16, tls: MailTls) -> Mailer {
    let (host, from) = ("127.0.0.1".to_owned(), "Holdfast <backup@example.com>".to_owned());
    Mailer::new(&MailSettings { host, port, tls, login: None, from }).expect("a mailer")
}

#[tokio::test]
async fn a_hostile_subject_and_a_lone_dot_arrive_as_one_mail() {
    let mut server = Smtp::start().await.expect("an SMTP server");
    let mailer = mailer(server.port(), MailTls::None);
    let text = "first\r\n.\r\nRCPT TO:<v@x.example>\r\nlast, ä";
    mailer.send("ops@example.org", "down\r\nBcc: v@x.example", text).await.expect("it is taken");
    let mail = server.mail().await.expect("a mail");
    let (head, body) = mail.split_once("\n\n").expect("a head");
    assert!(head.contains("To: ops@example.org") && head.contains("Auto-Submitted: auto-generated"), "{head}");
    assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc:")), "{head}");
    assert!(body.contains("first") && body.contains("last"), "{body}");
    mailer.send("ops@example.org", "next", "second").await.expect("it is taken");
    assert!(server.mail().await.expect("a mail").contains("second"), "the dot ended nothing");
}

#[tokio::test]
async fn without_the_tls_that_was_asked_for_nothing_is_sent() {
    let mut server = Smtp::start().await.expect("an SMTP server");
    for tls in [MailTls::StartTls, MailTls::Tls] {
        let error = mailer(server.port(), tls).send("a@example.org", "secret", "secret").await.expect_err("no TLS");
        assert_eq!(error.code, DeliveryCode::Unreachable);
    }
    mailer(server.port(), MailTls::None).send("a@example.org", "s", "plain").await.expect("it is taken");
    let first = server.mail().await.expect("a mail");
    assert!(first.contains("plain") && !first.contains("secret"), "{first}");
}
