//! A dead man's switch somewhere else, as healthchecks.io takes it: <https://healthchecks.io/docs/http_api/>. The address
//! itself is a success; `/start` and `/fail` below it are the other two. Nothing of a message leaves but which it is.

use crate::error::DeliveryError;
use crate::http::{Post, address, below};
use holdfast_domain::notification::Ping;

pub(crate) fn post(url: &str, ping: Ping) -> Result<Post, DeliveryError> {
    let url = address(url)?;
    let url = match ping {
        Ping::Success => url,
        Ping::Start => below(&url, &["start"])?,
        Ping::Fail => below(&url, &["fail"])?,
    };
    Ok(Post::new(url, "text/plain", Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_stands_below_the_address_and_its_query_stays() {
        let url = |text, ping| post(text, ping).map(|post| post.url.to_string()).expect("a post");
        let base = "https://hc-ping.com/3c8f9f2e-0000-4000-8000-000000000000";
        assert_eq!(url(base, Ping::Success), base);
        assert_eq!(url(base, Ping::Start), format!("{base}/start"));
        assert_eq!(url("https://h.example/ping/a/?create=1", Ping::Fail), "https://h.example/ping/a/fail?create=1");
        assert!(post("no address", Ping::Start).is_err());
    }
}
