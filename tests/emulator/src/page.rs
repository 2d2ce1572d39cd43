//! Pages of a list, and the token that asks for the next one.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::call::ServiceState;
use crate::error::ServiceError;
use crate::operation::Service;
use crate::request::Request;

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

    fn write(self) -> String {
        let (offset, page) = (self.offset, self.page);
        format!("{:016x}{offset:08x}{page:08x}", self.fingerprint)
    }
}

/// The page of a list that a request asks for.
pub(crate) struct Page {
    size: u32,
    token: PageToken,
}

impl Page {
    /// Reads `MaxResults` and `NextToken`.
    pub(crate) fn of(state: &ServiceState, request: &Request) -> Result<Self, ServiceError> {
        let service = request.service();
        let most = i64::from(service.page_size());
        let size = request.integer("MaxResults", 1..=most)?.unwrap_or(most);
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
        // An empty page before each that has items.
        let is_empty =
            state.empty_pages && service == Service::Organizations && !token.page.is_multiple_of(2);
        let size = if is_empty { 0 } else { size as u32 };
        Ok(Self {
            size: size.min(state.page_size.unwrap_or(size)),
            token,
        })
    }

    /// This page of a list under its name, each of its items as described, and the token of the
    /// next. An item without a description is left out.
    pub(crate) fn list<T>(
        self,
        name: &str,
        items: Vec<T>,
        describe: impl FnMut(T) -> Option<Value>,
    ) -> Value {
        let Self { size, token } = self;
        let mut next = PageToken {
            page: token.page + 1,
            ..token
        };
        let left = items.len().saturating_sub(token.offset as usize);
        next.offset += size;
        let next = (size == 0 || left > size as usize).then(|| next.write());
        let page = items.into_iter().skip(token.offset as usize);
        let page: Vec<Value> = page.take(size as usize).filter_map(describe).collect();
        json!({ name: page, "NextToken": next })
    }
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
