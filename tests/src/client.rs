//! A plain HTTP client, as any user's.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// Calls the API as one user.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// `http://127.0.0.1:…`
    pub base: String,
    user: String,
    key: String,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The URI of the action that the request started.
    pub fn action_uri(&self) -> String {
        let uri = self
            .headers
            .get("x-dockercloud-action-uri")
            .expect("a mutation names its action");
        uri.to_str().expect("a URI").to_owned()
    }

    /// The message of an error.
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// The answer that a response holds.
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            status,
            headers,
            body,
            text,
        }
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Client {
    /// A client of the API at `base`.
    pub fn new(base: String, user: &str, key: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            base,
            user: user.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Another user's client of the same API.
    pub fn as_user(&self, user: &str, key: &str) -> Self {
        Self {
            user: user.to_owned(),
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// The same user's client of another replica.
    pub fn at(&self, base: String) -> Self {
        Self {
            base,
            ..self.clone()
        }
    }

    /// The user's name and key.
    pub fn credentials(&self) -> (&str, &str) {
        (&self.user, &self.key)
    }

    /// Sends a request with a body as it is given.
    ///
    /// # Panics
    /// Where the API does not answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let answer = self.try_send(method, path, body).await;
        answer.expect("the API answers")
    }

    /// The same; none where the API does not answer.
    async fn try_send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Option<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .basic_auth(&self.user, Some(&self.key));
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Some(Answer {
            status,
            headers,
            body,
            text,
        })
    }

    /// GET; none where the API does not answer.
    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_send(Method::GET, path, None).await
    }

    /// POST; none where the API does not answer.
    pub async fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let body = body.to_string().into_bytes();
        self.try_send(Method::POST, path, Some(body)).await
    }

    /// PATCH; none where the API does not answer.
    pub async fn try_patch(&self, path: &str, body: &Value) -> Option<Answer> {
        let body = body.to_string().into_bytes();
        self.try_send(Method::PATCH, path, Some(body)).await
    }

    /// DELETE; none where the API does not answer.
    pub async fn try_delete(&self, path: &str) -> Option<Answer> {
        self.try_send(Method::DELETE, path, None).await
    }

    /// GET
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// POST
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string().into_bytes()))
            .await
    }

    /// PUT
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body.to_string().into_bytes()))
            .await
    }

    /// PATCH
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body.to_string().into_bytes()))
            .await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}
