//! Pages of a list, and the token that asks for the next one.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::ServiceError;
use crate::request::Request;

/// What an operation's lists have for a `NextToken` on their last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListEnd {
    /// None, as is documented.
    #[default]
    NoToken,
    /// An empty text. Who asks for the page of an empty token is given the first.
    EmptyToken,
    /// The token of this same page, which returns it again, forever.
    RepeatedToken,
}

/// What the lists of an operation are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListRules {
    /// The most items of a page, however many are asked for.
    pub(crate) page_size: u32,
    pub(crate) end: ListEnd,
    /// Whether an empty page comes before each that has items.
    pub(crate) empty_pages: bool,
}

/// A `NextToken`, opaque to the client: it belongs to one operation, account, region and set of
/// arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageToken {
    fingerprint: u64,
    offset: u32,
    /// Counted from 1.
    pub(crate) page: u32,
}

impl PageToken {
    pub(crate) fn read(token: &str) -> Option<Self> {
        let part = |range| u64::from_str_radix(token.get(range)?, 16).ok();
        (token.len() == 32).then_some(())?;
        Some(Self {
            fingerprint: part(0..16)?,
            offset: part(16..24)?.try_into().ok()?,
            page: part(24..32)?.try_into().ok()?,
        })
    }

    fn write(&self) -> String {
        format!(
            "{:016x}{:08x}{:08x}",
            self.fingerprint, self.offset, self.page
        )
    }
}

/// The page of `items` that the request asks for, and the token of the next one.
pub(crate) fn page_of<T>(
    request: &Request,
    items: Vec<T>,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let (size, token) = asked_page(request)?;
    let next_page = PageToken {
        page: token.page + 1,
        ..token
    };
    if request.lists.empty_pages && !token.page.is_multiple_of(2) {
        return Ok((Vec::new(), Some(next_page.write())));
    }
    let left = items.len().saturating_sub(token.offset as usize);
    let page = items
        .into_iter()
        .skip(token.offset as usize)
        .take(size as usize)
        .collect();
    let next = match request.lists.end {
        _ if left > size as usize => {
            let offset = token.offset + size;
            Some(
                PageToken {
                    offset,
                    ..next_page
                }
                .write(),
            )
        }
        ListEnd::NoToken => None,
        ListEnd::EmptyToken => Some(String::new()),
        ListEnd::RepeatedToken => Some(token.write()),
    };
    Ok((page, next))
}

/// The page's size, and its token; the first page has a token of its own.
fn asked_page(request: &Request) -> Result<(u32, PageToken), ServiceError> {
    let most = i64::from(request.service().page_size());
    let size = request.integer("MaxResults")?.unwrap_or(most);
    let constraint = match size {
        ..1 => "Member must have value greater than or equal to 1".to_owned(),
        size if size <= most => String::new(),
        _ => format!("Member must have value less than or equal to {most}"),
    };
    if !constraint.is_empty() {
        let value = size.to_string();
        return Err(ServiceError::constraint(&value, "maxResults", &constraint));
    }
    let fingerprint = fingerprint(request);
    let token = match request.next_token()? {
        None => PageToken {
            fingerprint,
            offset: 0,
            page: 1,
        },
        Some(token) => PageToken::read(token)
            .filter(|token| token.fingerprint == fingerprint)
            .ok_or_else(|| {
                ServiceError::new(
                    "InvalidPaginationTokenException",
                    "The pagination token is not valid for this request",
                )
            })?,
    };
    Ok((request.lists.page_size.min(size as u32), token))
}

/// The same for the same operation, account, region and arguments, whatever the page.
fn fingerprint(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.operation.hash(&mut hasher);
    request.identity.account.hash(&mut hasher);
    request.region.hash(&mut hasher);
    for (member, value) in &request.members {
        if member != "NextToken" && !value.is_null() {
            member.hash(&mut hasher);
            value.to_string().hash(&mut hasher);
        }
    }
    hasher.finish()
}
