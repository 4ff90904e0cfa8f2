//! `page`, `per_page`, `sort`, `search` and `filter[…]` of a list, and the envelope of its answer. Bad paging values
//! become the default (page 003's peer never refuses them); a `sort` or a filter's value that is not known is a 422, because
//! whoever wrote it would be told something else than they asked for. Nothing here may overflow or reach SQL as text.

use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use holdfast_store::repositories::{Listed, PageRequest};
use serde::Serialize;
use std::marker::PhantomData;
use utoipa::ToSchema;

const DEFAULT_PER_PAGE: u64 = 15;
const MAX_PER_PAGE: u64 = 100;
/// Beyond it the offset could leave a bigint.
const MAX_PAGE: u64 = 1 << 53;
/// Longest search text.
const SEARCH_MAX_CHARS: usize = 255;

/// What a list can be sorted by.
pub trait Sorting: Send + Sync + 'static {
    /// The values of `sort`, without the dash that turns the order round.
    const KNOWN: &'static [&'static str];
}

/// By id, which is the order in which the rows were made.
pub struct ById;

impl Sorting for ById {
    const KNOWN: &'static [&'static str] = &["id", "created_at"];
}

/// As [`ById`], and by label.
pub struct ByLabel;

impl Sorting for ByLabel {
    const KNOWN: &'static [&'static str] = &["id", "created_at", "label"];
}

/// Which part of a list is wanted, and what its links need.
pub struct Paging<S = ById> {
    page: u64,
    per_page: u64,
    newest_first: bool,
    by_label: bool,
    search: Option<String>,
    query: Vec<(String, String)>,
    /// Absolute address of the list.
    path: String,
    sorting: PhantomData<S>,
}

impl<S: Sorting> FromRequestParts<ApiState> for Paging<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let query: Vec<(String, String)> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let number = |name: &str| last(&query, name).and_then(|text| text.trim().parse::<i64>().ok());
        let page = number("page").and_then(|n| u64::try_from(n).ok()).map_or(1, |n| n.clamp(1, MAX_PAGE));
        let per_page = match number("per_page") {
            Some(n) if n > 0 => u64::try_from(n).unwrap_or(DEFAULT_PER_PAGE).min(MAX_PER_PAGE),
            _ => super::authorized::page_size(parts).unwrap_or(DEFAULT_PER_PAGE),
        };
        let search = last(&query, "search")
            .map(|text| text.trim().chars().filter(|c| *c != '\0').take(SEARCH_MAX_CHARS).collect::<String>())
            .filter(|text| !text.is_empty());
        let sort = last(&query, "sort").map_or("", str::trim);
        let (column, newest_first) = sort.strip_prefix('-').map_or((sort, false), |column| (column, true));
        if !sort.is_empty() && !S::KNOWN.contains(&column) {
            return Err(Problem::field("sort", "The selected sort is invalid."));
        }
        let by_label = column == "label";
        let path = format!("{}{}", state.listener_origin().base(&parts.headers), parts.uri.path());
        Ok(Self { page, per_page, newest_first, by_label, search, query, path, sorting: PhantomData })
    }
}

