//! How a question to the API fails: one JSON body for all of it.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::tries::WINDOW;

/// What an API call is answered with when it fails.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    #[serde(skip)]
    pub status: StatusCode,
    /// One word for programs: `not_found`.
    pub error: &'static str,
    /// One sentence for people.
    pub detail: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl ToString) -> Self {
        let error = match status {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "timed_out",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            StatusCode::MISDIRECTED_REQUEST => "misdirected",
            StatusCode::UNPROCESSABLE_ENTITY => "unprocessable",
            StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
            StatusCode::INSUFFICIENT_STORAGE => "full",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "failed",
        };
        Self { status, error, detail: detail.to_string() }
    }

    pub(super) fn not_found(what: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    pub(super) fn bad(what: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, WINDOW.as_secs().into());
        }
        response
    }
}

/// A part of the path, refused in our words when it cannot be read.
pub(super) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let axum::extract::Path(read) = axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection: PathRejection| Refusal::new(rejection.status(), rejection.body_text()))?;
        Ok(Self(read))
    }
}

/// The same for what stands behind the `?`.
pub(super) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let axum::extract::Query(read) = axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection: QueryRejection| Refusal::new(rejection.status(), rejection.body_text()))?;
        Ok(Self(read))
    }
}

/// The same for the body.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(read) = Json::<T>::from_request(request, state)
            .await
            .map_err(|rejection: JsonRejection| Refusal::new(rejection.status(), rejection.body_text()))?;
        Ok(Self(read))
    }
}
