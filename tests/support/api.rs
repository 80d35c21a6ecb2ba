//! Calls of auth-api as a gateway passes them on, so that a test controls every header.

use serde_json::{Value, json};

use crate::host::{ORIGIN, TestHost};

/// A request to come.
#[derive(Debug, Clone)]
pub struct Call {
    event: Value,
}

/// The answer to it.
#[derive(Debug)]
pub struct Answer {
    pub status: u64,
    pub headers: Value,
    pub cookies: Vec<String>,
    /// `null` where there is none.
    pub body: Value,
}

impl Answer {
    /// The field `error`.
    pub fn code(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// Status and code.
    pub fn refusal(&self) -> (u64, &str) {
        (self.status, self.code())
    }

    /// The value of the one cookie that the answer sets.
    pub fn session(&self) -> String {
        let [cookie] = self.cookies.as_slice() else { panic!("one cookie: {self:?}") };
        let (_, rest) = cookie.split_once('=').unwrap();
        rest.split(';').next().unwrap().to_owned()
    }
}

impl Call {
    /// A request of an allowed page.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            event: json!({
                "version": "2.0",
                "rawPath": path,
                "rawQueryString": "",
                "headers": {"origin": ORIGIN, "host": "api.example.com"},
                "cookies": [],
                "requestContext": {
                    "stage": "$default",
                    "http": {"method": method, "path": path, "sourceIp": "203.0.113.7"},
                },
                "isBase64Encoded": false,
            }),
        }
    }

    /// A POST of JSON.
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path).header("content-type", "application/json").body(&body.to_string())
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.event["headers"][name] = value.into();
        self
    }

    pub fn without(mut self, header: &str) -> Self {
        self.event["headers"].as_object_mut().unwrap().remove(header);
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.event["body"] = body.into();
        self
    }

    pub fn cookie(mut self, cookie: &str) -> Self {
        self.event["cookies"].as_array_mut().unwrap().push(cookie.into());
        self
    }

    /// Presents a session by its cookie.
    pub fn session(self, id: &str) -> Self {
        self.cookie(&format!("session_id={id}"))
    }

    /// Presents a session or a token as bearer.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Comes from an address.
    pub fn from(mut self, address: &str) -> Self {
        self.event["requestContext"]["http"]["sourceIp"] = address.into();
        self
    }

    /// The event that a gateway makes of it.
    pub fn into_event(self) -> Value {
        self.event
    }

    /// Sends it to auth-api.
    pub async fn send(self, host: &TestHost) -> Answer {
        let invoked = host.invoke("auth-api", self.event.to_string()).await;
        assert_eq!(invoked.function_error, None, "{}", invoked.payload);
        let answer = invoked.payload;
        let text = answer["body"].as_str().unwrap();
        Answer {
            status: answer["statusCode"].as_u64().unwrap(),
            headers: answer["headers"].clone(),
            cookies: serde_json::from_value(answer["cookies"].clone()).unwrap(),
            body: if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap() },
        }
    }
}

/// A new token that the stand-in for Corbado knows the verdict of, from a sample of post-login.
pub fn token(case: &str) -> String {
    let sample = sandbox::sample::read(&crate::events(), "post-login", case).unwrap();
    let fresh = sandbox::sample::fresh(&sample.event, &crate::host::secret(), crate::now()).unwrap();
    fresh["signedPasskeyData"].as_str().unwrap().to_owned()
}

/// A login by the older endpoint.
pub fn login(token: &str) -> Call {
    Call::post("/auth/passkey/verify", &json!({"signedPasskeyData": token}))
}