fn last<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl<S> Paging<S> {
    /// For the store.
    #[must_use]
    pub fn request(&self) -> PageRequest {
        PageRequest {
            // Both factors are bounded above: no overflow, and a bigint holds it.
            offset: (self.page - 1) * self.per_page,
            limit: self.per_page,
            newest_first: self.newest_first,
            by_label: self.by_label,
        }
    }

    /// The text searched for.
    #[must_use]
    pub fn search(&self) -> Option<&str> {
        self.search.as_deref()
    }

    /// As [`Paging::search`], owned.
    #[must_use]
    pub fn search_text(&self) -> Option<String> {
        self.search.clone()
    }

    /// The value of `filter[name]` as a text of any kind, without what a database cannot hold.
    #[must_use]
    pub fn filter_text(&self, name: &str) -> Option<String> {
        self.filter(name).map(|text| text.chars().filter(|c| *c != '\0').take(SEARCH_MAX_CHARS).collect())
    }

    /// The value of `filter[name]`, `1` or `0`, or `true` or `false`.
    ///
    /// # Errors
    /// 422 for any other.
    pub fn filter_flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        let text = self.filter_of(name, &["0", "1", "true", "false"])?;
        Ok(text.map(|text| matches!(text.as_str(), "1" | "true")))
    }

    /// The value of `filter[name]`.
    #[must_use]
    pub fn filter(&self, name: &str) -> Option<&str> {
        last(&self.query, &format!("filter[{name}]")).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The value of `filter[name]`, one of `known`.
    ///
    /// # Errors
    /// 422 for any other.
    pub fn filter_of(&self, name: &str, known: &[&str]) -> Result<Option<String>, Problem> {
        match self.filter(name) {
            Some(text) if known.contains(&text) => Ok(Some(text.to_owned())),
            Some(_) => {
                Err(Problem::field(&format!("filter.{name}"), format!("The selected filter.{name} is invalid.")))
            }
            None => Ok(None),
        }
    }

    /// The id in `filter[name]`; one that cannot exist matches nothing.
    #[must_use]
    pub fn filter_id(&self, name: &str) -> Option<i64> {
        self.filter(name).map(|text| text.parse().ok().filter(|id| (0..=super::id::MAX_ID).contains(id)).unwrap_or(-1))
    }

    /// The instant in `since`.
    ///
    /// # Errors
    /// 422 where it is no RFC 3339 time.
    pub fn since(&self) -> Result<Option<DateTime<Utc>>, Problem> {
        self.instant("since")
    }

    /// The instant in `until`.
    ///
    /// # Errors
    /// 422 where it is no RFC 3339 time.
    pub fn until(&self) -> Result<Option<DateTime<Utc>>, Problem> {
        self.instant("until")
    }

    fn instant(&self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let Some(text) = last(&self.query, name).or_else(|| self.filter(name)) else { return Ok(None) };
        DateTime::parse_from_rfc3339(text)
            .map(|at| Some(at.with_timezone(&Utc)))
            .map_err(|_| Problem::field(name, format!("The {name} field must be an RFC 3339 time.")))
    }

    /// The answer: `view` of each row, and the links.
    pub fn envelope<R, V>(&self, listed: Listed<R>, view: impl FnMut(R) -> V) -> ListBody<V> {
        let total = listed.total;
        let last_page = total.div_ceil(self.per_page).max(1);
        let data: Vec<V> = listed.rows.into_iter().map(view).collect();
        let from = (!data.is_empty()).then(|| (self.page - 1) * self.per_page + 1);
        let prev = (self.page > 1).then(|| self.page - 1);
        let next = (self.page < last_page).then(|| self.page + 1);
        ListBody {
            links: ListLinks {
                first: self.url(1),
                last: self.url(last_page),
                prev: prev.map(|n| self.url(n)),
                next: next.map(|n| self.url(n)),
            },
            meta: ListMeta {
                current_page: self.page,
                from,
                last_page,
                links: self.page_links(last_page, prev, next),
                path: self.path.clone(),
                per_page: self.per_page,
                to: from.map(|first| first + data.len() as u64 - 1),
                total,
            },
            data,
        }
    }

    fn url(&self, page: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.query.iter().filter(|(name, _)| name != "page") {
            query.append_pair(name, value);
        }
        query.append_pair("page", &page.to_string());
        format!("{}?{}", self.path, query.finish())
    }

    fn page_links(&self, last_page: u64, prev: Option<u64>, next: Option<u64>) -> Vec<PageLink> {
        let arrow = |page: Option<u64>, label: &str| PageLink {
            url: page.map(|n| self.url(n)),
            label: label.to_owned(),
            active: false,
        };
        let mut links = vec![arrow(prev, "&laquo; Previous")];
        for page in window(self.page, last_page) {
            links.push(match page {
                Some(n) => PageLink { url: Some(self.url(n)), label: n.to_string(), active: n == self.page },
                None => PageLink { url: None, label: "...".to_owned(), active: false },
            });
        }
        links.push(arrow(next, "Next &raquo;"));
        links
    }
}

/// The pages that get a link; none = a gap. As the peer does it (reference 1.5).
fn window(current: u64, last: u64) -> Vec<Option<u64>> {
    let some = |from: u64, to: u64| (from..=to).map(Some);
    if last < 14 {
        return some(1, last).collect();
    }
    let head = || some(1, 2).chain([None]);
    let tail = || [None].into_iter().chain(some(last - 1, last));
    if current <= 7 {
        return some(1, 10).chain(tail()).collect();
    }
    if current > last - 7 {
        return head().chain(some(last - 9, last)).collect();
    }
    head().chain(some(current - 3, current + 3)).chain(tail()).collect()
}

/// The answer of a list.
#[derive(Serialize, ToSchema)]
pub struct ListBody<T> {
    /// This part.
    pub data: Vec<T>,
    /// Where the other parts are.
    pub links: ListLinks,
    /// Which part this is.
    pub meta: ListMeta,
}

/// Neighbours of a page.
#[derive(Serialize, ToSchema)]
pub struct ListLinks {
    first: String,
    last: String,
    #[schema(required)]
    prev: Option<String>,
    #[schema(required)]
    next: Option<String>,
}

/// Which part of the list this is.
#[derive(Serialize, ToSchema)]
pub struct ListMeta {
    current_page: u64,
    #[schema(required)]
    from: Option<u64>,
    last_page: u64,
    links: Vec<PageLink>,
    path: String,
    per_page: u64,
    #[schema(required)]
    to: Option<u64>,
    total: u64,
}

/// One button of a pager.
#[derive(Serialize, ToSchema)]
pub struct PageLink {
    #[schema(required)]
    url: Option<String>,
    label: String,
    active: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_show_the_pages_around_the_current_one() {
        let shown = |current, last| {
            window(current, last).iter().map(|p| p.map_or("…".into(), |n| n.to_string())).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(1, 3), "1 2 3");
        assert_eq!(shown(7, 20), "1 2 3 4 5 6 7 8 9 10 … 19 20");
        assert_eq!(shown(10, 20), "1 2 … 7 8 9 10 11 12 13 … 19 20");
        assert_eq!(shown(14, 20), "1 2 … 11 12 13 14 15 16 17 18 19 20");
    }
}
